package plan

import "encoding/binary"

// head is what every body begins with.
const head = `{"messages":[`

// bodies lays the atoms of a session's messages out in one slab, each once, and
// cuts bodies from it. An element is stored with the comma before it, the first
// element of a context with head before it.
type bodies struct {
	atoms []atom
	tree  *trie
	slab  []byte
	spans []span // by key
	keys  []int32
}

// span is a stretch of the slab; end 0 means it was not laid out.
type span struct{ start, end int }

// A key of the tree is an atom in one of its two forms.
func formOf(atom int32, first bool) int32 {
	if first {
		return atom<<1 | 1
	}
	return atom << 1
}

// add takes in the messages of a context and returns its place in the tree.
func (b *bodies) add(messages []int32) int32 {
	b.keys = b.keys[:0]
	for i, a := range messages {
		b.keys = append(b.keys, formOf(a, i == 0))
	}
	return b.tree.insert(b.keys)
}

// lay writes the slab, once all contexts are in.
func (b *bodies) lay(ends []int32) {
	order := b.tree.byWeight(ends)
	b.spans = make([]span, 2*len(b.atoms))
	size := 0
	for _, key := range order {
		size += len(b.before(key)) + b.atoms[key>>1].size
	}
	b.slab = make([]byte, 0, size)
	for _, key := range order {
		start := len(b.slab)
		b.slab = append(b.slab, b.before(key)...)
		b.slab = b.atoms[key>>1].appendExact(b.slab)
		b.spans[key] = span{start, len(b.slab)}
	}
}

// before is what stands between an atom and the one before it.
func (b *bodies) before(key int32) string {
	switch {
	case key&1 != 0:
		return head
	case b.atoms[key>>1].joins:
		return ""
	}
	return ","
}

// text is an atom's bytes in the slab.
func (b *bodies) text(atom int32) []byte {
	for _, key := range []int32{formOf(atom, false), formOf(atom, true)} {
		if s := b.spans[key]; s.end > 0 {
			return b.slab[s.start+len(b.before(key)) : s.end]
		}
	}
	return nil
}

// segs appends the segments of a context's messages, with nils for its salts,
// and to log where in the slab they lie.
func (b *bodies) segs(dst [][]byte, log []byte, end int32, salts salts) ([][]byte, []byte) {
	b.keys = b.tree.keys(b.keys[:0], end)
	var run span
	flush := func(next int) {
		if run.end > run.start {
			dst = append(dst, b.slab[run.start:run.end:run.end])
			log = binary.AppendUvarint(binary.AppendUvarint(log, uint64(run.start)+1), uint64(run.end))
		}
		run = span{next, next}
	}
	for i, key := range b.keys {
		s := b.spans[key]
		if s.start != run.end {
			flush(s.start)
		}
		for range salts.at(i) {
			run.end = s.end - b.atoms[key>>1].size + b.atoms[key>>1].salt
			flush(run.end)
			dst, log = append(dst, nil), append(log, 0)
		}
		run.end = s.end
	}
	flush(0)
	return dst, log
}

// salts are the places among a context's messages of the atoms that take the
// probe's and the play's salt; negative: none does.
type salts struct{ probe, play int }

// at is how many salts the message at a place takes.
func (s salts) at(i int) int {
	n := 0
	for _, place := range []int{s.probe, s.play} {
		if place == i {
			n++
		}
	}
	return n
}

// flags are the salts as in Piece.Salt.
func (s salts) flags(i int) uint8 {
	var f uint8
	if s.probe == i {
		f |= 1
	}
	if s.play == i {
		f |= 2
	}
	return f
}
