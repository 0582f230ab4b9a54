package fold

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"
)

// compare sets what a call shares with the trajectory's previous one, and
// remembers it for the next.
func (f *Folder) compare(l *lane, c *folded) {
	system, tools, rest := c.row.Template(f.items)
	shared := 0
	prompt := slices.Concat(system, tools, rest)
	for shared < len(prompt) && shared < len(l.prompt) && prompt[shared] == l.prompt[shared] {
		shared++
	}
	if l.called {
		c.row.SharedPrefixItems = ptr(int32(shared))
	}
	l.called, l.prompt = true, prompt
	c.system = l.system.with(system)
	c.tools = l.tools.with(tools)
	l.system, l.tools = c.system, c.tools
}

// with is the part with the given items: the one at hand if it has them.
func (p *part) with(items []int32) *part {
	if p != nil && slices.Equal(p.items, items) {
		return p
	}
	return &part{items}
}

// sum hashes the stored bytes of a part, once for all calls that share it. It is
// nil for no items.
func (f *Folder) sum(p *part, sums map[*part]*string) *string {
	sum, ok := sums[p]
	if !ok && len(p.items) > 0 {
		h := sha256.New()
		for _, item := range p.items {
			_, _ = io.WriteString(h, f.store.items[item].text()) // a hash takes every write
		}
		sum = ptr(hex.EncodeToString(h.Sum(nil)))
	}
	sums[p] = sum
	return sum
}
