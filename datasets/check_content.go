package datasets

import (
	"fmt"
	"math"

	"github.com/capstan-bench/capstan/schema"
)

// items checks that items are numbered from 0 and have their blobs.
func (c *checker) items() {
	for i := range c.s.Items {
		item := &c.s.Items[i]
		place := fmt.Sprintf("item %d", item.ItemIndex)
		if item.SessionID != c.s.ID {
			c.fail(place, "its session is %q", item.SessionID)
		}
		if int(item.ItemIndex) != i {
			c.fail(place, "it stands where item %d is expected", i)
		}
		if b, ok := c.blob(place, item.ContentSHA256); ok && b.ContentBytes != item.ContentBytes {
			c.fail(place, "content_bytes is %d, its blob has %d", item.ContentBytes, b.ContentBytes)
		}
	}
}

func (c *checker) blob(place, sum string) (schema.Blob, bool) {
	b, ok := c.s.Blobs[sum]
	switch {
	case !ok:
		c.fail(place, "blob %s is missing", sum)
	case b.ContentSHA256 != sum:
		c.fail(place, "blob %s calls itself %s", sum, b.ContentSHA256)
	}
	return b, ok
}

// contexts checks what calls say of their contexts.
func (c *checker) contexts() {
	items := int32(len(c.s.Items))
	for i := range c.s.Calls {
		call := &c.s.Calls[i]
		place := placeOf(call.TrajectoryID, call.CallIndex)
		if call.NumContextItems > maxRows {
			c.fail(place, "num_context_items is %d, want at most %d", call.NumContextItems, maxRows)
		}
		if n := call.RequestBodyBytes; n != nil && *n > math.MaxInt32 {
			c.fail(place, "request_body_bytes is %d, want at most %d", *n, math.MaxInt32)
		}
		for _, r := range call.ContextRanges {
			if r.StartItem < 0 || r.EndItem < r.StartItem || r.EndItem > items {
				c.fail(place, "context range [%d, %d): the session has %d items", r.StartItem, r.EndItem, items)
			}
		}
		if end := call.OutputEndItem; end != nil && *end > items {
			c.fail(place, "output_end_item %d: the session has %d items", *end, items)
		}
		if p := call.ParentCallIndex; p != nil {
			if n, ok := c.node(call.TrajectoryID, *p); !ok || n.call >= call.CallIndex {
				c.fail(place, "parent_call_index %d is no earlier call of the trajectory", *p)
			}
		}
		if call.EnvelopeSHA256 != nil {
			c.blob(place, *call.EnvelopeSHA256)
		}
		if (call.RequestBodySHA256 == nil) != (call.RequestBodyBytes == nil) {
			c.fail(place, "request_body_sha256 and request_body_bytes are not null together")
		}
		if call.RequestBodySHA256 != nil && call.EnvelopeSHA256 == nil {
			c.fail(place, "request_body_sha256 is set, but envelope_sha256 is null")
		}
	}
}

// blocks checks the rows of prefix blocks.
func (c *checker) blocks() {
	counts := make(map[node]int, len(c.s.Blocks)) // blocks of the prompts so far
	last := node{-1, 0}
	for i := range c.s.Blocks {
		b := &c.s.Blocks[i]
		place := placeOf(b.TrajectoryID, b.CallIndex) + " blocks"
		n, ok := c.node(b.TrajectoryID, b.CallIndex)
		switch {
		case b.SessionID != c.s.ID:
			c.fail(place, "its session is %q", b.SessionID)
		case !ok:
			c.fail(place, "there is no such call")
		case n.lane < last.lane || n.lane == last.lane && n.call <= last.call:
			c.fail(place, "the row is out of order or comes twice")
		}
		last = n
		if b.ParentTrajectoryID != nil && b.ParentCallIndex != nil {
			c.lender(place, b, counts)
		}
		counts[n] = int(b.SharedPrefixBlocks) + len(b.NewBlockIDs)
		if row, ok := c.nodes[n]; ok {
			if in := c.s.Calls[row].InputTokens; in != nil && *in != b.InputTokens {
				c.fail(place, "input_tokens is %d, the call's is %d", b.InputTokens, *in)
			}
		}
	}
}

// lender checks the parent of a row of blocks.
func (c *checker) lender(place string, b *schema.PrefixBlocks, counts map[node]int) {
	parent, ok := c.node(*b.ParentTrajectoryID, *b.ParentCallIndex)
	has, before := counts[parent]
	switch {
	case !ok || !before:
		c.fail(place, "the parent %s has no row before this one", placeOf(*b.ParentTrajectoryID, *b.ParentCallIndex))
	case int(b.SharedPrefixBlocks) > has:
		c.fail(place, "shares %d blocks of a parent that has %d", b.SharedPrefixBlocks, has)
	}
}
