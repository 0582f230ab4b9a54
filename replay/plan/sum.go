package plan

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"math"
)

// summer computes Plan.Hash. Every number and text goes in behind its length or
// in a form that ends itself, so that two plans never give the same stream.
type summer struct {
	hash hash.Hash
	buf  []byte
}

func newSummer(cfg Config) *summer {
	s := &summer{hash: sha256.New()}
	s.text([]byte(fmt.Sprintf("capstan plan 1 %+v", cfg)))
	return s
}

func (s *summer) text(b []byte) {
	s.number(uint64(len(b)))
	s.hash.Write(b)
}

func (s *summer) number(ns ...uint64) {
	s.buf = s.buf[:0]
	for _, n := range ns {
		s.buf = binary.AppendUvarint(s.buf, n)
	}
	s.hash.Write(s.buf)
}

// track adds a session: its bytes and where bodies take them from, and its steps.
func (s *summer) track(t *track, a *assembly) {
	c := t.script
	s.text([]byte(c.Session))
	s.number(uint64(len(c.Lanes)), uint64(len(c.Calls)), uint64(len(c.Steps)), uint64(t.length), uint64(c.Idle))
	for _, lane := range c.Lanes {
		s.text([]byte(lane))
	}
	for _, ref := range c.Calls {
		s.number(uint64(ref.Lane), uint64(uint32(ref.Index)))
	}
	s.text(a.body.slab)
	s.text(a.log)
	for i := range c.Steps {
		s.step(&c.Steps[i], t.when[i])
	}
}

func (s *summer) step(st *Step, w when) {
	s.number(uint64(st.Call), uint64(st.Lane), uint64(st.Input), uint64(st.Ideal), uint64(st.Output),
		uint64(st.Turn), uint64(w.due), uint64(w.first), uint64(w.last), uint64(w.done),
		uint64(len(st.Body.Segs)), uint64(st.Body.Len), uint64(len(st.After)), uint64(len(st.Prompt)))
	for _, e := range st.After {
		s.number(uint64(e.From), uint64(e.At), uint64(math.Float32bits(e.Share)), uint64(e.Gap))
	}
	for _, p := range st.Prompt {
		s.number(p.ID, uint64(p.Len), uint64(p.Salt))
	}
}

// close adds the texts that all bodies share and gives the hash.
func (s *summer) close(all []shared) string {
	for _, sh := range all {
		s.text(sh.text)
	}
	return hex.EncodeToString(s.hash.Sum(nil))
}
