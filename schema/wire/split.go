package wire

import "bytes"

// splitter cuts arrays out of a body. The text before cut is already in the
// layout.
type splitter struct {
	scanner
	layout Layout
	cut    int
	marks  bool // the body may hold cache marks
}

func newSplitter(body []byte) *splitter {
	return &splitter{scanner: scanner{b: body}, marks: mayHoldMarks(body)}
}

// messages is array for the list of messages, whose contents may be text or parts.
func (p *splitter) messages(parse func(*scanner) Element) { p.elements(parse, true) }

// array takes the array at the position for a slot. parse reads the element at
// the position and moves behind it.
func (p *splitter) array(parse func(*scanner) Element) { p.elements(parse, false) }

// value takes the value at the position, which is an element by itself, for a slot.
func (p *splitter) value(parse func(*scanner) Element) {
	start := p.i
	e := parse(&p.scanner)
	if p.err != nil {
		return
	}
	e.Bytes = p.b[start:p.i:p.i]
	if p.marks {
		e.Bare, e.Edits = stripMarks(e.Bytes)
	}
	p.slot(start, len(e.Bytes), []byte{','}, []Element{e})
}

func (p *splitter) elements(parse func(*scanner) Element, messages bool) {
	if !p.open('[') {
		return
	}
	inside := p.i
	var elements []Element
	var sep []byte
	alike := true
	end := 0 // of the element before
	for first := true; p.item(first, ']'); first = false {
		start := p.i
		e := parse(&p.scanner)
		if p.err != nil {
			return
		}
		e.Bytes = p.b[start:p.i:p.i]
		if p.marks {
			e.Bare, e.Edits = stripMarks(e.Bytes)
		}
		if messages && e.Bare != nil {
			e.Flat = flatten(e.Bytes)
		}
		switch gap := p.b[end:start]; {
		case first:
			inside = start
		case sep == nil:
			sep = gap
		case !bytes.Equal(sep, gap):
			alike = false
		}
		elements = append(elements, e)
		end = p.i
	}
	if p.err == nil {
		p.slots(inside, elements, sep, alike)
	}
}

// slots adds the elements, the first of which begins at start, to the layout.
func (p *splitter) slots(start int, elements []Element, sep []byte, alike bool) {
	if sep == nil {
		sep = p.usualSep()
	}
	if alike {
		length := 0
		for _, e := range elements {
			length += len(e.Bytes)
		}
		if n := len(elements); n > 1 {
			length += (n - 1) * len(sep)
		}
		p.slot(start, length, sep, elements)
		return
	}
	for _, e := range elements {
		// A separator holds no byte that an element begins with.
		start += bytes.IndexByte(p.b[start:], e.Bytes[0])
		p.slot(start, len(e.Bytes), []byte{','}, []Element{e})
		start += len(e.Bytes)
	}
}

func (p *splitter) slot(start, length int, sep []byte, elements []Element) {
	env := append(p.layout.Envelope, p.b[p.cut:start]...)
	env = append(env, holeByte)
	env = append(env, sep...)
	p.layout.Envelope = append(env, holeByte)
	p.layout.Slots = append(p.layout.Slots, elements)
	p.cut = start + length
}

// usualSep guesses the separator of an array that shows none, from the first
// comma between members: any choice is exact, but the right one lets a body with
// one message and the next one, with three, share an envelope.
func (p *splitter) usualSep() []byte {
	s := scanner{b: p.b}
	s.space()
	s.open('{')
	if s.member(true) {
		s.skip()
	}
	start := s.i
	s.space()
	if s.peek() != ',' {
		return []byte{','}
	}
	s.i++
	s.space()
	return p.b[start:s.i]
}

// close ends the layout with what is left of the body, which must be white space
// after the top value.
func (p *splitter) close() (Layout, error) {
	p.space()
	if p.err == nil && p.i < len(p.b) {
		p.fail(p.i, "text after the body")
	}
	if p.err != nil {
		return Layout{}, p.err
	}
	p.layout.Envelope = append(p.layout.Envelope, p.b[p.cut:]...)
	return p.layout, nil
}
