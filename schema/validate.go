package schema

import (
	"fmt"
	"math"
	"slices"
)

// checks keeps the first thing that is wrong with a row, under the name of its
// column.
type checks struct{ err error }

func (c *checks) that(ok bool, column, format string, args ...any) {
	if c.err == nil && !ok {
		c.err = fmt.Errorf("%s: %s", column, fmt.Sprintf(format, args...))
	}
}

func (c *checks) id(column, v string) { c.that(v != "", column, "must not be empty") }

func (c *checks) oneOf(column, v string, allowed ...string) {
	if c.err == nil && !slices.Contains(allowed, v) {
		c.err = fmt.Errorf("%s: got %q, want one of %q", column, v, allowed)
	}
}

func (c *checks) hash(column, v string) {
	if c.err == nil && !isHash(v) {
		c.err = fmt.Errorf("%s: got %q, want 64 lower-case hex digits", column, v)
	}
}

func isHash(v string) bool {
	for i := range len(v) {
		if b := v[i]; (b < '0' || b > '9') && (b < 'a' || b > 'f') {
			return false
		}
	}
	return len(v) == 64
}

// nullable is a column's value, or nil.
type nullable[V any] struct {
	column string
	v      *V
}

func (c *checks) hashes(columns ...nullable[string]) {
	for _, n := range columns {
		if n.v != nil {
			c.hash(n.column, *n.v)
		}
	}
}

// finite checks that numbers are neither infinite nor NaN, which comparisons
// and JSON cannot take.
func (c *checks) finite(columns ...nullable[float64]) {
	for _, n := range columns {
		if n.v != nil && c.err == nil && (math.IsNaN(*n.v) || math.IsInf(*n.v, 0)) {
			c.err = fmt.Errorf("%s: got %v, want a finite number", n.column, *n.v)
		}
	}
}

// count checks that a number is not negative.
func count[N int32 | int64](c *checks, column string, v N) {
	if c.err == nil && v < 0 {
		c.err = fmt.Errorf("%s: got %d, want no negative number", column, v)
	}
}

// counts checks that those numbers that are not null are not negative.
func counts[N int32 | int64](c *checks, columns ...nullable[N]) {
	for _, n := range columns {
		if n.v != nil {
			count(c, n.column, *n.v)
		}
	}
}

func (c *checks) httpStatus(v *int32) {
	if v != nil {
		c.that(*v >= 100 && *v <= 599, "http_status", "got %d, want 100 to 599", *v)
	}
}

func (c *checks) apiFormat(v string) {
	c.oneOf("api_format", v, FormatChat, FormatResponses, FormatMessages, FormatGemini, FormatNone)
}
