package schema

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

const (
	magic = "PAR1"

	// maxFooter bounds what a damaged length can make us read: a footer takes
	// about 200 bytes per column of each row group.
	maxFooter = 64 << 20
)

// readFooter checks the frame of the file and decodes its footer.
func (f *file) readFooter() error {
	info, err := f.os.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	if err := f.checkFrame(size); err != nil {
		return err
	}
	return guard(func() (err error) {
		// Neither page index nor bloom filters are needed to read all rows, and
		// what is not read cannot do harm.
		f.parquet, err = parquet.OpenFile(f.os, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
		return err
	})
}

// checkFrame checks the magic at both ends and walks over the footer, because
// parquet-go allocates whatever a list in it claims to hold.
func (f *file) checkFrame(size int64) error {
	if size == 0 {
		return errors.New("the file is empty")
	}
	if size < 12 {
		return fmt.Errorf("not a Parquet file: %d bytes", size)
	}
	var head [4]byte
	var tail [8]byte
	if _, err := f.os.ReadAt(head[:], 0); err != nil {
		return err
	}
	if _, err := f.os.ReadAt(tail[:], size-8); err != nil {
		return err
	}
	if string(head[:]) != magic {
		return errors.New("not a Parquet file: it does not begin with PAR1")
	}
	if string(tail[4:]) != magic {
		return errors.New("no footer at the end: the file was cut off or never closed")
	}
	n := int64(binary.LittleEndian.Uint32(tail[:]))
	if n > size-12 || n > maxFooter {
		return fmt.Errorf("footer of %d bytes in a file of %d", n, size)
	}
	f.footer = size - 8 - n
	b := make([]byte, n)
	if _, err := f.os.ReadAt(b, f.footer); err != nil {
		return err
	}
	if used, err := skim(b); err != nil {
		return fmt.Errorf("footer: %w", err)
	} else if used != len(b) {
		return fmt.Errorf("footer: %d bytes too many", len(b)-used)
	}
	return nil
}

// checkMeta compares the name and version that the file gives itself with ours.
// Files may lack them; their columns decide then.
func (f *file) checkMeta(row reflect.Type) error {
	if l, ok := layoutOf(row); ok {
		name, ok := f.parquet.Lookup(metaName)
		if ok && name != l.table.Name {
			return fmt.Errorf("read %s: the file holds table %s, want %s", f.path, shown(name), l.table.Name)
		}
	}
	if v, ok := f.parquet.Lookup(metaVersion); ok {
		if err := CheckVersion(v); err != nil {
			return fmt.Errorf("read %s: %w", f.path, err)
		}
	}
	return nil
}

// checkColumns compares the file's columns with those of the row type.
func (f *file) checkColumns(want *parquet.Schema) error {
	var wrong *ColumnError
	err := guard(func() error {
		if column, reason := compare(nil, want, f.parquet.Schema()); reason != "" {
			wrong = &ColumnError{f.path, strings.Join(column, "."), reason}
		}
		return nil
	})
	switch {
	case err != nil:
		return f.corrupt(err)
	case wrong != nil:
		return wrong
	}
	f.want = wanted(want, f.parquet.Schema())
	return nil
}

// compare returns where have does not serve for want, and why; "" if it does.
func compare(path []string, want, have parquet.Node) (column []string, reason string) {
	if w, h := kindOf(want), kindOf(have); w != h {
		return path, fmt.Sprintf("got %s, want %s", h, w)
	}
	if want.Leaf() {
		return nil, ""
	}
	for _, field := range want.Fields() {
		at := append(slices.Clone(path), field.Name())
		i := slices.IndexFunc(have.Fields(), func(h parquet.Field) bool { return h.Name() == field.Name() })
		switch {
		case i >= 0:
			if column, reason := compare(at, field, have.Fields()[i]); reason != "" {
				return column, reason
			}
		case !field.Optional():
			return at, "missing"
		}
	}
	return nil, ""
}

// kindOf names a column's type and repetition.
func kindOf(n parquet.Node) string {
	name := "group"
	if n.Leaf() {
		name = n.Type().String()
		switch name { // numbers are signed unless a file says otherwise, and many do not say
		case "INT32":
			name = "INT(32,true)"
		case "INT64":
			name = "INT(64,true)"
		}
	}
	switch {
	case n.Optional():
		return "optional " + name
	case n.Repeated():
		return "repeated " + name
	}
	return name
}

// wanted returns the paths, with dots, of the columns of have that reading into
// want decodes; nil if that may be any, as when the levels of a missing column
// are taken from one beside it.
func wanted(want, have *parquet.Schema) map[string]bool {
	leaves := make(map[string]bool)
	for _, path := range want.Columns() {
		if _, ok := have.Lookup(path...); !ok {
			return nil
		}
		leaves[strings.Join(path, ".")] = true
	}
	return leaves
}

// checkGroups checks what the footer says about row groups and their chunks:
// every chunk is the column that stands at its place in the schema, lies behind
// the one before it and before the footer, and uses a codec and encodings that
// Writer uses.
func (f *file) checkGroups() error {
	meta := f.parquet.Metadata()
	paths := f.parquet.Schema().Columns()
	var rows int64
	last := int64(len(magic)) // where the chunk before ends
	for g := range meta.RowGroups {
		group, plain := &meta.RowGroups[g], int64(0)
		if group.NumRows < 0 || group.NumRows > hardGroupRows {
			return fmt.Errorf("row group %d: %d rows, want at most %d", g, group.NumRows, hardGroupRows)
		}
		if len(group.Columns) != len(paths) {
			return fmt.Errorf("row group %d: %d columns, the schema has %d", g, len(group.Columns), len(paths))
		}
		for c := range group.Columns {
			if err := checkChunk(&group.Columns[c], paths[c]); err != nil {
				return fmt.Errorf("row group %d: column %s: %w", g, shown(paths[c]...), err)
			}
			start, end := span(&group.Columns[c].MetaData)
			if start < last || end < start || end > f.footer {
				return fmt.Errorf("row group %d: column %s: its chunk cannot lie at [%d, %d)", g, shown(paths[c]...), start, end)
			}
			last = end
			plain += max(group.Columns[c].MetaData.TotalUncompressedSize, 0)
			if plain > maxGroupBytes {
				return fmt.Errorf("row group %d: more than %d bytes before compression", g, int64(maxGroupBytes))
			}
		}
		rows += group.NumRows
	}
	if rows != meta.NumRows {
		return fmt.Errorf("row groups have %d rows, the file has %d", rows, meta.NumRows)
	}
	return nil
}

func checkChunk(chunk *format.ColumnChunk, path []string) error {
	meta := &chunk.MetaData
	if !slices.Equal(meta.PathInSchema, path) {
		return fmt.Errorf("its chunk calls itself %q", strings.Join(meta.PathInSchema, "."))
	}
	if chunk.FilePath != "" {
		return fmt.Errorf("its chunk lies in another file, %q", chunk.FilePath)
	}
	// Other codecs are refused before they see a byte: parquet-go's LZ4 decoder
	// can be made to run out of memory, which nothing recovers from.
	if meta.Codec != format.Zstd && meta.Codec != format.Uncompressed {
		return fmt.Errorf("codec %v is not allowed, only ZSTD and UNCOMPRESSED are", meta.Codec)
	}
	for _, e := range meta.Encoding {
		if !allowed(e) {
			return fmt.Errorf("encoding %v is not allowed", e)
		}
	}
	return nil
}

// span returns the bytes of the file that hold a chunk's pages.
func span(meta *format.ColumnMetaData) (start, end int64) {
	start = meta.DataPageOffset
	if d := meta.DictionaryPageOffset; d != 0 {
		start = d
	}
	return start, start + meta.TotalCompressedSize
}

func allowed(e format.Encoding) bool {
	switch e {
	case format.Plain, format.RLE, format.RLEDictionary, format.DeltaBinaryPacked, format.DeltaLengthByteArray:
		return true
	}
	return false
}
