package plan

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// prompts are the prompts of a session's steps as one prefix tree of pieces, in
// template order. A node's parent has a smaller number; node 0 is empty.
type prompts struct {
	parent []int32
	piece  []Piece
	depth  []int32 // pieces from the start
	bytes  []int64 // from the start to the node's end, salts included
	tokens []int64 // the same in tokens; unknown where the source does not say
	leaf   []int32 // by step
}

// promptsOf merges the atoms of a tree of prompts into pieces: a piece ends
// where a prompt ends, where prompts part, and where another class begins; in a
// tree that is kept fine, behind every atom.
func promptsOf(t *trie, atoms []atom, text func(atom int32) []byte, fine bool) (*prompts, []int32) {
	p := &prompts{parent: []int32{-1}, piece: []Piece{{}}, depth: []int32{0}, bytes: []int64{0}, tokens: []int64{0}}
	of := make([]int32, len(t.parent)) // tree node -> piece
	var members [][]int32
	members = append(members, nil)
	for n := 1; n < len(t.parent); n++ {
		up := t.parent[n]
		a := t.key[n] >> 2
		if up != 0 && t.kid[up] == 1 && !t.ends[up] && !fine && atoms[t.key[up]>>2].class == atoms[a].class {
			of[n] = of[up]
		} else {
			of[n] = int32(len(p.parent))
			p.open(of[up])
			members = append(members, nil)
		}
		p.grow(of[n], &atoms[a], uint8(t.key[n]&3))
		members[of[n]] = append(members[of[n]], a)
	}
	for n := 1; n < len(p.piece); n++ {
		p.piece[n].ID = contentID(members[n], text)
	}
	return p, of
}

func (p *prompts) open(parent int32) {
	p.parent = append(p.parent, parent)
	p.piece = append(p.piece, Piece{})
	p.depth = append(p.depth, p.depth[parent]+1)
	p.bytes = append(p.bytes, p.bytes[parent])
	p.tokens = append(p.tokens, p.tokens[parent])
}

// grow adds an atom to the end of a piece, which is the last one of its prefix.
func (p *prompts) grow(n int32, a *atom, salt uint8) {
	size := a.size - a.commas + SaltLen*(int(salt&1)+int(salt>>1))
	p.piece[n].Len += int32(size)
	p.piece[n].Salt |= salt
	p.bytes[n] += int64(size)
	if a.tokens == unknown || p.tokens[n] == unknown {
		p.tokens[n] = unknown
	} else {
		p.tokens[n] += a.tokens
	}
}

// contentID is the first 64 bits of the SHA-256 of some atoms' bytes.
func contentID(atoms []int32, text func(atom int32) []byte) uint64 {
	h := sha256.New()
	for _, a := range atoms {
		h.Write(text(a))
	}
	var sum [sha256.Size]byte
	return binary.LittleEndian.Uint64(h.Sum(sum[:0]))
}

// pieces appends a step's prompt.
func (p *prompts) pieces(dst []Piece, step int) []Piece {
	n := p.leaf[step]
	mark := len(dst)
	dst = slices.Grow(dst, int(p.depth[n]))[:mark+int(p.depth[n])]
	for ; n > 0; n = p.parent[n] {
		dst[mark+int(p.depth[n])-1] = p.piece[n]
	}
	return dst
}

// ideal fills in Step.Ideal: the tokens of the longest prefix that an earlier
// step which is sent has in common with the step. They are exact where the
// source gives tokens, else Input × common bytes ÷ all bytes of the prompt.
func (p *prompts) ideal(steps []Step) {
	held := make([]bool, len(p.parent))
	held[0] = true
	for i := range steps {
		if steps[i].Role == Skip {
			continue
		}
		n := p.leaf[i]
		for !held[n] {
			n = p.parent[n]
		}
		steps[i].Ideal = p.count(&steps[i], i, n)
		for n := p.leaf[i]; !held[n]; n = p.parent[n] {
			held[n] = true
		}
	}
}

// beforePlay is how many tokens of a step's prompt come before the piece that
// holds the play's salt: what other plays of a probe can leave in a cache.
// Without a salt it is all of them.
func (p *prompts) beforePlay(st *Step, step int) int64 {
	at := p.leaf[step]
	for n := at; n > 0; n = p.parent[n] {
		if p.piece[n].Salt&2 != 0 {
			at = p.parent[n]
		}
	}
	return p.count(st, step, at)
}

// count is the tokens of a step's prompt up to a node's end.
func (p *prompts) count(st *Step, step int, n int32) int64 {
	leaf := p.leaf[step]
	switch {
	case p.bytes[leaf] == 0:
		return 0
	case p.tokens[leaf] != unknown:
		return min(p.tokens[n], st.Input)
	}
	return int64(float64(st.Input) * float64(p.bytes[n]) / float64(p.bytes[leaf]))
}
