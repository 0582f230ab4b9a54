package plan

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/tokens"
)

// blockSource makes up messages for a session without text, from its token
// blocks. Every prefix that two prompts share in blocks is a whole number of
// messages that they share, or a stretch of messages and the beginning of one;
// a prompt's text has exactly the recorded number of tokens under the tokenizer.
//
// The first message is the system's: the system blocks, or where their number is
// unknown the blocks up to the first place where prompts part or end. Each run of
// blocks that follows is an assistant message, about as long as the answer before
// it, and a user message; the first one is a user message only. What fills no
// block ends the last user message as text of the call's own.
type blockSource struct {
	session *schema.Session
	filler  *tokens.Tokenizer
	tree    *radix
	rows    map[callKey]int32
	leaf    []int32 // by row
	system  []bool  // by node
	atoms   []atom
	byNode  []int32 // atom by node, or -1
	tails   []int32 // atom by row, or -1
	next    elements
}

func blockRows(s *schema.Session) map[callKey]*schema.PrefixBlocks {
	rows := make(map[callKey]*schema.PrefixBlocks, len(s.Blocks))
	for i := range s.Blocks {
		b := &s.Blocks[i]
		rows[callKey{b.TrajectoryID, b.CallIndex}] = b
	}
	return rows
}

func newBlockSource(s *schema.Session, filler *tokens.Tokenizer) (*blockSource, error) {
	b := &blockSource{session: s, filler: filler, tree: newRadix(), rows: map[callKey]int32{}, leaf: make([]int32, len(s.Blocks))}
	for i := range s.Blocks {
		if err := b.row(int32(i)); err != nil {
			p := &s.Blocks[i]
			return nil, fmt.Errorf("read blocks of call %d of trajectory %q: %w", p.CallIndex, p.TrajectoryID, err)
		}
	}
	b.borders()
	b.byNode = slices.Repeat([]int32{-1}, len(b.tree.nodes))
	b.tails = slices.Repeat([]int32{-1}, len(s.Blocks))
	return b, nil
}

// row puts one prompt's blocks into the tree.
func (b *blockSource) row(i int32) error {
	p := &b.session.Blocks[i]
	if p.BlockSizeTokens < 1 || p.BlockSizeTokens != b.session.Blocks[0].BlockSizeTokens {
		return fmt.Errorf("block size %d, want the %d of the session's first row, at least 1", p.BlockSizeTokens, b.session.Blocks[0].BlockSizeTokens)
	}
	var from int32
	if p.ParentTrajectoryID != nil && p.ParentCallIndex != nil {
		parent, ok := b.rows[callKey{*p.ParentTrajectoryID, *p.ParentCallIndex}]
		if !ok {
			return fmt.Errorf("its parent, call %d of trajectory %q, is no earlier row", *p.ParentCallIndex, *p.ParentTrajectoryID)
		}
		from = b.leaf[parent]
	}
	shared := int(p.SharedPrefixBlocks)
	if shared < 0 || shared > b.tree.end(from) {
		return fmt.Errorf("shares %d blocks with a parent of %d", shared, b.tree.end(from))
	}
	if shared == 0 {
		from = 0
	}
	b.leaf[i] = b.tree.extend(b.tree.border(from, shared), p.NewBlockIDs, i)
	b.rows[callKey{p.TrajectoryID, p.CallIndex}] = i
	return nil
}

// borders ends messages where prompts end and where the system's blocks end. A
// prompt that has more blocks than its tokens fill loses the last ones.
func (b *blockSource) borders() {
	for i := range b.session.Blocks {
		p := &b.session.Blocks[i]
		fit := min(int64(b.tree.end(b.leaf[i])), max(p.InputTokens, 0)/int64(p.BlockSizeTokens))
		b.leaf[i] = b.tree.border(b.leaf[i], int(fit))
		if p.SystemBlocks != nil && int64(*p.SystemBlocks) < fit {
			b.tree.border(b.leaf[i], int(max(*p.SystemBlocks, 0)))
		}
	}
	b.system = make([]bool, len(b.tree.nodes))
	for _, n := range b.downwards() {
		node := b.tree.nodes[n]
		known := b.session.Blocks[node.born].SystemBlocks
		first := node.parent == 0
		b.system[n] = first && known == nil ||
			(first || b.system[node.parent]) && known != nil && b.tree.end(n) <= int(*known)
	}
}

// downwards are the nodes but node 0, parents first.
func (b *blockSource) downwards() []int32 {
	order := make([]int32, 0, len(b.tree.nodes))
	for n := 1; n < len(b.tree.nodes); n++ {
		order = append(order, int32(n))
	}
	slices.SortStableFunc(order, func(x, y int32) int { return b.tree.nodes[x].start - b.tree.nodes[y].start })
	return order
}

func (b *blockSource) table() []atom { return b.atoms }

func (b *blockSource) elements(st *draftStep) (elements, error) {
	c := &b.session.Calls[st.call]
	row, ok := b.rows[callKey{c.TrajectoryID, c.CallIndex}]
	if !ok {
		return elements{}, fmt.Errorf("read blocks: the call has none")
	}
	m := b.next.messages[:0]
	leaf := b.leaf[row]
	for n := leaf; n != 0; n = b.tree.nodes[n].parent {
		if b.byNode[n] < 0 {
			b.byNode[n] = b.message(n)
		}
		m = append(m, b.byNode[n])
	}
	slices.Reverse(m)
	b.next.messages = append(m, b.tail(row, leaf))
	return b.next, nil
}

// seed tells texts apart: those of the whole dataset, of the session, of a call.
func seed(scope string, parts ...uint64) uint64 {
	sum := sha256.Sum256([]byte(scope))
	return mix(binary.LittleEndian.Uint64(sum[:]), parts...)
}

// answered is the answer before a row in its trajectory, in tokens.
func (b *blockSource) answered(row int32) int64 {
	if row == 0 || b.session.Blocks[row-1].TrajectoryID != b.session.Blocks[row].TrajectoryID {
		return 0
	}
	return max(b.session.Blocks[row-1].OutputTokens, 0)
}
