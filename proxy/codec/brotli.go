package codec

import (
	"io"
	"sync"

	"github.com/andybalholm/brotli"
)

// brotlied is "br" (RFC 7932). The library's reader does not say that it reached
// the end of the stream, and takes some ends for trailing bytes. So it is given
// its input through gate, which tells the cases apart.
type brotlied struct {
	*brotli.Reader
	gate gate
	done bool
}

// gate hands input to the library. It first claims that there is none, which
// makes the library say whether the stream is complete and changes nothing else.
// A few bytes are handed over one by one: a stream that ends with a byte handed
// over alone ends there, whatever the library says about excess. It is wrong
// about that for up to 8 bytes at the start of what it is given.
type gate struct {
	src   io.Reader
	open  bool
	few   [8]byte
	left  []byte // of few
	alone bool   // the latest was a single byte
	err   error  // of src
}

func (g *gate) Read(p []byte) (int, error) {
	if !g.open {
		return 0, io.EOF
	}
	g.open = false
	if len(g.left) == 0 {
		n, err := g.src.Read(p)
		if n > len(g.few) || n == 0 {
			g.alone, g.err = false, err
			return n, err
		}
		g.left = g.few[:copy(g.few[:], p[:n])]
	}
	p[0] = g.left[0]
	g.left, g.alone = g.left[1:], true
	return 1, nil
}

var brotlis = sync.Pool{New: func() any { return brotli.NewReader(nil) }}

func newBrotli(src io.Reader) *brotlied {
	b := &brotlied{Reader: brotlis.Get().(*brotli.Reader), gate: gate{src: src}}
	b.Reset(&b.gate)
	return b
}

func (b *brotlied) Read(p []byte) (int, error) {
	for !b.done {
		n, err := b.Reader.Read(p)
		switch {
		case err == nil:
			return n, nil
		case err == io.EOF:
			b.done = true
		case err == io.ErrUnexpectedEOF && b.gate.err == nil:
			b.gate.open = true
		case err.Error() == "brotli: excessive input": // not exported
			if !b.gate.alone {
				return n, errTrailing
			}
			b.done = true
		default:
			return n, err
		}
		if n > 0 {
			return n, nil
		}
	}
	var one [1]byte
	b.gate.open = true
	n, err := b.gate.Read(one[:])
	if n > 0 {
		return 0, errTrailing
	}
	return 0, err
}

func (b *brotlied) free() {
	b.Reset(nil)
	brotlis.Put(b.Reader)
}
