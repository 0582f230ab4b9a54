package codec

import (
	"encoding/binary"
	"fmt"
	"sync"
)

// Op is the kind of a WebSocket frame or message (RFC 6455, section 5.2).
type Op uint8

const (
	Continuation Op = 0 // of frames only
	Text         Op = 1
	Binary       Op = 2
	Close        Op = 8
	Ping         Op = 9
	Pong         Op = 10
)

func (o Op) control() bool { return o >= Close }

// SocketConfig says what a Socket reads.
type SocketConfig struct {
	FromClient bool    // the bytes are the client's: its frames are masked, the server's are not
	Deflate    Deflate // as ParseExtensions found it
	MaxMessage int     // plain bytes of a message that are kept; default 64 MiB
}

// Message is one message, or one control frame.
type Message struct {
	Op     Op
	Plain  []byte // unmasked and decompressed; valid until emit returns
	Size   int64  // plain bytes of the message; more than Plain holds if Err is set
	From   int64  // offset of its first byte on the wire, counted from the first fed
	To     int64  // offset behind its last byte; control frames and frames' headers lie within
	Wire   int64  // bytes of its own frames with their headers
	Frames int
	Err    error // a *DecodeError if Plain is not the whole message
}

// SocketError says where the bytes stop being WebSocket frames.
type SocketError struct {
	Offset int64 // of the frame that is wrong
	Reason string
}

func (e *SocketError) Error() string {
	return fmt.Sprintf("websocket frame at byte %d: %s", e.Offset, e.Reason)
}

// Socket reads one direction of a WebSocket. It checks the framing, but not that
// text is UTF-8: that is for whoever reads the text.
type Socket struct {
	cfg  SocketConfig
	off  int64 // bytes fed
	err  error
	head header
	data *assembly // of the message under way, nil between messages
	ctrl []byte    // payload of the control frame under way

	inflate inflation
	shut    bool // a close frame was seen
}

// header is the frame at the position.
type header struct {
	b    [14]byte
	have int // bytes of b
	open bool
	at   int64 // where the frame starts
	op   Op
	fin  bool
	left int64 // payload to come
	size int64
	mask [4]byte
	turn int // next byte of mask
}

// NewSocket returns a reader of the bytes behind the handshake.
func NewSocket(cfg SocketConfig) *Socket {
	if cfg.MaxMessage == 0 {
		cfg.MaxMessage = 64 << 20
	}
	s := &Socket{cfg: cfg}
	s.inflate.reset, s.inflate.bits = cfg.Deflate.side(cfg.FromClient)
	return s
}

// Offset is how many bytes were fed, those behind an error included.
func (s *Socket) Offset() int64 { return s.off }

// scratches hold payload while it is unmasked: fed bytes are not the socket's to
// change.
var scratches = sync.Pool{New: func() any { return new([4 << 10]byte) }}

// Feed reads wire, and calls emit for each message that it completes. After an
// error, which is a *SocketError and stays, it only counts. A message that can't
// be decoded or is too long is no error: its Err says so, and reading goes on.
func (s *Socket) Feed(wire []byte, emit func(Message)) error {
	for len(wire) > 0 && s.err == nil {
		if !s.head.open {
			wire = s.header(wire)
		} else {
			wire = s.payload(wire)
		}
		if s.err == nil && s.head.open && s.head.left == 0 {
			s.frameEnd(emit)
		}
	}
	s.off += int64(len(wire)) // behind an error
	return s.err
}

// Close says that nothing follows. A message under way is emitted as far as it
// came, with an Err.
func (s *Socket) Close(emit func(Message)) error {
	if s.data != nil {
		m := s.data
		s.data = nil
		if m.deflated {
			s.inflate.cut()
		}
		m.fail(Truncated, nil)
		m.To = s.off
		emit(m.Message)
	}
	inside := s.head.open || s.head.have > 0
	if s.err == nil && inside && !s.shut {
		s.fail("the stream ends inside it")
	}
	return s.err
}

func (s *Socket) fail(reason string) {
	s.err = &SocketError{Offset: s.head.at, Reason: reason}
}

// header collects the bytes of a frame's header and reads it when complete.
func (s *Socket) header(wire []byte) []byte {
	h := &s.head
	if h.have == 0 {
		h.at = s.off
	}
	for len(wire) > 0 && h.have < h.want() {
		h.b[h.have] = wire[0]
		h.have++
		s.off++
		wire = wire[1:]
	}
	if h.have == h.want() {
		s.begin()
	}
	return wire
}

// want is how long the header is, as far as its bytes tell.
func (h *header) want() int {
	n := 2
	if h.have >= 2 {
		switch h.b[1] & 0x7f {
		case 126:
			n += 2
		case 127:
			n += 8
		}
		if h.b[1]&0x80 != 0 {
			n += 4
		}
	}
	return n
}

// begin checks the complete header and opens the frame.
func (s *Socket) begin() {
	h := &s.head
	h.op, h.fin = Op(h.b[0]&0x0f), h.b[0]&0x80 != 0
	size, ok := h.length()
	h.left, h.size, h.turn = size, size, 0
	if h.b[1]&0x80 != 0 {
		h.mask = [4]byte(h.b[h.have-4 : h.have])
	}
	if reason := s.check(ok); reason != "" {
		s.fail(reason)
		return
	}
	h.open = true
	if h.op.control() {
		s.ctrl = s.ctrl[:0]
		return
	}
	if s.data == nil {
		s.data = &assembly{Message: Message{Op: h.op, From: h.at}, limit: s.cfg.MaxMessage, deflated: h.b[0]&0x40 != 0}
		if s.data.deflated {
			s.inflate.begin(s.data)
		}
	}
	s.data.Wire += int64(h.have)
	s.data.Frames++
}

func (h *header) length() (size int64, ok bool) {
	switch n := h.b[1] & 0x7f; n {
	case 126:
		size = int64(binary.BigEndian.Uint16(h.b[2:]))
		return size, size > 125
	case 127:
		size = int64(binary.BigEndian.Uint64(h.b[2:]))
		return size, size > 0xffff // a set top bit makes it negative
	default:
		return int64(n), true
	}
}

// check returns what is wrong with the header.
func (s *Socket) check(lengthOK bool) string {
	h := &s.head
	first := h.op == Text || h.op == Binary
	switch {
	case s.shut:
		return "it follows a close frame"
	case !first && h.op != Continuation && (h.op < Close || h.op > Pong):
		return fmt.Sprintf("opcode %d is reserved", h.op)
	case h.b[0]&0x30 != 0 || h.b[0]&0x40 != 0 && !(first && s.cfg.Deflate.On):
		return "a reserved bit is set"
	case !lengthOK:
		return "its length is not in the shortest form, or too large"
	case h.op.control() && (!h.fin || h.size > 125):
		return "a control frame in fragments, or over 125 bytes"
	case h.op == Close && h.size == 1:
		return "a close frame with half a status code"
	case h.op == Continuation && s.data == nil:
		return "it continues no message"
	case first && s.data != nil:
		return "it starts a message inside another one"
	case s.cfg.FromClient && h.b[1]&0x80 == 0:
		return "a client's frame without a mask"
	case !s.cfg.FromClient && h.b[1]&0x80 != 0:
		return "a server's frame with a mask"
	}
	return ""
}

// payload takes what wire has of the open frame's payload.
func (s *Socket) payload(wire []byte) []byte {
	h := &s.head
	n := int(min(int64(len(wire)), h.left))
	part := wire[:n]
	if s.cfg.FromClient {
		buf := scratches.Get().(*[4 << 10]byte)
		defer scratches.Put(buf)
		n = min(n, len(buf))
		part = buf[:n]
		for i, c := range wire[:n] {
			part[i] = c ^ h.mask[(h.turn+i)&3]
		}
		h.turn += n
	}
	h.left -= int64(n)
	s.off += int64(n)
	switch {
	case h.op.control():
		s.ctrl = append(s.ctrl, part...)
	case s.data.deflated:
		s.inflate.feed(s.data, part)
	default:
		s.data.keep(part)
	}
	return wire[n:]
}

// frameEnd closes the frame, and the message with its last frame.
func (s *Socket) frameEnd(emit func(Message)) {
	h := &s.head
	wire := int64(h.have) + h.size
	h.open, h.have = false, 0
	if h.op.control() {
		s.shut = s.shut || h.op == Close
		emit(Message{Op: h.op, Plain: s.ctrl, Size: h.size, From: h.at, To: s.off, Wire: wire, Frames: 1})
		return
	}
	s.data.Wire += h.size
	if !h.fin {
		return
	}
	m := s.data
	s.data = nil
	if m.deflated {
		s.inflate.end(m)
	}
	m.To = s.off
	emit(m.Message)
}
