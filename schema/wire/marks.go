package wire

import "bytes"

// markKey is the member by which a client asks an endpoint to keep the prefix up
// to here in its cache. Clients move it to the newest message with every request.
const markKey = "cache_control"

func mayHoldMarks(b []byte) bool {
	return bytes.Contains(b, []byte(`"`+markKey+`"`))
}

// stripMarks takes the cache marks out of a checked element. It returns nil, nil
// where there are none. Marks are looked for where dialects put them: in the
// element itself and in the parts of its content, at any depth of contents, but
// never inside a tool's arguments or schema, which are the user's data.
func stripMarks(element []byte) (bare []byte, edits []Edit) {
	if !mayHoldMarks(element) {
		return nil, nil
	}
	m := markStripper{scanner: scanner{b: element}}
	return m.strip()
}

// flatten does the same and makes a content of one text part a string. It returns
// nil where the content is anything else.
func flatten(element []byte) *Form {
	m := markStripper{scanner: scanner{b: element}, flatten: true}
	flat, edits := m.strip()
	if !m.flat || flat == nil {
		return nil
	}
	return &Form{flat, edits}
}

type markStripper struct {
	scanner
	bare    []byte
	edits   []Edit
	kept    int // element[:kept] is in bare, or cut out
	flatten bool
	flat    bool // a content was flattened
}

func (m *markStripper) strip() (bare []byte, edits []Edit) {
	m.value()
	if m.err != nil || len(m.edits) == 0 {
		return nil, nil
	}
	return append(m.bare, m.b[m.kept:]...), m.edits
}

// value looks for marks in the object, or in the objects of the array, at the
// position.
func (m *markStripper) value() {
	switch m.peek() {
	case '{':
		m.object()
	case '[':
		m.open('[')
		for first := true; m.item(first, ']'); first = false {
			m.value()
		}
	default:
		m.skip()
	}
}

// object cuts the mark with the comma before it; where the mark comes first,
// with the comma behind it.
func (m *markStripper) object() {
	m.open('{')
	before := m.i // the end of the member before, or of the brace
	for first := true; m.member(first); first = false {
		switch string(m.key) {
		case markKey:
			m.skip()
			end := m.i
			if first {
				if m.space(); m.peek() == ',' {
					end = m.i + 1
				}
			}
			m.cut(before, end)
			before = end
			continue
		case "content":
			if !m.flattened() {
				m.value()
			}
		default:
			m.skip()
		}
		before = m.i
	}
}

// flattened cuts a content of one text part down to its text, if that is what
// stands at the position.
func (m *markStripper) flattened() bool {
	if !m.flatten || m.depth != 1 || m.peek() != '[' {
		return false
	}
	s := scanner{b: m.b, i: m.i}
	start, end := s.onlyText()
	if s.err != nil || start == 0 {
		return false
	}
	m.cut(m.i, start)
	m.cut(end, s.i)
	m.i, m.flat = s.i, true
	return true
}

// onlyText moves behind the array at the position and returns where its text is.
// start is 0 where the array is anything but one part that has a type "text", a
// text and cache marks.
func (s *scanner) onlyText() (start, end int) {
	s.open('[')
	if !s.item(true, ']') || s.peek() != '{' {
		return 0, 0
	}
	s.open('{')
	typed := false
	for first := true; s.member(first); first = false {
		at := s.i
		switch string(s.key) {
		case "type":
			s.skip()
			if typed = string(s.b[at:s.i]) == `"text"`; !typed {
				return 0, 0
			}
		case "text":
			if start > 0 || s.peek() != '"' {
				return 0, 0
			}
			s.skip()
			start, end = at, s.i
		case markKey:
			s.skip()
		default:
			return 0, 0
		}
	}
	if !typed || s.item(false, ']') {
		return 0, 0
	}
	return start, end
}

func (m *markStripper) cut(from, to int) {
	kept := m.b[m.kept:from]
	m.bare = append(m.bare, kept...)
	m.kept = to
	if n := len(m.edits); n > 0 && len(kept) == 0 {
		m.edits[n-1].Ins += string(m.b[from:to])
		return
	}
	m.edits = append(m.edits, Edit{Off: len(m.bare), Ins: string(m.b[from:to])})
}
