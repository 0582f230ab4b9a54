package proxy

import (
	"net"
	"sync"
)

// source is what a pump reads from.
type source interface {
	// read waits for bytes, at most most. They are valid until give.
	read(most int) ([]byte, error)
	// give returns the memory of what was read last.
	give()
	// keep takes that memory over instead.
	keep() lent
}

// connSource reads any connection. It holds its smallest buffer while it waits.
type connSource struct {
	conn net.Conn
	buffers
}

func (s *connSource) read(most int) ([]byte, error) {
	b := s.take(most)
	n, err := s.conn.Read(b)
	if n > 0 {
		s.filled(n)
		return b[:n], nil
	}
	s.give()
	return nil, err
}

// Sizes of buffers: connections that hold one while they wait begin with the
// first; the second holds a TLS record; the third is for uploads.
var bufferSizes = [...]int{4 << 10, maxRecord, 64 << 10}

const recordClass = 1

var bufferPools [len(bufferSizes)]stack

// stack lends what was given back last: that is still in a cache.
type stack struct {
	mu   sync.Mutex
	idle []*[]byte // guarded by mu
}

// idleBuffers is how many of a size are kept.
const idleBuffers = 64

func (s *stack) take(size int) *[]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.idle); n > 0 {
		b := s.idle[n-1]
		s.idle = s.idle[:n-1]
		return b
	}
	b := make([]byte, size)
	return &b
}

func (s *stack) give(b *[]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.idle) < idleBuffers {
		s.idle = append(s.idle, b)
	}
}

// buffers lends one buffer at a time, of a size that follows what is read.
type buffers struct {
	class int
	buf   *[]byte
	of    int // class of buf
}

func (b *buffers) take(most int) []byte {
	b.of = b.class
	p := bufferPools[b.of].take(bufferSizes[b.of])
	b.buf = p
	return (*p)[:min(most, len(*p))]
}

func (b *buffers) give() {
	if b.buf != nil {
		bufferPools[b.of].give(b.buf)
		b.buf = nil
	}
}

// lent is a buffer that somebody else gives back.
type lent struct {
	buf   *[]byte
	class int
}

func (l lent) give() { bufferPools[l.class].give(l.buf) }

func (b *buffers) keep() lent {
	l := lent{b.buf, b.of}
	b.buf = nil
	return l
}

// filled says how much of the buffer a read took.
func (b *buffers) filled(n int) {
	switch size := bufferSizes[b.of]; {
	case n == size && b.class+1 < len(bufferSizes):
		b.class++
	case b.class > 0 && n <= bufferSizes[b.class-1]/2:
		b.class--
	}
}
