package fold

import (
	"hash/maphash"
	"slices"

	"github.com/capstan-bench/capstan/schema/wire"
)

// store finds items by content. Each lookup is one comparison where the context
// goes on as it did before, else a hash and the items of equal hash. The hash's
// seed is random; results do not depend on it, since contents are compared.
type store struct {
	seed   maphash.Seed
	byHash map[uint64][]int32 // items with a form of that hash, oldest first
	items  []stored           // by item
}

// stored is what is remembered of an item besides its row. An item whose element
// may be flattened is open until the element comes without marks: then it is known
// in which form the client sends it, and content is that form.
type stored struct {
	content   string
	flat      string // "" where the item is not open
	flattened bool   // content was flat
	answer    bool   // an answer came with the item before a context
	after     int32  // the item that stood behind it last, -1
	call      int32  // the latest call that used the item, 0 none
	edits     []wire.Edit
	flatEdits []wire.Edit // with edits, those of the element in that call
}

// isFlat says whether the item is stored flat as things stand. An item that is open
// is stored as strings are, which any endpoint takes, unless it is known better
// from the answer that it repeats.
func (it *stored) isFlat() bool { return it.flattened || it.flat != "" && !it.answer }

// text is what is stored of the item as things stand.
func (it *stored) text() string {
	if it.flat != "" && it.isFlat() {
		return it.flat
	}
	return it.content
}

// fit says in which form an item can stand for an element.
type fit int

const (
	unfit fit = iota
	inBare
	inFlat
	inBoth // the item is open, and stays so
)

func newStore() store {
	return store{seed: maphash.MakeSeed(), byHash: map[uint64][]int32{}}
}

// find returns an item that can stand for the element and is not used by this call
// for one with other marks, or -1. It prefers the item that stood behind before
// last, then the oldest.
func (s *store) find(e *wire.Element, before, call int32) (int32, fit) {
	if before >= 0 {
		if next := s.items[before].after; next >= 0 {
			if how := s.fits(next, e, call); how != unfit {
				return next, how
			}
		}
	}
	item, how := s.lookUp(bare(e), e, call)
	if item < 0 && e.Flat != nil {
		return s.lookUp(e.Flat.Bytes, e, call)
	}
	return item, how
}

// lookUp finds an item by one of the element's forms.
func (s *store) lookUp(form []byte, e *wire.Element, call int32) (int32, fit) {
	for _, item := range s.byHash[maphash.Bytes(s.seed, form)] {
		if how := s.fits(item, e, call); how != unfit {
			return item, how
		}
	}
	return -1, unfit
}

func (s *store) fits(item int32, e *wire.Element, call int32) fit {
	it := &s.items[item]
	if it.call == call && !(slices.Equal(it.edits, e.Edits) && slices.Equal(it.flatEdits, flatEdits(e))) {
		return unfit
	}
	switch b := bare(e); {
	case it.content == string(b) && it.flat != "" && e.Flat != nil:
		return inBoth
	case it.content == string(b):
		return inBare
	case it.flat != "" && it.flat == string(b):
		return inBare
	case e.Flat != nil && (it.content == string(e.Flat.Bytes) || it.flat == string(e.Flat.Bytes)):
		return inFlat
	}
	return unfit
}

// settle closes an open item that stands for an element which fits one form only.
func (s *store) settle(item int32, e *wire.Element, how fit) {
	it := &s.items[item]
	if it.flat == "" || how == inBoth {
		return
	}
	if it.content != string(bare(e)) {
		it.content, it.flattened = it.flat, true
	}
	it.flat = ""
}

// use notes that a call uses the item for an element behind before, and says
// whether it is its first use in that call.
func (s *store) use(item, before, call int32, e *wire.Element) bool {
	if before >= 0 {
		s.items[before].after = item
	}
	it := &s.items[item]
	if it.call == call {
		return false
	}
	it.call = call
	// Most items come without marks in call after call.
	if len(e.Edits)+len(it.edits) > 0 || e.Flat != nil || it.flatEdits != nil {
		it.edits, it.flatEdits = e.Edits, flatEdits(e)
	}
	return true
}

// add appends the next item. It is open where the element has a flat form.
func (s *store) add(e *wire.Element) {
	item := int32(len(s.items))
	it := stored{content: string(bare(e)), after: -1}
	s.index(bare(e), item)
	if e.Flat != nil {
		it.flat = string(e.Flat.Bytes)
		s.index(e.Flat.Bytes, item)
	}
	s.items = append(s.items, it)
}

func (s *store) index(form []byte, item int32) {
	hash := maphash.Bytes(s.seed, form)
	s.byHash[hash] = append(s.byHash[hash], item)
}

func flatEdits(e *wire.Element) []wire.Edit {
	if e.Flat == nil {
		return nil
	}
	return e.Flat.Edits
}
