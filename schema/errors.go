package schema

import (
	"fmt"
	"strconv"
	"strings"
)

// CorruptError says that a file is damaged, or is no file that this package
// could have written.
type CorruptError struct {
	File string // path as given to Read
	Err  error
}

func (e *CorruptError) Error() string { return fmt.Sprintf("read %s: %v", e.File, e.Err) }

// Unwrap returns the cause.
func (e *CorruptError) Unwrap() error { return e.Err }

// ColumnError says that a file's columns are not those of the row type it is
// read into.
type ColumnError struct {
	File   string // path as given to Read
	Column string // path of the column, with dots
	Reason string
}

func (e *ColumnError) Error() string {
	return fmt.Sprintf("read %s: column %s: %s", e.File, e.Column, e.Reason)
}

// shown is a name out of a file as errors print it: quoted where it could break
// the line or the terminal.
func shown(path ...string) string {
	name := strings.Join(path, ".")
	if len(name) > 200 {
		name = name[:200] + "…"
	}
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` {
		return quoted
	}
	return name
}
