package codec

import (
	"bytes"
	"encoding/binary"

	"github.com/klauspost/compress/flate"
)

// Frame is one WebSocket frame to be sent.
type Frame struct {
	Op       Op
	Fin      bool
	Deflated bool // the first frame of a compressed message
	Masked   bool // by Mask, as clients must
	Mask     [4]byte
	Payload  []byte // as it goes out, but for the mask
}

// AppendFrame appends the frame's bytes to dst. It checks nothing, so that tests
// can send what no peer should.
func AppendFrame(dst []byte, f Frame) []byte {
	first := byte(f.Op)
	if f.Fin {
		first |= 0x80
	}
	if f.Deflated {
		first |= 0x40
	}
	var mask byte
	if f.Masked {
		mask = 0x80
	}
	switch n := len(f.Payload); {
	case n <= 125:
		dst = append(dst, first, mask|byte(n))
	case n <= 0xffff:
		dst = binary.BigEndian.AppendUint16(append(dst, first, mask|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, first, mask|127), uint64(n))
	}
	if !f.Masked {
		return append(dst, f.Payload...)
	}
	dst = append(dst, f.Mask[:]...)
	for i, c := range f.Payload {
		dst = append(dst, c^f.Mask[i&3])
	}
	return dst
}

// Framer writes the messages of one side, for tests and scripted peers.
type Framer struct {
	client   bool
	deflate  bool
	reset    bool
	mask     uint32
	packed   bytes.Buffer
	deflater *flate.Writer
}

// NewFramer returns a writer of the client's or the server's messages. seed
// starts the sequence of masks: a client of the open web needs unpredictable
// ones, a scripted one needs the same each time.
func NewFramer(client bool, d Deflate, seed uint32) *Framer {
	f := &Framer{client: client, deflate: d.On, mask: seed}
	var bits int
	f.reset, bits = d.side(client)
	if d.On {
		w, err := flate.NewWriterWindow(&f.packed, 1<<bits)
		if err != nil {
			panic("codec: internal error: " + err.Error()) // bits are 9 to 15
		}
		f.deflater = w
	}
	return f
}

// AppendMessage appends a message in one frame, compressed where that was agreed
// on and the message is no control frame.
func (f *Framer) AppendMessage(dst []byte, op Op, payload []byte) []byte {
	return f.AppendMessageIn(dst, op, payload, len(payload)+1<<16)
}

// AppendMessageIn is AppendMessage in fragments of at most n bytes.
func (f *Framer) AppendMessageIn(dst []byte, op Op, payload []byte, n int) []byte {
	frame := Frame{Op: op, Masked: f.client}
	if f.deflate && !op.control() {
		frame.Deflated = true
		payload = f.compress(payload)
	}
	for {
		frame.Payload = payload[:min(n, len(payload))]
		payload = payload[len(frame.Payload):]
		frame.Fin = len(payload) == 0
		if f.client {
			f.mask = f.mask*1664525 + 1013904223
			binary.BigEndian.PutUint32(frame.Mask[:], f.mask)
		}
		dst = AppendFrame(dst, frame)
		if frame.Fin {
			return dst
		}
		frame.Op, frame.Deflated = Continuation, false
	}
}

// compress flushes the message to a byte boundary and drops the end of the
// flush, which every message would have.
func (f *Framer) compress(payload []byte) []byte {
	f.packed.Reset()
	if f.reset {
		f.deflater.Reset(&f.packed)
	}
	f.deflater.Write(payload)
	f.deflater.Flush()
	return bytes.TrimSuffix(f.packed.Bytes(), []byte{0, 0, 0xff, 0xff})
}
