package codec

import (
	"fmt"
	"io"
	"strings"
)

// Limit bounds what a body may decode to.
type Limit struct {
	Plain int64 // plain bytes in all; default 1 GiB
	Ratio int64 // plain bytes for each wire byte, beyond the first MiB; default 1100, just over what deflate can reach
}

// freeRatio is how much may come out whatever the ratio: small bodies of one
// repeated byte are no bombs.
const freeRatio = 1 << 20

func (l Limit) withDefaults() Limit {
	if l.Plain == 0 {
		l.Plain = 1 << 30
	}
	if l.Ratio == 0 {
		l.Ratio = 1100
	}
	return l
}

func (l Limit) check(wire, plain int64) error {
	switch {
	case plain > l.Plain:
		return fmt.Errorf("more than %d bytes", l.Plain)
	case plain > freeRatio && plain/l.Ratio > wire:
		return fmt.Errorf("%d wire bytes gave more than %d each", wire, l.Ratio)
	}
	return nil
}

// maxStack is how many codings a body may have: each takes memory.
const maxStack = 3

// Decoder turns the wire bytes of one body into plain bytes. Its zero value is
// not usable.
type Decoder struct {
	coding string
	codes  []string // in the order they were applied; none for identity
	limit  Limit
	stream *stream // from the first byte to the end of the chain
	begun  bool
	ended  bool
	wire   int64
	plain  int64
	err    error
	emit   func([]byte) // of the running call
	count  func([]byte) bool
}

// NewDecoder returns a decoder for the value of a Content-Encoding header: a
// list of codings in the order in which they were applied. For a coding that it
// does not know, it returns a *DecodeError.
func NewDecoder(coding string, limit Limit) (*Decoder, error) {
	d := &Decoder{coding: coding, limit: limit.withDefaults()}
	for c := range strings.SplitSeq(coding, ",") {
		c = strings.ToLower(strings.TrimSpace(c))
		switch c {
		case "", "identity":
		case "gzip", "x-gzip", "deflate", "br", "zstd":
			d.codes = append(d.codes, c)
		default:
			return nil, &DecodeError{Coding: coding, Fault: Unsupported}
		}
	}
	if len(d.codes) > maxStack {
		return nil, &DecodeError{Coding: coding, Fault: Unsupported, Err: fmt.Errorf("%d codings on top of each other", len(d.codes))}
	}
	d.count = d.take
	return d, nil
}

// Wire is how many bytes were fed, those behind an error included.
func (d *Decoder) Wire() int64 { return d.wire }

// Plain is how many bytes were handed out.
func (d *Decoder) Plain() int64 { return d.plain }

// Feed decodes wire, and calls emit for the plain bytes that it makes known,
// which are valid until emit returns. After an error, which is a *DecodeError and
// stays, it only counts.
func (d *Decoder) Feed(wire []byte, emit func(plain []byte)) error {
	d.wire += int64(len(wire))
	if d.err != nil || len(wire) == 0 {
		return d.err
	}
	d.emit = emit
	switch {
	case len(d.codes) == 0:
		d.identity(wire)
	case d.ended:
		d.fail(Trailing, nil)
	default:
		if !d.begun {
			d.begun = true
			codes := d.codes // the coroutine must not hold d: see routine
			d.stream = newStream(func(src io.Reader) layer { return openChain(codes, src) })
		}
		if !d.stream.feed(wire, d.count) {
			d.done()
		}
	}
	d.emit = nil
	return d.err
}

// Close says that the body ended, hands out what had waited for that, and frees
// the decoder's memory. A body of no bytes at all is complete in any coding:
// answers to HEAD name one as well. It returns the error of the whole.
func (d *Decoder) Close(emit func(plain []byte)) error {
	if d.stream != nil {
		d.emit = emit
		d.stream.finish(d.count)
		d.done()
		d.emit = nil
	}
	d.ended = true
	return d.err
}

// identity passes bytes through, up to the limit.
func (d *Decoder) identity(b []byte) {
	if left := d.limit.Plain - d.plain; int64(len(b)) > left {
		b = b[:left]
		d.fail(TooLarge, d.limit.check(d.wire, d.limit.Plain+1))
	}
	if len(b) > 0 {
		d.plain += int64(len(b))
		d.emit(b)
	}
}

// take hands out what the chain decoded. It returns false to stop the chain.
func (d *Decoder) take(plain []byte) bool {
	if err := d.limit.check(d.stream.src.used, d.plain+int64(len(plain))); err != nil {
		d.fail(TooLarge, err)
		return false
	}
	d.plain += int64(len(plain))
	d.emit(plain)
	return true
}

// done takes note of how the chain ended.
func (d *Decoder) done() {
	if err := d.stream.err; err != nil && d.err == nil {
		d.fail(faultOf(err), err)
	}
	d.stream, d.ended = nil, true
}

func (d *Decoder) fail(f Fault, err error) {
	at := d.wire
	if d.stream != nil {
		at = d.stream.src.used
	}
	d.err = &DecodeError{Coding: d.coding, Fault: f, Wire: at, Plain: d.plain, Err: err}
}

// chain is layers on top of each other, the last one on top.
type chain []watched

// watched remembers how a layer ended. Some decoders take an error of what they
// read from for an end.
type watched struct {
	layer
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.layer.Read(p)
	if err != nil {
		w.err = err
	}
	return n, err
}

// Read reports the error of the lowest layer: it explains those above.
func (c chain) Read(p []byte) (int, error) {
	n, err := c[len(c)-1].Read(p)
	if err == nil {
		return n, nil
	}
	for _, l := range c {
		if l.err != nil && l.err != io.EOF {
			return n, l.err
		}
	}
	return n, err
}

func (c chain) free() {
	for _, l := range c {
		l.free()
	}
}

// openChain stacks the layers, the coding that was applied last at the bottom.
func openChain(codes []string, src io.Reader) layer {
	c := make(chain, len(codes))
	for i := range c {
		switch codes[len(codes)-1-i] {
		case "br":
			c[i].layer = newBrotli(src)
		case "zstd":
			c[i].layer = newZstd(src)
		case "deflate":
			c[i].layer = &deflated{inflater: newInflater(src, nil)}
		default:
			c[i].layer = &gzipped{inflater: newInflater(src, nil)}
		}
		src = &c[i]
	}
	return c
}
