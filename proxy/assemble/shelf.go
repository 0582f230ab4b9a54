package assemble

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
)

// flushAt is how much is gathered before the spool is written.
const flushAt = 256 << 10

// shelf keeps bytes in the spool, and pieces of bodies once each: a session
// repeats its context with every call.
type shelf struct {
	spool   Spool
	pending []byte
	flushed int64
	err     error
	pieces  []piece
	byHash  map[sum]int32
	forms   []sum // of pieces in the form in which they are compared
}

// span is a stretch of the spool.
type span struct {
	off int64
	n   int
}

// piece is bytes that are kept once.
type piece struct {
	span
	entry int32 // of the tree, 1 more; 0: not looked up
	form  int32 // in forms, 1 more; 0: not looked up
}

// sum is the start of a SHA-256.
type sum [16]byte

func sumOf(p []byte) (s sum) {
	full := sha256.Sum256(p)
	copy(s[:], full[:])
	return s
}

func newShelf(s Spool) *shelf { return &shelf{spool: s, byHash: map[sum]int32{}} }

// put appends bytes.
func (s *shelf) put(p []byte) span {
	at := span{s.flushed + int64(len(s.pending)), len(p)}
	if s.err != nil {
		return at
	}
	s.pending = append(s.pending, p...)
	if len(s.pending) >= flushAt {
		s.flush()
	}
	return at
}

func (s *shelf) flush() {
	if s.err != nil || len(s.pending) == 0 {
		return
	}
	n, err := s.spool.Write(s.pending)
	s.flushed += int64(n)
	if err != nil {
		s.err = err
		return
	}
	if s.pending = s.pending[:0]; cap(s.pending) > 4*flushAt {
		s.pending = nil
	}
}

// piece keeps bytes that may have been kept before, and returns their number.
func (s *shelf) piece(p []byte) int32 {
	h := sumOf(p)
	if n, ok := s.byHash[h]; ok {
		return n
	}
	n := int32(len(s.pieces))
	s.pieces = append(s.pieces, piece{span: s.put(p)})
	s.byHash[h] = n
	return n
}

// form is the hash of a piece in the form in which elements are compared, found
// once. p is its bytes.
func (s *shelf) form(n int32, p []byte) *sum {
	piece := &s.pieces[n]
	if piece.form == 0 {
		form, _ := canonical(p)
		s.forms = append(s.forms, sumOf(form))
		piece.form = int32(len(s.forms))
	}
	return &s.forms[piece.form-1]
}

// get appends the bytes of a span.
func (s *shelf) get(dst []byte, at span) ([]byte, error) {
	s.flush()
	if s.err != nil {
		return dst, s.err
	}
	from := len(dst)
	dst = append(dst, make([]byte, at.n)...)
	if n, err := s.spool.ReadAt(dst[from:], at.off); n < at.n {
		return dst[:from], fmt.Errorf("read spool: %d of %d bytes at %d: %w", n, at.n, at.off, err)
	}
	return dst, nil
}

// keep writes a record down.
func (s *shelf) keep(r *record) span {
	text, err := json.Marshal(r)
	if err != nil {
		s.err = fmt.Errorf("encode record: %w", err)
	}
	return s.put(text)
}

// record reads a record.
func (s *shelf) record(at span) (*record, error) {
	text, err := s.get(nil, at)
	if err != nil {
		return nil, err
	}
	r := &record{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("read spool: decode record: %w", err)
	}
	return r, nil
}
