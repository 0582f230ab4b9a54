package plan

import (
	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/tokens"
)

// The JSON around made-up text. A user message is left open by the atom that
// begins it: either the end of a prompt closes it, or the next messages do.
const (
	openSystem    = `{"role":"system","content":"`
	openUser      = `{"role":"user","content":"`
	openAssistant = `{"role":"assistant","content":"`
	closeText     = `"}`
)

// message makes the atom of a node: the system message, the first user message
// up to its end, or the end of the message before, an assistant message, and a
// user message up to its end.
func (b *blockSource) message(n int32) int32 {
	node := &b.tree.nodes[n]
	size := int(b.session.Blocks[node.born].BlockSizeTokens)
	count := len(node.ids) * size
	a := atom{tokens: int64(count), class: classRest, salt: noSalt}
	var before, between, after string
	split := 0
	switch {
	case b.system[n]:
		a.class, a.salt = classSystem, len(openSystem)
		before, after = openSystem, closeText
	case node.parent == 0 || b.system[node.parent]:
		a.user, a.salt = true, len(openUser)
		before = openUser
	default:
		a.joins, a.commas = true, 2
		split = part(count, size, b.answered(node.born))
		before, between = closeText+","+openAssistant, closeText+","+openUser
	}
	a.size = len(before) + len(between) + len(after) + count*tokens.FillerBytes
	a.write = func(dst []byte) []byte {
		dst = append(dst, before...)
		text := len(dst)
		dst = b.text(dst, n)
		if between != "" {
			dst = insert(dst, text+split*tokens.FillerBytes, between)
		}
		return append(dst, after...)
	}
	return b.add(a)
}

// part is how many tokens of a run of blocks are the assistant's: as many whole
// blocks as come nearest to its answer, but at least one and all but one; of a
// single block, half.
func part(count, block int, answer int64) int {
	if count <= block {
		return count / 2
	}
	whole := int(min((answer+int64(block)/2)/int64(block), int64(count/block)))
	return min(max(whole, 1), count/block-1) * block
}

// text appends a node's blocks.
func (b *blockSource) text(dst []byte, n int32) []byte {
	node := &b.tree.nodes[n]
	p := &b.session.Blocks[node.born]
	scope := "session " + b.session.ID
	if p.Scope == schema.ScopeDataset {
		scope = "dataset"
	}
	base := seed(scope)
	for _, id := range node.ids {
		dst = b.filler.Filler(dst, mix(base, uint64(id)), int(p.BlockSizeTokens))
	}
	return dst
}

func insert(dst []byte, at int, s string) []byte {
	dst = append(dst, s...)
	copy(dst[at+len(s):], dst[at:])
	copy(dst[at:], s)
	return dst
}

// tail makes the atom that ends a prompt: the text that fills no block, in a
// user message of its own where the prompt has none yet.
func (b *blockSource) tail(row, leaf int32) int32 {
	if b.tails[row] >= 0 {
		return b.tails[row]
	}
	p := &b.session.Blocks[row]
	count := int(max(p.InputTokens-int64(b.tree.end(leaf))*int64(p.BlockSizeTokens), 0))
	a := atom{tokens: int64(count), class: classRest, joins: true, salt: noSalt}
	var before string
	if leaf == 0 || b.system[leaf] {
		before = openUser
		a.joins, a.user, a.salt = false, true, len(openUser)
	}
	own := seed("call "+b.session.ID+" "+p.TrajectoryID, uint64(p.CallIndex))
	a.size = len(before) + count*tokens.FillerBytes + len(closeText)
	a.write = func(dst []byte) []byte {
		dst = b.filler.Filler(append(dst, before...), own, count)
		return append(dst, closeText...)
	}
	b.tails[row] = b.add(a)
	return b.tails[row]
}

func (b *blockSource) add(a atom) int32 {
	b.atoms = append(b.atoms, a)
	return int32(len(b.atoms) - 1)
}
