package journal

import (
	"encoding/binary"
	"math/bits"
	"sort"
)

const (
	chunkBytes = 64 << 10 // literal bytes are held in pieces of this size
	cellBytes  = 256      // grain in which the latest place of literal bytes is known
)

// extent says that a body's bytes from off on are the literal bytes from lit
// on, until the next extent begins or the body ends.
type extent struct{ off, lit int64 }

// body is what a segment holds of one direction of an exchange, or of a head.
type body struct {
	ext []extent
	n   int64
}

// cell is a place where literal bytes are found: in that body, at that offset.
type cell struct {
	body uint32
	off  int64 // of the first byte of the cell; may lie before the body
}

// store holds the bodies of one segment. Only literal bytes are held; a copy
// is flattened to the literals that it stands for, so that memory grows with
// what is new and a body is read without following copies of copies.
type store struct {
	chunks [][]byte
	n      int64 // literal bytes
	bodies []body
	exts   int64
	places bool   // keep cells: a writer does, a reader has no use for them
	cells  []cell // latest place of every cell of literal bytes
}

// add makes a new body and returns its number.
func (s *store) add() int {
	s.bodies = append(s.bodies, body{})
	return len(s.bodies) - 1
}

// size estimates the memory that the store takes.
func (s *store) size() int64 {
	return int64(len(s.chunks))*chunkBytes + s.exts*16 + int64(len(s.bodies))*32 + int64(cap(s.cells))*16
}

// literal appends p to body b as new bytes.
func (s *store) literal(b int, p []byte) {
	if len(p) == 0 {
		return
	}
	s.extend(b, s.n, int64(len(p)))
	for len(p) > 0 {
		at := int(s.n % chunkBytes)
		if at == 0 {
			s.chunks = append(s.chunks, make([]byte, chunkBytes))
		}
		n := copy(s.chunks[len(s.chunks)-1][at:], p)
		p = p[n:]
		s.n += int64(n)
	}
}

// copyRun appends n bytes of body from, beginning at off, to body b. It
// reports whether from has them.
func (s *store) copyRun(b, from int, off, n int64) bool {
	if from < 0 || from >= len(s.bodies) || off < 0 || n <= 0 || n > s.bodies[from].n || off > s.bodies[from].n-n {
		return false
	}
	// A body may copy from itself: its extents grow in the loop, beyond what
	// the loop reads.
	for i := s.find(from, off); n > 0; i++ {
		lit, have := s.piece(from, i, off)
		have = min(have, n)
		s.extend(b, lit, have)
		off, n = off+have, n-have
	}
	return true
}

// extend appends the literal bytes [lit, lit+n) to body b.
func (s *store) extend(b int, lit, n int64) {
	y := &s.bodies[b]
	if s.places {
		s.place(lit, n, b, y.n)
	}
	if k := len(y.ext); k == 0 || y.ext[k-1].lit+y.n-y.ext[k-1].off != lit {
		y.ext = append(y.ext, extent{off: y.n, lit: lit})
		s.exts++
	}
	y.n += n
}

// place notes that the literals [lit, lit+n) are found in body b at off.
func (s *store) place(lit, n int64, b int, off int64) {
	for c := lit / cellBytes; c*cellBytes < lit+n; c++ {
		v := cell{body: uint32(b), off: off + c*cellBytes - lit}
		if c < int64(len(s.cells)) {
			s.cells[c] = v
			continue
		}
		s.cells = append(s.cells, v)
	}
}

// latest returns the place where the byte at off of body b was last seen,
// which may be that very place.
func (s *store) latest(b int, off int64) (int, int64) {
	i := s.find(b, off)
	lit, _ := s.piece(b, i, off)
	c := s.cells[lit/cellBytes]
	to := c.off + lit%cellBytes
	if int(c.body) >= len(s.bodies) || to < 0 || to >= s.bodies[c.body].n {
		return b, off
	}
	j := s.find(int(c.body), to)
	if l, _ := s.piece(int(c.body), j, to); l != lit {
		return b, off
	}
	return int(c.body), to
}

// find returns the extent of body b that holds off, which must be within it.
func (s *store) find(b int, off int64) int {
	ext := s.bodies[b].ext
	return sort.Search(len(ext), func(i int) bool { return ext[i].off > off }) - 1
}

// piece returns the literal that stands at off, which extent i of body b holds,
// and how many bytes follow in that extent.
func (s *store) piece(b, i int, off int64) (lit, n int64) {
	y := &s.bodies[b]
	end := y.n
	if i+1 < len(y.ext) {
		end = y.ext[i+1].off
	}
	e := y.ext[i]
	return e.lit + off - e.off, end - off
}

// bytes returns up to n literal bytes from lit on: what one chunk holds.
func (s *store) bytes(lit, n int64) []byte {
	at := lit % chunkBytes
	return s.chunks[lit/chunkBytes][at:min(at+n, chunkBytes)]
}

// append appends [off, end) of body b to dst.
func (s *store) append(dst []byte, b int, off, end int64) []byte {
	if off >= end {
		return dst
	}
	for i := s.find(b, off); off < end; i++ {
		lit, n := s.piece(b, i, off)
		for n = min(n, end-off); n > 0; {
			p := s.bytes(lit, n)
			dst = append(dst, p...)
			k := int64(len(p))
			lit, n, off = lit+k, n-k, off+k
		}
	}
	return dst
}

// common returns how many bytes of p body b has from off on.
func (s *store) common(b int, off int64, p []byte) int {
	done := 0
	if off >= s.bodies[b].n {
		return 0
	}
	for i := s.find(b, off); done < len(p) && off < s.bodies[b].n; i++ {
		lit, n := s.piece(b, i, off)
		for n > 0 && done < len(p) {
			q := s.bytes(lit, n)
			k := prefix(q, p[done:])
			done += k
			if k < len(q) {
				return done
			}
			lit, n, off = lit+int64(k), n-int64(k), off+int64(k)
		}
	}
	return done
}

// commonBack returns how many bytes at the end of p body b has just before off.
func (s *store) commonBack(b int, off int64, p []byte) int {
	done := 0
	for off > 0 && done < len(p) {
		i := s.find(b, off-1)
		start := s.bodies[b].ext[i].off
		for off > start && done < len(p) {
			lit, _ := s.piece(b, i, off-1)
			if s.chunks[lit/chunkBytes][lit%chunkBytes] != p[len(p)-1-done] {
				return done
			}
			done++
			off--
		}
	}
	return done
}

// prefix returns the length of the common prefix of a and b.
func prefix(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for ; i+8 <= n; i += 8 {
		if d := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); d != 0 {
			return i + bits.TrailingZeros64(d)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}
