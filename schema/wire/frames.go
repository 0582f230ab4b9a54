package wire

import "errors"

// MaxPlain is the longest plain answer that is decoded, in bytes.
const MaxPlain = 16 << 20

// Framing says how the bytes of an answer are cut into JSON texts.
type Framing uint8

const (
	// FrameAuto goes by the first byte that is not white space: a brace or a
	// bracket begins plain JSON, anything else is a stream of events. Servers
	// are not always right about their content type.
	FrameAuto     Framing = iota
	FrameSSE              // server-sent events
	FrameJSON             // one JSON text; in Gemini's dialect also an array that grows, each element an event
	FrameMessages         // whole messages of a WebSocket, each an event
)

// frames cuts what it is fed into events.
type frames struct {
	asked  Framing
	arrays bool // an array is a stream of its elements

	now    Framing // FrameAuto until the first byte that tells
	events events
	list   list
	inList bool
	body   []byte
}

func newFrames(format string, framing Framing) frames {
	return frames{asked: framing, arrays: format == FormatGemini}
}

func (f *frames) reset() {
	f.now = f.asked
	if f.asked == FrameJSON {
		f.now = FrameAuto
	}
	f.events.reset()
	f.list = list{element: f.list.element[:0]}
	f.body = f.body[:0]
}

// next reads p up to the end of its first event and returns that and what is left
// of p. ok is false when p is used up first. data is valid until the next call.
func (f *frames) next(p []byte) (data, rest []byte, ok bool, err error) {
	if f.now == FrameAuto {
		if p = f.sniff(p); len(p) == 0 {
			return nil, nil, false, nil
		}
	}
	switch {
	case f.now == FrameSSE:
		return f.events.next(p)
	case f.now == FrameMessages:
		return p, nil, len(p) > 0, nil
	case f.inList:
		return f.list.next(p)
	}
	if len(f.body)+len(p) > MaxPlain {
		return nil, nil, false, &PlainLimitError{}
	}
	f.body = append(f.body, p...)
	return nil, nil, false, nil
}

// sniff drops white space and decides by the byte behind it.
func (f *frames) sniff(p []byte) []byte {
	s := scanner{b: p}
	s.space()
	p = p[s.i:]
	if len(p) == 0 {
		return nil
	}
	f.now = FrameSSE
	if p[0] == '{' || p[0] == '[' || f.asked == FrameJSON {
		f.now = FrameJSON
		f.inList = p[0] == '[' && f.arrays
	}
	return p
}

// end takes the end of the bytes: the last event, or the plain answer.
func (f *frames) end() (data []byte, plain bool, err error) {
	switch {
	case f.now == FrameSSE:
		data, err = f.events.end()
		return data, false, err
	case f.now == FrameJSON && f.inList:
		return nil, false, f.list.end()
	case f.now == FrameJSON || f.asked == FrameJSON:
		return f.body, true, nil
	}
	return nil, false, nil
}

// PlainLimitError says that a plain answer is longer than [MaxPlain].
type PlainLimitError struct{}

func (*PlainLimitError) Error() string { return "read answer: plain JSON longer than 16 MiB" }

// list cuts a JSON array that arrives in pieces into its elements, which are
// objects or arrays.
type list struct {
	element []byte // of the chunks before, when an element straddles chunks
	depth   int    // 1 inside the array
	quoted  bool
	escaped bool
	closed  bool
}

// next is [frames.next].
func (l *list) next(p []byte) (data, rest []byte, ok bool, err error) {
	start := 0
	for i, c := range p {
		if l.depth < 2 {
			if start, err = l.between(c, i); err != nil {
				return nil, nil, false, err
			}
			continue
		}
		if !l.inside(c) {
			continue
		}
		data = p[start : i+1]
		if len(l.element) > 0 {
			l.element = append(l.element, data...)
			data = l.element
		}
		l.element = l.element[:0]
		return data, p[i+1:], true, nil
	}
	if l.depth < 2 {
		return nil, nil, false, nil
	}
	if len(l.element)+len(p)-start > MaxLine {
		return nil, nil, false, &LimitError{"an event"}
	}
	l.element = append(l.element, p[start:]...)
	return nil, nil, false, nil
}

// between takes a byte outside the elements; i is where an element begins there.
func (l *list) between(c byte, i int) (int, error) {
	switch {
	case c == ' ' || c == '\n' || c == '\r' || c == '\t':
	case l.closed:
		return 0, errors.New("read stream: text after the array")
	case l.depth == 0: // the bracket that frames saw
		l.depth = 1
	case c == '{' || c == '[':
		l.depth = 2
	case c == ']':
		l.closed = true
	case c != ',':
		return 0, errors.New("read stream: the array holds something else than events")
	}
	return i, nil
}

// inside takes a byte of an element and says whether it ends it.
func (l *list) inside(c byte) bool {
	switch {
	case l.escaped:
		l.escaped = false
	case l.quoted:
		l.escaped = c == '\\'
		l.quoted = c != '"'
	case c == '"':
		l.quoted = true
	case c == '{' || c == '[':
		l.depth++
	case c == '}' || c == ']':
		l.depth--
		return l.depth == 1
	}
	return false
}

// end says whether the array was whole. One that was cut between elements is as
// good as a stream of events that was.
func (l *list) end() error {
	if l.depth > 1 {
		return errors.New("read stream: the array was cut inside an event")
	}
	return nil
}
