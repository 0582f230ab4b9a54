package wire

import (
	"bytes"
	"fmt"
)

// MaxLine is the longest line of a stream, and the longest event, in bytes.
const MaxLine = 1 << 20

// LimitError says that a stream holds a line or an event of more than MaxLine
// bytes.
type LimitError struct{ What string }

func (e *LimitError) Error() string {
	return fmt.Sprintf("read stream: %s longer than %d bytes", e.What, MaxLine)
}

// events cuts a stream of server-sent events into the data of its events, as the
// HTML standard says: lines end in LF, CR or CRLF, an empty line ends an event,
// several data lines are joined by LF, comments and other fields are passed over.
// A data line that lies whole in a chunk is handed out without being copied.
type events struct {
	line    []byte // of the chunks before, when a line straddles chunks
	data    []byte // of the event, when it cannot be borrowed
	lent    []byte // the event's only data line, in the chunk at hand
	lines   int    // data lines of the event so far
	skipLF  bool   // a CR ended the line before
	started bool
}

// next reads p up to the end of the first event with data and returns that and
// what is left of p. ok is false when p is used up first. data is valid until the
// next call.
func (e *events) next(p []byte) (data, rest []byte, ok bool, err error) {
	for len(p) > 0 {
		if e.skipLF {
			e.skipLF = false
			if p[0] == '\n' {
				p = p[1:]
				continue
			}
		}
		n := lineEnd(p)
		if len(e.line)+n > MaxLine {
			return nil, nil, false, &LimitError{"a line"}
		}
		if n == len(p) {
			e.line = append(e.line, p...)
			break
		}
		line, whole := p[:n], len(e.line) == 0
		if !whole {
			e.line = append(e.line, line...)
			line = e.line
			e.line = e.line[:0]
		}
		e.skipLF = p[n] == '\r'
		p = p[n+1:]
		if len(line) > 0 {
			if err := e.field(line, whole); err != nil {
				return nil, nil, false, err
			}
		} else if data := e.dispatch(); len(data) > 0 {
			return data, p, true, nil
		}
	}
	e.own()
	return nil, nil, false, nil
}

// lineEnd is the index of the first LF or CR, or len(p).
func lineEnd(p []byte) int {
	n := bytes.IndexByte(p, '\n')
	if n < 0 {
		n = len(p)
	}
	if cr := bytes.IndexByte(p[:n], '\r'); cr >= 0 {
		return cr
	}
	return n
}

// field takes one line. whole says that it lies in the chunk at hand.
func (e *events) field(line []byte, whole bool) error {
	if !e.started {
		e.started = true
		line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
	}
	name, value, _ := bytes.Cut(line, []byte{':'})
	// Early llama-server sent its errors in a field of that name.
	if string(name) != "data" && string(name) != "error" {
		return nil
	}
	value = bytes.TrimPrefix(value, []byte{' '})
	e.lines++
	if e.lines == 1 && whole {
		e.lent = value
		return nil
	}
	e.own()
	if len(e.data)+len(value) >= MaxLine {
		return &LimitError{"an event"}
	}
	if e.lines > 1 {
		e.data = append(e.data, '\n')
	}
	e.data = append(e.data, value...)
	return nil
}

// own copies what is borrowed from the chunk at hand.
func (e *events) own() {
	if e.lent != nil {
		e.data = append(e.data[:0], e.lent...)
		e.lent = nil
	}
}

// dispatch ends the event and returns its data.
func (e *events) dispatch() []byte {
	data := e.lent
	if data == nil && e.lines > 0 {
		data = e.data
	}
	e.lent, e.data, e.lines = nil, e.data[:0], 0
	return data
}

// end takes what stands between the last empty line and the end of the stream:
// servers that close early leave the empty line out.
func (e *events) end() ([]byte, error) {
	if len(e.line) > 0 {
		line := e.line
		e.line = e.line[:0]
		if err := e.field(line, false); err != nil {
			return nil, err
		}
	}
	return e.dispatch(), nil
}

// reset forgets the stream and keeps the buffers.
func (e *events) reset() { *e = events{line: e.line[:0], data: e.data[:0]} }
