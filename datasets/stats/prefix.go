package stats

import (
	"fmt"
	"strconv"

	"github.com/capstan-bench/capstan/schema"
)

// cache is a prefix cache without limits: the set of all prefixes of the prompts
// that it has seen, each by a hash that chains its elements.
type cache map[uint64]bool

// prompt is the elements of one prompt in template order: what a chat template
// puts first comes first, which is the system messages, then the tools, then the
// other messages.
type prompt struct {
	ids   []uint64
	sizes []int64 // bytes of an item, or tokens of a block
	rest  int64   // size of what follows the elements and is never shared
}

// take adds a prompt and returns the share of its size that the longest prefix
// known before makes up:
//
//	Σ size of the leading elements that an earlier prompt has in the same order ÷ Σ size
func (c cache) take(p prompt) float64 {
	var hit, all int64
	chain, known := uint64(0), true
	for i, id := range p.ids {
		chain = mix(chain ^ id)
		all += p.sizes[i]
		if known = known && c[chain]; known {
			hit += p.sizes[i]
		} else {
			c[chain] = true
		}
	}
	if all += p.rest; all == 0 {
		return 0
	}
	return float64(hit) / float64(all)
}

// mix spreads a number over 64 bits (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// prompts returns what each call of a session sends, nil for a call without
// text or blocks.
func prompts(s *schema.Session) ([]*prompt, error) {
	out := make([]*prompt, len(s.Calls))
	if err := blockPrompts(s, out); err != nil {
		return nil, err
	}
	ids := make([]uint64, len(s.Items))
	for i, it := range s.Items {
		sum, err := strconv.ParseUint(it.ContentSHA256[:min(16, len(it.ContentSHA256))], 16, 64)
		if err != nil {
			return nil, fmt.Errorf("session %s item %d: content_sha256 is no hash", s.ID, i)
		}
		ids[i] = sum
	}
	for i := range s.Calls {
		if c := &s.Calls[i]; out[i] == nil && c.NumContextItems > 0 {
			p, err := itemPrompt(s, c, ids)
			if err != nil {
				return nil, err
			}
			out[i] = p
		}
	}
	return out, nil
}

// itemPrompt puts a call's items into template order.
func itemPrompt(s *schema.Session, c *schema.Call, ids []uint64) (*prompt, error) {
	p := &prompt{}
	for _, r := range c.ContextRanges {
		if r.StartItem < 0 || r.EndItem < r.StartItem || int(r.EndItem) > len(s.Items) {
			return nil, fmt.Errorf("session %s call %s: range [%d, %d) lies outside the session's %d items", s.ID, c.CallID, r.StartItem, r.EndItem, len(s.Items))
		}
	}
	system, tools, rest := c.Template(s.Items)
	for _, items := range [][]int32{system, tools, rest} {
		for _, item := range items {
			p.ids, p.sizes = append(p.ids, ids[item]), append(p.sizes, s.Items[item].ContentBytes)
		}
	}
	return p, nil
}

// blockPrompts fills in the calls that have block ids instead of items.
func blockPrompts(s *schema.Session, out []*prompt) error {
	type place struct {
		trajectory string
		call       int32
	}
	where := map[place]int{}
	for i := range s.Calls {
		where[place{s.Calls[i].TrajectoryID, s.Calls[i].CallIndex}] = i
	}
	for i := range s.Blocks {
		b := &s.Blocks[i]
		p := &prompt{rest: b.InputTokens}
		if b.ParentCallIndex != nil {
			trajectory := b.TrajectoryID
			if b.ParentTrajectoryID != nil {
				trajectory = *b.ParentTrajectoryID
			}
			n, ok := where[place{trajectory, *b.ParentCallIndex}]
			if !ok || out[n] == nil || len(out[n].ids) < int(b.SharedPrefixBlocks) {
				return fmt.Errorf("session %s trajectory %s call %d: its parent's blocks are not there", s.ID, b.TrajectoryID, b.CallIndex)
			}
			p.ids = append(p.ids, out[n].ids[:b.SharedPrefixBlocks]...)
		}
		for _, id := range b.NewBlockIDs {
			p.ids = append(p.ids, mix(uint64(id)))
		}
		for range p.ids {
			p.sizes = append(p.sizes, int64(b.BlockSizeTokens))
			p.rest -= int64(b.BlockSizeTokens)
		}
		p.rest = max(0, p.rest)
		if n, ok := where[place{b.TrajectoryID, b.CallIndex}]; ok {
			out[n] = p
		}
	}
	return nil
}
