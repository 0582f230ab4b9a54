package fold

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"sort"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/wire"
)

// maxHint bounds how much is allocated on the word of a row.
const maxHint = 64 << 20

// ErrNoBody is the error of [Body] and [Elements] for a call whose source kept no
// body.
var ErrNoBody = errors.New("the call has no body")

// Body appends the request body of a call, byte for byte as it was folded, and
// returns the extended slice. Rows that do not fit together (a blob that is missing
// or withheld, an item or a slot that does not exist, patches that overlap, another
// length than the recorded one) are errors that name the call and the item.
func Body(dst []byte, s *schema.Session, c *schema.Call) ([]byte, error) {
	out, err := body(dst, s, c)
	if err != nil {
		return dst, fmt.Errorf("rebuild call %q of trajectory %q: %w", c.CallID, c.TrajectoryID, err)
	}
	return out, nil
}

func body(dst []byte, s *schema.Session, c *schema.Call) ([]byte, error) {
	envelope, err := envelope(s, c)
	if err != nil {
		return dst, err
	}
	if err := checkPatches(s, c); err != nil {
		return dst, err
	}
	b := builder{s: s, c: c, dst: dst, start: len(dst), limit: -1, ranges: c.ContextRanges}
	if c.RequestBodyBytes != nil {
		b.limit = *c.RequestBodyBytes
		b.dst = slices.Grow(dst, int(min(max(b.limit, 0), maxHint)))
	}
	from := 0
	for slot := int32(0); ; slot++ {
		h, ok, err := wire.NextHole(envelope, from)
		if err != nil {
			return dst, err
		}
		if !ok {
			b.dst = append(b.dst, envelope[from:]...)
			return b.dst, b.finish(slot)
		}
		b.dst = append(b.dst, envelope[from:h.Start]...)
		if err := b.fill(slot, h.Sep); err != nil {
			return dst, err
		}
		from = h.End
	}
}

func envelope(s *schema.Session, c *schema.Call) ([]byte, error) {
	if c.EnvelopeSHA256 == nil {
		return nil, ErrNoBody
	}
	text, err := blobText(s, *c.EnvelopeSHA256)
	if err != nil {
		return nil, fmt.Errorf("envelope: %w", err)
	}
	return []byte(text), nil
}

// builder appends the elements of one call.
type builder struct {
	s      *schema.Session
	c      *schema.Call
	dst    []byte
	start  int
	limit  int64 // recorded length of the body, -1 unknown
	ranges []schema.Range
}

// fill appends the ranges of one slot.
func (b *builder) fill(slot int32, sep []byte) error {
	for first := true; len(b.ranges) > 0 && b.ranges[0].Slot == slot; b.ranges = b.ranges[1:] {
		r := b.ranges[0]
		if err := checkRange(b.s, r); err != nil {
			return err
		}
		for item := r.StartItem; item < r.EndItem; item++ {
			if !first {
				b.dst = append(b.dst, sep...)
			}
			first = false
			if err := b.element(item); err != nil {
				return fmt.Errorf("item %d: %w", item, err)
			}
		}
	}
	return nil
}

func (b *builder) element(item int32) error {
	text, err := blobText(b.s, b.s.Items[item].ContentSHA256)
	if err != nil {
		return err
	}
	if b.dst, err = appendPatched(b.dst, text, patchesOf(b.c.Patches, item)); err != nil {
		return err
	}
	// Stopping here keeps ranges that repeat an item from filling memory.
	if got := int64(len(b.dst) - b.start); b.limit >= 0 && got > b.limit {
		return fmt.Errorf("the body is longer than the recorded %d bytes", b.limit)
	}
	return nil
}

func (b *builder) finish(slots int32) error {
	if len(b.ranges) > 0 {
		r := b.ranges[0]
		return fmt.Errorf("item %d: slot %d does not follow; the envelope has %d slots", r.StartItem, r.Slot, slots)
	}
	if got := int64(len(b.dst) - b.start); b.limit >= 0 && got != b.limit {
		return fmt.Errorf("the body has %d bytes, want the recorded %d", got, b.limit)
	}
	return nil
}

// Element is one element of a call's context.
type Element struct {
	Item    int32  // index into the session's items
	Slot    int32  // of the envelope
	Text    string // as sent
	Patched bool   // Text is not the stored content but was built from it
}

// Elements walks the elements of a call's context in body order, patched. It ends
// at the first error, which names the call and the item. A call without a body has
// none.
func Elements(s *schema.Session, c *schema.Call) iter.Seq2[Element, error] {
	return func(yield func(Element, error) bool) {
		fail := func(err error) {
			yield(Element{}, fmt.Errorf("walk call %q of trajectory %q: %w", c.CallID, c.TrajectoryID, err))
		}
		if err := checkPatches(s, c); err != nil {
			fail(err)
			return
		}
		for _, r := range c.ContextRanges {
			if err := checkRange(s, r); err != nil {
				fail(err)
				return
			}
			for item := r.StartItem; item < r.EndItem; item++ {
				e, err := element(s, c, item)
				if err != nil {
					fail(fmt.Errorf("item %d: %w", item, err))
					return
				}
				e.Slot = r.Slot
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

func element(s *schema.Session, c *schema.Call, item int32) (Element, error) {
	text, err := blobText(s, s.Items[item].ContentSHA256)
	if err != nil {
		return Element{}, err
	}
	patches := patchesOf(c.Patches, item)
	if len(patches) == 0 {
		return Element{Item: item, Text: text}, nil
	}
	patched, err := appendPatched(nil, text, patches)
	return Element{Item: item, Text: string(patched), Patched: true}, err
}

// patchesOf is the part of sorted patches that belongs to the item.
func patchesOf(patches []schema.Patch, item int32) []schema.Patch {
	if len(patches) == 0 {
		return nil
	}
	start := sort.Search(len(patches), func(i int) bool { return patches[i].Item >= item })
	end := start
	for end < len(patches) && patches[end].Item == item {
		end++
	}
	return patches[start:end]
}

// appendPatched appends text with the patches, which are of one item, applied.
func appendPatched(dst []byte, text string, patches []schema.Patch) ([]byte, error) {
	at := 0
	for _, p := range patches {
		off, del := int(p.Off), int(p.Del)
		if off < at || del < 0 || del > len(text)-off {
			return dst, fmt.Errorf("patch at byte %d overlaps another or leaves the %d bytes of the item", off, len(text))
		}
		dst = append(dst, text[at:off]...)
		dst = append(dst, p.Ins...)
		at = off + del
	}
	return append(dst, text[at:]...), nil
}

func checkPatches(s *schema.Session, c *schema.Call) error {
	for i, p := range c.Patches {
		if p.Item < 0 || int(p.Item) >= len(s.Items) {
			return fmt.Errorf("item %d: patched, but the session has %d items", p.Item, len(s.Items))
		}
		if i > 0 && p.Item < c.Patches[i-1].Item {
			return fmt.Errorf("item %d: its patches stand behind those of item %d", p.Item, c.Patches[i-1].Item)
		}
	}
	return nil
}

func checkRange(s *schema.Session, r schema.Range) error {
	if r.StartItem < 0 || r.StartItem >= r.EndItem || int(r.EndItem) > len(s.Items) {
		return fmt.Errorf("item %d: range [%d,%d) in a session of %d items", r.StartItem, r.StartItem, r.EndItem, len(s.Items))
	}
	return nil
}

func blobText(s *schema.Session, sum string) (string, error) {
	blob, ok := s.Blobs[sum]
	if !ok {
		return "", fmt.Errorf("blob %s is missing", sum)
	}
	if blob.Content == nil {
		return "", fmt.Errorf("blob %s: its content was withheld", sum)
	}
	return *blob.Content, nil
}
