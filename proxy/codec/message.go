package codec

import (
	"fmt"
	"io"
)

// assembly is a message under way.
type assembly struct {
	Message
	limit    int
	deflated bool
	packed   int64 // compressed bytes
}

// keep appends plain bytes, up to the limit.
func (m *assembly) keep(plain []byte) {
	m.Size += int64(len(plain))
	if m.Size > int64(m.limit) {
		m.fail(TooLarge, fmt.Errorf("more than %d bytes", m.limit))
		m.Plain = nil
		return
	}
	m.Plain = append(m.Plain, plain...)
}

// fail marks the message, unless something is wrong with it already.
func (m *assembly) fail(f Fault, err error) {
	if m.Err == nil {
		m.Err = &DecodeError{Coding: "websocket", Fault: f, Wire: m.Wire, Plain: m.Size, Err: err}
	}
}

// inflation decompresses the messages of one direction. Between messages it is
// no more than the window that the next one may refer to.
type inflation struct {
	reset bool
	bits  int
	back  []byte // the window: what was said last
	lost  bool   // a message that later ones refer to was not decompressed

	stream *stream // of the message under way, nil once it failed
}

// perMessage guards against bombs. Size is the business of assembly.keep.
var perMessage = Limit{Plain: 1 << 40}.withDefaults()

func (f *inflation) begin(m *assembly) {
	if f.lost {
		m.fail(Lost, nil)
		return
	}
	dict := f.back[max(0, len(f.back)-1<<f.bits):] // the coroutine must not hold f: see routine
	f.stream = newStream(func(src io.Reader) layer { return newInflater(src, dict) })
}

func (f *inflation) feed(m *assembly, part []byte) {
	m.packed += int64(len(part))
	if f.stream != nil && !f.stream.feed(part, f.sink(m)) {
		f.settle(m)
	}
}

// sink keeps what comes out, for the message and as the window of the next.
func (f *inflation) sink(m *assembly) func([]byte) bool {
	return func(plain []byte) bool {
		if err := perMessage.check(m.packed, m.Size+int64(len(plain))); err != nil {
			m.fail(TooLarge, err)
			f.lost = !f.reset
			return false
		}
		m.keep(plain)
		f.remember(plain)
		return true
	}
}

// remember slides the window. It moves it once for a quarter of its size and not
// for each piece, which may be a single byte.
func (f *inflation) remember(plain []byte) {
	if f.reset {
		return
	}
	size := 1 << f.bits
	plain = plain[max(0, len(plain)-size):]
	if most := size + size/4; len(f.back)+len(plain) > cap(f.back) && cap(f.back) < most {
		grown := make([]byte, len(f.back), min(most, max(2*cap(f.back), len(f.back)+len(plain))))
		copy(grown, f.back)
		f.back = grown
	}
	if len(f.back)+len(plain) > cap(f.back) {
		f.back = f.back[:copy(f.back, f.back[max(0, len(f.back)+len(plain)-size):])]
	}
	f.back = append(f.back, plain...)
}

// ending is what a sender leaves out at the end of each message, and a last
// block, which makes an end for the decoder.
var ending = []byte{0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff}

func (f *inflation) end(m *assembly) {
	if f.stream == nil {
		return
	}
	if f.stream.feed(ending, f.sink(m)) {
		f.stream.finish(f.sink(m))
	}
	if f.stream != nil {
		f.settle(m)
	}
}

// settle takes note of how the message's stream ended.
func (f *inflation) settle(m *assembly) {
	if err := f.stream.err; err != nil && m.Err == nil {
		m.fail(faultOf(err), err)
	}
	if f.stream.err != nil {
		f.lost = !f.reset
	}
	f.stream = nil
}

// cut ends the message in the middle.
func (f *inflation) cut() {
	if f.stream != nil {
		f.stream.close()
		f.stream = nil
	}
}
