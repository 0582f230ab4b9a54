package schema

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"reflect"

	"github.com/parquet-go/parquet-go"
)

// readRows is how many rows are decoded at a time.
const readRows = 16

// Read returns the rows of a file in order. Iteration ends after the first
// error, which comes with a zero T. The file is open only while the loop runs;
// the sequence may be ranged over again.
//
// T is the row type of a table, or a struct with some of its fields: columns
// that T does not name are not decoded. A nullable column that the file lacks
// reads as null. A row type that has a Validate method is validated.
//
// Errors: [CorruptError] for a file that is damaged or no Parquet file of this
// package's making; [ColumnError] where the file's columns are not T's; else
// the file could not be opened, or it is of another table or major version.
// All name the file.
//
// Memory: about one page of each column, and 16 rows. Lists that are empty or
// were written from nil read as empty lists.
func Read[T any](path string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		f, err := open[T](path)
		if err != nil {
			yield(zero, err)
			return
		}
		defer f.close()
		for g := range f.parquet.RowGroups() {
			more, err := eachRow(f, g, yield)
			if err != nil {
				yield(zero, err)
				return
			}
			if !more {
				return
			}
		}
	}
}

// eachRow hands the rows of row group g to yield. It reports whether yield
// wants more.
func eachRow[T any](f *file, g int, yield func(T, error) bool) (bool, error) {
	r, err := openGroup[T](f, g)
	if err != nil {
		return false, err
	}
	defer r.close()
	buf := make([]T, readRows)
	for {
		n, err := r.read(buf)
		for i := range n {
			if !yield(buf[i], nil) {
				return false, nil
			}
		}
		if err == io.EOF {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// file is an open file whose footer has been checked.
type file struct {
	path    string
	os      *os.File
	parquet *parquet.File
	footer  int64           // offset of the footer: where the row groups must have ended
	rows    int64           // read so far
	want    map[string]bool // columns that will be decoded; nil means all may be
}

func (f *file) close() { f.os.Close() }

func (f *file) corrupt(err error) error {
	var c *CorruptError
	if errors.As(err, &c) {
		return err
	}
	return &CorruptError{f.path, err}
}

// guard runs do and turns a panic of the library into an error: parquet-go
// trusts what it reads and indexes out of range on damaged input.
func guard(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("decode: %v", p)
		}
	}()
	return do()
}

// open opens a file and checks everything that the footer says against T.
func open[T any](path string) (*file, error) {
	osf, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read table file: %w", err)
	}
	f := &file{path: path, os: osf}
	if err := f.readFooter(); err != nil {
		osf.Close()
		return nil, f.corrupt(err)
	}
	if err := f.checkMeta(reflect.TypeFor[T]()); err != nil {
		osf.Close()
		return nil, err
	}
	if err := f.checkColumns(parquet.SchemaOf(new(T))); err != nil {
		osf.Close()
		return nil, err
	}
	if err := guard(f.checkGroups); err != nil {
		osf.Close()
		return nil, f.corrupt(err)
	}
	return f, nil
}

// group reads the rows of one row group.
type group[T any] struct {
	f    *file
	rows *parquet.GenericReader[T]
	left int64 // rows that the footer promises
}

func openGroup[T any](f *file, g int) (*group[T], error) {
	r := &group[T]{f: f, left: f.parquet.RowGroups()[g].NumRows()}
	err := guard(func() error {
		if err := f.checkPages(g); err != nil {
			return err
		}
		r.rows = parquet.NewGenericRowGroupReader[T](f.parquet.RowGroups()[g])
		return nil
	})
	if err != nil {
		return nil, f.corrupt(fmt.Errorf("row group %d: %w", g, err))
	}
	return r, nil
}

func (r *group[T]) close() { guard(r.rows.Close) }

// read fills buf. Its error is io.EOF after the last row, else for the caller.
func (r *group[T]) read(buf []T) (n int, err error) {
	clear(buf) // else the rows would share the lists of those before them
	err = guard(func() (err error) {
		n, err = r.rows.Read(buf)
		return err
	})
	if err != nil && err != io.EOF {
		return 0, r.f.corrupt(err)
	}
	r.left -= int64(n)
	switch {
	case r.left < 0, err == io.EOF && r.left > 0, err == nil && n == 0:
		return 0, r.f.corrupt(fmt.Errorf("row group ends %d rows off the footer's count", r.left))
	}
	if err := validate(buf[:n], r.f.rows); err != nil {
		return 0, r.f.corrupt(err)
	}
	r.f.rows += int64(n)
	return n, err
}

// validate validates rows, the first of which has the number first.
func validate[T any](rows []T, first int64) error {
	for i := range rows {
		v, ok := any(&rows[i]).(validator)
		if !ok {
			return nil
		}
		if err := v.Validate(); err != nil {
			return fmt.Errorf("row %d: %w", first+int64(i), err)
		}
	}
	return nil
}
