package fold

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/wire"
)

// check refuses a layout that does not give the body back. It compares in place
// and builds nothing but elements with edits.
func check(l wire.Layout, body []byte) error {
	if len(body) > math.MaxInt32 {
		return fmt.Errorf("check layout: body of %d bytes, want at most %d", len(body), math.MaxInt32)
	}
	rest, from := body, 0
	take := func(piece []byte) bool {
		ok := bytes.HasPrefix(rest, piece)
		if ok {
			rest = rest[len(piece):]
		}
		return ok
	}
	mismatch := func() error {
		return fmt.Errorf("check layout: it differs from the body at byte %d", len(body)-len(rest))
	}
	for slot := 0; ; slot++ {
		h, ok, err := wire.NextHole(l.Envelope, from)
		if err != nil {
			return err
		}
		if !ok {
			if slot != len(l.Slots) {
				return fmt.Errorf("check layout: %d holes, want %d", slot, len(l.Slots))
			}
			if !take(l.Envelope[from:]) || len(rest) > 0 {
				return mismatch()
			}
			return nil
		}
		if slot >= len(l.Slots) || !take(l.Envelope[from:h.Start]) {
			return mismatch()
		}
		for i := range l.Slots[slot] {
			e := &l.Slots[slot][i]
			if i > 0 && !take(h.Sep) || !take(e.Bytes) {
				return mismatch()
			}
			if err := checkEdits(e); err != nil {
				return fmt.Errorf("check element %d of slot %d: %w", i, slot, err)
			}
		}
		from = h.End
	}
}

// checkEdits refuses edits that do not turn Bare into Bytes.
func checkEdits(e *wire.Element) error {
	if e.Bare == nil {
		if len(e.Edits) > 0 {
			return errors.New("edits without bare bytes")
		}
		return nil
	}
	patches := make([]schema.Patch, len(e.Edits))
	for i, edit := range e.Edits {
		patches[i] = schema.Patch{Off: int32(edit.Off), Del: int32(edit.Del), Ins: edit.Ins}
	}
	built, err := appendPatched(nil, string(e.Bare), patches)
	if err != nil {
		return err
	}
	if !bytes.Equal(built, e.Bytes) {
		return errors.New("edits do not turn the bare bytes into the element")
	}
	return nil
}

// bare is what is stored of an element.
func bare(e *wire.Element) []byte {
	if e.Bare != nil {
		return e.Bare
	}
	return e.Bytes
}

// marked says whether an element came with a cache mark. Its edits may do no more
// than put a text back into a part.
func marked(e *wire.Element) bool {
	return slices.ContainsFunc(e.Edits, func(edit wire.Edit) bool { return strings.Contains(edit.Ins, `"cache_control"`) })
}

// outputElements describes the elements of an answer. In a format that wire does
// not know they are taken as they are.
func outputElements(format string, output [][]byte) ([]wire.Element, error) {
	elements := make([]wire.Element, len(output))
	for i, raw := range output {
		if !wire.Known(format) {
			elements[i] = wire.Element{Bytes: raw, Kind: wire.KindAssistant, Role: "assistant"}
			continue
		}
		e, err := wire.ParseElement(format, raw)
		if err != nil {
			return nil, fmt.Errorf("output element %d: %w", i, err)
		}
		elements[i] = e
	}
	return elements, nil
}

// sortPatches puts patches in the order in which bodies are rebuilt from them. The
// patches of one item already ascend.
func sortPatches(patches []schema.Patch) {
	slices.SortStableFunc(patches, func(a, b schema.Patch) int { return int(a.Item - b.Item) })
}
