package proxy

import (
	"bytes"
	"errors"
	"fmt"
)

// maxHead is the longest head, chunk-size line or trailer section that is
// parsed; what is longer passes and is not recorded.
const maxHead = 1 << 20

// framing says how a message's body ends.
type framing uint8

const (
	noBody     framing = iota
	byLength           // after so many bytes
	byChunks           // with the chunk of size 0 and its trailers
	byClose            // with the connection
	interim            // no body, and the message's real head follows
	unframed           // no HTTP follows: an upgraded connection
	unreadable         // the message breaks the protocol: nothing after it is parsed
)

// sink takes what a parser finds in one direction of a connection. Slices are
// borrowed for the call.
type sink interface {
	// head takes a whole head, its empty line included, and says how the body
	// that follows ends; length is its bytes with byLength.
	head(raw []byte) (f framing, length int64)
	// body takes bytes of the body, without the framing of chunks.
	body(p []byte)
	// end says that the message is complete; trailers is what stood behind the
	// last chunk, or nil.
	end(trailers []byte)
	// lost says that what follows cannot be told apart.
	lost(err error)
	// took is told of bytes once they are parsed: a head's after head, those of
	// a body after body, those that end a message after end.
	took(p []byte)
}

// parser takes one direction of an HTTP/1.1 connection apart, in whatever
// pieces it comes. It passes judgement on nothing but framing.
type parser struct {
	state   state
	framing framing
	left    int64  // of the body, or of the chunk
	buf     []byte // of a head or a line that is not complete

	trailers []byte
}

type state uint8

const (
	inHead state = iota
	inBody
	inChunkSize
	inChunkEnd // the line break behind a chunk
	inTrailers
	inRaw
	inNothing // broken: the rest is ignored
)

// feed parses p.
func (p *parser) feed(b []byte, s sink) {
	for len(b) > 0 {
		rest := p.some(b, s)
		s.took(b[:len(b)-len(rest)])
		b = rest
	}
}

// some parses the beginning of b and returns the rest.
func (p *parser) some(b []byte, s sink) (rest []byte) {
	switch p.state {
	case inHead:
		return p.takeHead(b, s)
	case inBody:
		return p.takeBody(b, s)
	case inChunkSize:
		return p.takeSize(b, s)
	case inChunkEnd:
		return p.takeLine(b, s, func([]byte) { p.state = inChunkSize })
	case inTrailers:
		return p.takeTrailers(b, s)
	case inRaw:
		s.body(b)
	}
	return nil
}

// one parses b up to the end of the message under way and returns what is
// behind it; whole tells whether the end has come.
func (p *parser) one(b []byte, s sink) (rest []byte, whole bool) {
	for len(b) > 0 && p.state != inHead && p.state != inNothing {
		b = p.some(b, s)
	}
	return b, p.state == inHead
}

// skip passes over bytes of which only the number is known. ok is false where
// that loses the thread.
func (p *parser) skip(n int64) (ok bool) {
	switch {
	case p.state == inBody && p.framing == byClose, p.state == inNothing:
		return true
	case p.state == inBody && n < p.left:
		p.left -= n
		return true
	}
	p.state, p.buf, p.trailers = inNothing, nil, nil
	return false
}

// close says that the direction has ended. ok is false where that cuts a message.
func (p *parser) close(s sink) (ok bool) {
	switch {
	case p.state == inBody && p.framing == byClose, p.state == inRaw:
		p.state = inHead
		s.end(nil)
		return true
	case p.state == inHead && len(p.buf) == 0, p.state == inNothing:
		return true
	}
	p.state = inNothing
	return false
}

func (p *parser) fail(s sink, format string, args ...any) []byte {
	p.state, p.buf = inNothing, nil
	s.lost(fmt.Errorf(format, args...))
	return nil
}

var errLong = errors.New("too long")

// until appends to buf up to and including the first end, and returns what is
// left; whole is nil while the end has not come.
func (p *parser) until(b, end []byte) (whole, rest []byte, err error) {
	if len(p.buf) == 0 {
		if i := bytes.Index(b, end); i >= 0 {
			return b[:i+len(end)], b[i+len(end):], nil
		}
	}
	from := max(0, len(p.buf)-len(end)+1)
	p.buf = append(p.buf, b...)
	i := bytes.Index(p.buf[from:], end)
	if i < 0 {
		if len(p.buf) > maxHead {
			return nil, nil, errLong
		}
		return nil, nil, nil
	}
	n := from + i + len(end)
	whole, rest = p.buf[:n:n], b[len(b)-(len(p.buf)-n):]
	p.buf = nil
	return whole, rest, nil
}

var (
	crlf    = []byte("\r\n")
	newline = []byte("\n")
	headEnd = []byte("\r\n\r\n")
)

func (p *parser) takeHead(b []byte, s sink) []byte {
	if len(p.buf) == 0 { // line breaks between messages are allowed
		b = bytes.TrimLeft(b, "\r\n")
		if len(b) == 0 {
			return nil
		}
	}
	head, rest, err := p.until(b, headEnd)
	if err != nil {
		return p.fail(s, "read head: more than %d bytes", maxHead)
	}
	if head == nil {
		return nil
	}
	p.framing, p.left = s.head(head)
	switch p.framing {
	case noBody:
		s.end(nil)
	case interim:
	case byLength:
		if p.state = inBody; p.left == 0 {
			p.finish(s, nil)
		}
	case byClose:
		p.state = inBody
	case byChunks:
		p.state = inChunkSize
	case unframed:
		p.state = inRaw
	default:
		p.state = inNothing
	}
	return rest
}

func (p *parser) finish(s sink, trailers []byte) {
	p.state = inHead
	s.end(trailers)
}

func (p *parser) takeBody(b []byte, s sink) []byte {
	if p.framing == byClose {
		s.body(b)
		return nil
	}
	n := min(int64(len(b)), p.left)
	s.body(b[:n])
	if p.left -= n; p.left == 0 {
		if p.framing == byChunks {
			p.state = inChunkEnd
		} else {
			p.finish(s, nil)
		}
	}
	return b[n:]
}

// takeLine waits for a line and hands it on without its break.
func (p *parser) takeLine(b []byte, s sink, line func([]byte)) []byte {
	whole, rest, err := p.until(b, newline)
	if err != nil {
		return p.fail(s, "read chunk: a line of more than %d bytes", maxHead)
	}
	if whole != nil {
		line(bytes.TrimRight(whole, "\r\n"))
	}
	return rest
}

func (p *parser) takeSize(b []byte, s sink) []byte {
	return p.takeLine(b, s, func(line []byte) {
		n, ok := chunkSize(line)
		switch {
		case !ok:
			p.fail(s, "read chunk: size %.40q is no number", line)
		case n == 0:
			p.state = inTrailers
		default:
			p.state, p.left = inBody, n
		}
	})
}

// chunkSize reads a chunk's size and leaves out its extensions.
func chunkSize(line []byte) (n int64, ok bool) {
	digits, _, _ := bytes.Cut(line, []byte(";"))
	digits = bytes.TrimSpace(digits)
	if len(digits) == 0 || len(digits) > 15 {
		return 0, false
	}
	for _, c := range digits {
		d := unhex(c)
		if d < 0 {
			return 0, false
		}
		n = n<<4 | int64(d)
	}
	return n, true
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// takeTrailers takes lines up to the empty one behind the last chunk.
func (p *parser) takeTrailers(b []byte, s sink) []byte {
	return p.takeLine(b, s, func(line []byte) {
		switch t := p.trailers; {
		case len(line) == 0:
			p.trailers = nil
			p.finish(s, t)
		case len(t)+len(line) > maxHead:
			p.fail(s, "read trailers: more than %d bytes", maxHead)
		default:
			p.trailers = append(append(t, line...), crlf...)
		}
	})
}
