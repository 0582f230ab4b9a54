package convert

import (
	"fmt"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/tokens"
)

// blocks makes the rows of prefix blocks. The parent of a row is the call before
// it in its trajectory where no other earlier row shares more.
func (w *wekaSession) blocks() ([]schema.PrefixBlocks, error) {
	tree := newPromptTree()
	dense := make(map[int64]int64)
	var places []place
	var rows []schema.PrefixBlocks
	for n, l := range w.lanes {
		for i, r := range l.requests {
			ids, err := w.ids64(r, dense)
			if err != nil {
				return nil, fmt.Errorf("request %d of %s: %w", i, l.id, err)
			}
			row := w.blockRow(l, i, len(ids))
			parent, shared := tree.add(ids)
			if i > 0 && shared > 0 && common(tree.prompts[len(places)-1], ids) == shared {
				parent = len(places) - 1
			}
			if shared > 0 {
				p := places[parent]
				row.ParentTrajectoryID, row.ParentCallIndex = &w.lanes[p.lane].id, ptr(int32(p.call))
			}
			row.SharedPrefixBlocks, row.NewBlockIDs = int32(shared), ids[shared:]
			places = append(places, place{n, i})
			rows = append(rows, row)
		}
	}
	return rows, nil
}

type place struct{ lane, call int }

func (w *wekaSession) blockRow(l *wekaLane, i, blocks int) schema.PrefixBlocks {
	r := l.requests[i]
	row := schema.PrefixBlocks{
		SessionID: w.trace.ID, TrajectoryID: l.id, CallIndex: int32(i),
		BlockSizeTokens: w.trace.blockSize(), Tokenizer: tokens.O200k, Scope: schema.ScopeSession,
		InputTokens: w.input(r), OutputTokens: int64(r.Out.v),
	}
	if w.trace.HashIDScope == "global" {
		row.Scope = schema.ScopeDataset
	}
	if l.system >= 0 {
		row.SystemBlocks = ptr(int32(min(l.system/int64(row.BlockSizeTokens), int64(blocks))))
	}
	return row
}

// ids64 returns the ids of the prompt's full blocks: some builds also number the
// last block that is only begun. Ids of local scope are numbered anew from 0 in
// the order of their appearance.
func (w *wekaSession) ids64(r *wekaEntry, dense map[int64]int64) ([]int64, error) {
	ids := r.HashIDs
	if full := w.input(r) / int64(w.trace.blockSize()); int64(len(ids)) > full {
		ids = ids[:full]
	}
	global := w.trace.HashIDScope == "global"
	for i, id := range ids {
		if global {
			if id < 0 {
				return nil, fmt.Errorf("hash_ids holds %d, want no negative number", id)
			}
			continue
		}
		n, ok := dense[id]
		if !ok {
			n = int64(len(dense))
			dense[id] = n
		}
		ids[i] = n
	}
	return ids, nil
}

// promptTree finds the earlier prompt that shares the longest prefix with a new
// one. It is a radix tree: a prompt hangs on another where it leaves it.
type promptTree struct {
	prompts [][]int64
	leaves  map[fork]int // the prompt that leaves another
}

// fork is where a prompt leaves another, -1 meaning none, and by which id.
type fork struct {
	prompt, at int
	id         int64
}

func newPromptTree() *promptTree { return &promptTree{leaves: make(map[fork]int)} }

// add adds a prompt, and returns an earlier one that shares the longest prefix,
// and its length. The ids are retained.
func (t *promptTree) add(ids []int64) (prompt, shared int) {
	prompt = -1
	for shared < len(ids) {
		next, ok := t.leaves[fork{prompt, shared, ids[shared]}]
		if !ok {
			t.leaves[fork{prompt, shared, ids[shared]}] = len(t.prompts)
			break
		}
		prompt = next
		shared += common(t.prompts[next][shared:], ids[shared:])
	}
	t.prompts = append(t.prompts, ids)
	return prompt, shared
}

func common(a, b []int64) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
