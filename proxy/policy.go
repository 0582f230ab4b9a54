package proxy

import (
	"iter"

	"github.com/capstan-bench/capstan/proxy/journal"
)

// Policy says what may be kept, and takes out the rest.
type Policy interface {
	// Head is a request or status line with its fields, as they may be kept. It
	// also learns the credentials that stand in them.
	Head(line string, fields iter.Seq2[string, string]) journal.Head
	// Redactor is for one body.
	Redactor() Redactor
}

// Redactor takes what may not be kept out of a body, which comes in pieces. It
// puts something of the same length in its place, and may hold back the end of a
// piece until it knows what follows.
type Redactor interface {
	Feed(p []byte, emit func(p []byte))
	Flush(emit func(p []byte))
}
