package codec

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash"
	"hash/adler32"
	"hash/crc32"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

// inflater is the layer under gzip and deflate. Framing is read here and not by
// the libraries: they hold back the last plain bytes until the trailer is there.
type inflater struct {
	in  *bufio.Reader
	out io.ReadCloser
}

var inflaters = sync.Pool{New: func() any {
	in := bufio.NewReaderSize(nil, 1<<10)
	return &inflater{in: in, out: flate.NewReader(in)}
}}

// newInflater reads raw deflate from src. The window holds dict at first.
func newInflater(src io.Reader, dict []byte) *inflater {
	f := inflaters.Get().(*inflater)
	f.in.Reset(src)
	f.restart(dict)
	return f
}

func (f *inflater) restart(dict []byte) {
	if err := f.out.(flate.Resetter).Reset(f.in, dict); err != nil {
		panic("codec: internal error: " + err.Error()) // documented as always nil
	}
}

func (f *inflater) Read(p []byte) (int, error) { return f.out.Read(p) }

func (f *inflater) free() {
	f.in.Reset(nil)
	f.restart(nil)
	inflaters.Put(f)
}

// rest is nil when nothing follows in src.
func rest(src *bufio.Reader) error {
	switch _, err := src.ReadByte(); err {
	case nil:
		return errTrailing
	case io.EOF:
		return nil
	default:
		return err
	}
}

// full reads all of p. Any end inside is unexpected.
func full(r io.Reader, p []byte) error {
	_, err := io.ReadFull(r, p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// deflated is "deflate": zlib's framing (RFC 1950), as the standard says, or raw
// deflate, as some servers send.
type deflated struct {
	*inflater
	sum  hash.Hash32 // nil for raw deflate
	open bool
}

func (d *deflated) Read(p []byte) (int, error) {
	if !d.open {
		if err := d.header(); err != nil {
			return 0, err
		}
		d.open = true
	}
	n, err := d.inflater.Read(p)
	if d.sum != nil {
		d.sum.Write(p[:n])
	}
	if err != io.EOF {
		return n, err
	}
	if n > 0 {
		return n, nil // the trailer may be a long time coming
	}
	if d.sum != nil {
		var b [4]byte
		if err := full(d.in, b[:]); err != nil {
			return 0, err
		}
		if binary.BigEndian.Uint32(b[:]) != d.sum.Sum32() {
			return 0, errors.New("zlib: wrong checksum")
		}
	}
	if err := rest(d.in); err != nil {
		return 0, err
	}
	return 0, io.EOF
}

// header skips zlib's header where there is one. Raw deflate looks like it only
// when it starts with a stored block of a length that fits by chance.
func (d *deflated) header() error {
	b, err := d.in.Peek(2)
	if err != nil {
		return full(d.in, make([]byte, 2)) // as it would have ended
	}
	if b[0]&0x0f != 8 || b[0]>>4 > 7 || (uint(b[0])<<8|uint(b[1]))%31 != 0 {
		return nil
	}
	if b[1]&0x20 != 0 {
		return errors.New("zlib: needs a dictionary")
	}
	d.sum = adler32.New()
	_, err = d.in.Discard(2)
	return err
}

// gzipped is "gzip": members one after another (RFC 1952).
type gzipped struct {
	*inflater
	crc  uint32
	size uint32
	open bool
	any  bool // a member was read to its end
}

func (g *gzipped) Read(p []byte) (int, error) {
	for {
		if !g.open {
			if err := g.header(); err != nil {
				return 0, err
			}
			g.open = true
		}
		n, err := g.inflater.Read(p)
		g.crc = crc32.Update(g.crc, crc32.IEEETable, p[:n])
		g.size += uint32(n)
		if n > 0 && err == io.EOF {
			return n, nil // the trailer may be a long time coming
		}
		if err != io.EOF {
			return n, err
		}
		if err := g.trailer(); err != nil {
			return 0, err
		}
	}
}

func (g *gzipped) trailer() error {
	var b [8]byte
	if err := full(g.in, b[:]); err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(b[:]) != g.crc || binary.LittleEndian.Uint32(b[4:]) != g.size {
		return errors.New("gzip: wrong checksum or size")
	}
	g.restart(nil)
	g.crc, g.size, g.open, g.any = 0, 0, false, true
	return nil
}

// header skips the header of the next member. io.EOF means that there is none.
func (g *gzipped) header() error {
	first, err := g.in.ReadByte()
	if err != nil {
		if err == io.EOF && !g.any {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	if g.any && first != 0x1f {
		return errTrailing
	}
	b := [10]byte{first}
	if err := full(g.in, b[1:]); err != nil {
		return err
	}
	flags := b[3]
	if b[0] != 0x1f || b[1] != 0x8b || b[2] != 8 || flags&0xe0 != 0 {
		return errors.New("gzip: no header")
	}
	if flags&4 != 0 { // extra field
		if err := full(g.in, b[:2]); err != nil {
			return err
		}
		n := int64(binary.LittleEndian.Uint16(b[:]))
		if _, err := io.CopyN(io.Discard, g.in, n); err != nil {
			return unexpected(err)
		}
	}
	for _, flag := range []byte{8, 16} { // name, comment
		for c := byte(1); flags&flag != 0 && c != 0; {
			if c, err = g.in.ReadByte(); err != nil {
				return unexpected(err)
			}
		}
	}
	if flags&2 != 0 { // checksum of the header
		return full(g.in, b[:2])
	}
	return nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
