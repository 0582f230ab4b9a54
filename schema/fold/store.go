package fold

import (
	"hash/maphash"
	"slices"

	"github.com/capstan-bench/capstan/schema/wire"
)

// store finds items by content. Each lookup is one comparison where the context
// goes on as expected, else one hash and the items of equal hash. The hash's seed
// is random; results do not depend on it, since contents are compared.
type store struct {
	seed  maphash.Seed
	first map[uint64]int32 // oldest item with that hash
	items []stored         // by item index
}

type stored struct {
	content string
	next    int32       // the next younger item with the same hash, -1 at the end
	last    int32       // of the chain; only right in its first item
	call    int32       // the latest call that used the item
	edits   []wire.Edit // in that call
}

func newStore() store {
	return store{seed: maphash.MakeSeed(), first: map[uint64]int32{}}
}

// find returns an item that holds content and is not used by this call with other
// edits, or -1. It prefers want, the item that continues the range at hand.
func (s *store) find(content []byte, want, call int32, edits []wire.Edit) int32 {
	if want >= 0 && int(want) < len(s.items) && s.fits(want, content, call, edits) {
		return want
	}
	for item := s.chain(content); item >= 0; item = s.items[item].next {
		if s.fits(item, content, call, edits) {
			return item
		}
	}
	return -1
}

func (s *store) chain(content []byte) int32 {
	item, ok := s.first[maphash.Bytes(s.seed, content)]
	if !ok {
		return -1
	}
	return item
}

func (s *store) fits(item int32, content []byte, call int32, edits []wire.Edit) bool {
	it := &s.items[item]
	return it.content == string(content) && (it.call != call || slices.Equal(it.edits, edits))
}

// run finds items in a row that hold the contents one after another.
func (s *store) run(contents [][]byte) (start int32, ok bool) {
	for item := s.chain(contents[0]); item >= 0; item = s.items[item].next {
		if s.holds(item, contents) {
			return item, true
		}
	}
	return 0, false
}

func (s *store) holds(item int32, contents [][]byte) bool {
	if int(item)+len(contents) > len(s.items) {
		return false
	}
	for i, content := range contents {
		if s.items[int(item)+i].content != string(content) {
			return false
		}
	}
	return true
}

// use notes that a call uses the item with the edits, and says whether it is its
// first use in that call.
func (s *store) use(item, call int32, edits []wire.Edit) bool {
	it := &s.items[item]
	if it.call == call {
		return false
	}
	it.call, it.edits = call, edits
	return true
}

// add appends the next item.
func (s *store) add(content string) {
	item := int32(len(s.items))
	s.items = append(s.items, stored{content: content, next: -1, last: item})
	hash := maphash.String(s.seed, content)
	if first, ok := s.first[hash]; ok {
		s.items[s.items[first].last].next = item
		s.items[first].last = item
		return
	}
	s.first[hash] = item
}
