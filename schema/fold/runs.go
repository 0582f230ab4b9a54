package fold

import (
	"cmp"
	"slices"
)

// pair is two items, the second of which stands right behind the first in the
// contexts of so many calls.
type pair struct{ from, to, calls int32 }

// runs returns the items in an order in which contexts are few runs: each item
// stands, if it can, behind the one that it follows in the most calls. Numbered as
// they come, the items of a context would have others between them, and a range of
// its own for each turn: blocks that change in every call, answers that the client
// writes anew, side calls, trajectories that take turns.
//
// The order with the fewest ranges is a heaviest path through the pairs, which is
// hard to find. Taking the heaviest pair first, and leaving those that would branch
// or close a circle, finds it where contexts grow, and saves at least a third of
// what it saves wherever else.
func (f *Folder) runs() []int32 {
	c := newChains(len(f.items))
	for _, p := range f.pairs() {
		c.link(p.from, p.to)
	}
	return c.order()
}

// pairs returns all pairs, those of the most calls first. Those of answers come
// last, with no calls.
func (f *Folder) pairs() []pair {
	// How many ranges begin with an item, less those that end with it: summed up,
	// how many go on from an item to the next by number.
	within := make([]int32, len(f.items))
	across := map[[2]int32]int32{}
	for i := range f.calls {
		c := &f.calls[i]
		if c.system != nil {
			for j, r := range c.row.ContextRanges {
				within[r.StartItem]++
				within[r.EndItem-1]--
				if j > 0 && c.row.ContextRanges[j-1].Slot == r.Slot {
					across[[2]int32{c.row.ContextRanges[j-1].EndItem - 1, r.StartItem}]++
				}
			}
		}
		for j := 1; j < len(c.output); j++ {
			across[[2]int32{c.output[j-1], c.output[j]}] += 0
		}
	}
	pairs := make([]pair, 0, len(f.items)+len(across))
	calls := int32(0)
	for i, n := range within {
		if calls += n; calls > 0 {
			pairs = append(pairs, pair{int32(i), int32(i) + 1, calls})
		}
	}
	for p, calls := range across {
		pairs = append(pairs, pair{p[0], p[1], calls})
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(b.calls, a.calls), cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
	})
	return pairs
}

// chains joins items to chains. At first each item is a chain.
type chains struct {
	next       []int32 // by item, -1 at the end of a chain
	begun      []bool  // an item stands before this one
	head, tail []int32 // of the chain, right for its tail and its head
}

func newChains(items int) chains {
	c := chains{next: make([]int32, items), begun: make([]bool, items), head: make([]int32, items), tail: make([]int32, items)}
	for i := range items {
		c.next[i], c.head[i], c.tail[i] = -1, int32(i), int32(i)
	}
	return c
}

// link joins two chains where from ends the one and to begins the other.
func (c *chains) link(from, to int32) {
	if c.next[from] >= 0 || c.begun[to] || c.head[from] == to {
		return
	}
	head, tail := c.head[from], c.tail[to]
	c.next[from], c.begun[to] = to, true
	c.head[tail], c.tail[head] = head, tail
}

// order lists the chains one after another by their first items.
func (c *chains) order() []int32 {
	order := make([]int32, 0, len(c.next))
	for i := range c.next {
		if c.begun[i] {
			continue
		}
		for item := int32(i); item >= 0; item = c.next[item] {
			order = append(order, item)
		}
	}
	return order
}
