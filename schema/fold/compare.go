package fold

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"

	"github.com/capstan-bench/capstan/schema"
)

// compare sets what a call shares with the trajectory's previous one, and
// remembers it for the next.
func (f *Folder) compare(l *lane, c *schema.Call) {
	system, tools, rest := c.Template(f.session.Items)
	shared := 0
	prompt := slices.Concat(system, tools, rest)
	for shared < len(prompt) && shared < len(l.prompt) && prompt[shared] == l.prompt[shared] {
		shared++
	}
	if l.called {
		c.SharedPrefixItems = ptr(int32(shared))
	}
	l.called, l.prompt = true, prompt
	c.SystemSHA256 = f.sum(&l.system, system)
	c.ToolsSHA256 = f.sum(&l.tools, tools)
}

// sum hashes the stored bytes of items, or takes the hash of the call before where
// the items are the same. It is nil for no items.
func (f *Folder) sum(p *part, items []int32) *string {
	if slices.Equal(p.items, items) {
		return p.sum
	}
	p.items, p.sum = items, nil
	if len(items) > 0 {
		h := sha256.New()
		for _, item := range items {
			_, _ = io.WriteString(h, f.store.items[item].content) // a hash takes every write
		}
		p.sum = ptr(hex.EncodeToString(h.Sum(nil)))
	}
	return p.sum
}
