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
	m.value()
	if m.err != nil || len(m.edits) == 0 {
		return nil, nil
	}
	return append(m.bare, element[m.kept:]...), m.edits
}

type markStripper struct {
	scanner
	bare  []byte
	edits []Edit
	kept  int // element[:kept] is in bare, or cut out
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
			m.value()
		default:
			m.skip()
		}
		before = m.i
	}
}

func (m *markStripper) cut(from, to int) {
	m.bare = append(m.bare, m.b[m.kept:from]...)
	m.edits = append(m.edits, Edit{Off: len(m.bare), Ins: string(m.b[from:to])})
	m.kept = to
}
