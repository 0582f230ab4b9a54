package plan

import "fmt"

// class is where an atom stands in template order.
type class uint8

const (
	classSystem class = iota // the system messages that a context begins with
	classTools
	classRest
)

// atom is a run of a body's bytes that contexts share as a whole or not at all:
// one element, or a stretch of synthesised messages. Equal atoms of a session
// have equal indexes.
type atom struct {
	class  class
	user   bool // its salt point lies in a user message
	joins  bool // goes on in the element that the atom before it began
	salt   int  // offset of the salt point, or noSalt, or unasked
	size   int  // bytes
	commas int  // of these, commas between elements, which are no part of the prompt
	tokens int64
	write  func(dst []byte) []byte // appends exactly size bytes
}

const (
	noSalt  = -1
	unasked = -2 // text.go looks for it when it matters
)

// unknown stands for a count of tokens that the source does not give.
const unknown = -1

// elements are what one step sends: its messages and its tools, as atoms.
type elements struct {
	messages, tools []int32
}

// source gives the atoms of a session.
type source interface {
	elements(st *draftStep) (elements, error) // borrowed until the next call
	table() []atom                            // all atoms that were named so far
}

// appendExact runs an atom's write and holds it to its size.
func (a *atom) appendExact(dst []byte) []byte {
	before := len(dst)
	dst = a.write(dst)
	if len(dst)-before != a.size {
		panic(fmt.Sprintf("plan: internal error: atom wrote %d bytes, want %d", len(dst)-before, a.size))
	}
	return dst
}
