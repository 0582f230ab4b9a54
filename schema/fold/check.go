package fold

import (
	"bytes"
	"fmt"
	"math"

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

// checkEdits refuses edits that do not turn a form of the element into Bytes.
func checkEdits(e *wire.Element) error {
	if e.Bare != nil || len(e.Edits) > 0 {
		if err := checkForm("bare", e.Bare, e.Edits, e.Bytes); err != nil {
			return err
		}
	}
	if e.Flat == nil {
		return nil
	}
	return checkForm("flat", e.Flat.Bytes, e.Flat.Edits, e.Bytes)
}

func checkForm(name string, form []byte, edits []wire.Edit, want []byte) error {
	if form == nil {
		return fmt.Errorf("edits without %s bytes", name)
	}
	patches := make([]schema.Patch, len(edits))
	for i, edit := range edits {
		patches[i] = schema.Patch{Off: int32(edit.Off), Del: int32(edit.Del), Ins: edit.Ins}
	}
	built, err := appendPatched(nil, string(form), patches)
	if err != nil {
		return err
	}
	if !bytes.Equal(built, want) {
		return fmt.Errorf("edits do not turn the %s bytes into the element", name)
	}
	return nil
}

// bare is an element without its marks.
func bare(e *wire.Element) []byte {
	if e.Bare != nil {
		return e.Bare
	}
	return e.Bytes
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
