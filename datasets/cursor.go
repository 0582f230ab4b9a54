package datasets

import (
	"fmt"
	"iter"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/bundle"
)

// cursor walks over the rows of one table, over all its files, session by
// session.
type cursor[T any] struct {
	name    string
	session func(*T) string
	next    func() (T, error, bool)
	stop    func()
	head    T
	held    bool // head is the next row
	rows    int64
}

// newCursor starts at the first row. session returns a row's session; T is the
// row type of the table spec or a struct with some of its fields.
func newCursor[T any](b *bundle.Bundle, spec schema.Table, session func(*T) string) *cursor[T] {
	c := &cursor[T]{name: spec.Name, session: session}
	c.next, c.stop = iter.Pull2(rowsOf[T](b, spec))
	return c
}

func rowsOf[T any](b *bundle.Bundle, spec schema.Table) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, f := range b.Files(spec.Dir) {
			for row, err := range schema.Read[T](b.Path(f.Path)) {
				if !yield(row, err) || err != nil {
					return
				}
			}
		}
	}
}

// peek returns the next row without passing it; nil at the end.
func (c *cursor[T]) peek() (*T, error) {
	if c.held {
		return &c.head, nil
	}
	row, err, ok := c.next()
	if err != nil || !ok {
		return nil, err
	}
	c.head, c.held = row, true
	c.rows++
	return &c.head, nil
}

// each hands over the next rows as long as they are of the session.
func (c *cursor[T]) each(session string, do func(T)) error {
	for {
		row, err := c.peek()
		if err != nil {
			return err
		}
		if row == nil || c.session(row) != session {
			return nil
		}
		do(*row)
		c.held = false
	}
}

// take returns the next rows as long as they are of the session.
func (c *cursor[T]) take(session string) ([]T, error) {
	var rows []T
	err := c.each(session, func(row T) {
		if len(rows) <= maxRows { // one too many is for Check to find
			rows = append(rows, row)
		}
	})
	return rows, err
}

// end returns an error unless all rows have been passed.
func (c *cursor[T]) end() error {
	row, err := c.peek()
	if err != nil {
		return err
	}
	if row != nil {
		return fmt.Errorf("table %s: row %d: session %q is not in the trajectories table at this place",
			c.name, c.rows-1, c.session(row))
	}
	return nil
}

func (c *cursor[T]) close() { c.stop() }
