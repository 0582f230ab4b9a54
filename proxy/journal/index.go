package journal

// index finds blocks of earlier bodies by their hash. It is a cache: it may
// forget a block, and what it finds is to be compared.
//
// Most lookups are for bytes that were never seen. They end at the filter, a
// bit for each of filterBits times as many hashes as there are slots, which
// stays in the processor's cache where the slots do not.
type index struct {
	slots  []slot
	used   int
	filter []uint64
}

// slot is a block's hash and where it was last seen. Bodies are counted from 1
// here, so that the zero slot is free.
type slot struct{ hash, body, off uint32 }

const (
	firstSlots = 1 << 10
	probes     = 8
	filterBits = 16
	// maxIndexed is the offset in a body beyond which blocks are not indexed.
	maxIndexed = 1<<32 - 1
)

func (x *index) size() int64 { return int64(len(x.slots)) * (12 + filterBits/8) }

// bit returns the word of the filter that tells of a hash, and its bit there.
// It uses other bits of the hash first than the slot does.
func (x *index) bit(hash uint32) (word uint32, mask uint64) {
	return (hash >> 6) & uint32(len(x.filter)-1), 1 << (hash & 63)
}

// seen reports whether lookup could find the hash.
func (x *index) seen(hash uint32) bool {
	if len(x.filter) == 0 {
		return false
	}
	word, mask := x.bit(hash)
	return x.filter[word]&mask != 0
}

// lookup returns where a block with this hash was last seen.
func (x *index) lookup(hash uint32) (body int, off int64, ok bool) {
	mask := uint32(len(x.slots) - 1)
	for i := range uint32(min(probes, len(x.slots))) {
		s := &x.slots[(hash+i)&mask]
		if s.body == 0 {
			return 0, 0, false
		}
		if s.hash == hash {
			return int(s.body - 1), int64(s.off), true
		}
	}
	return 0, 0, false
}

// insert notes a block. Of two with one hash it keeps the later; where the
// neighbourhood is full, the block takes the place of the first.
func (x *index) insert(hash uint32, body int, off int64) {
	if off > maxIndexed {
		return
	}
	if x.used >= len(x.slots)*3/4 {
		x.grow()
	}
	x.put(slot{hash: hash, body: uint32(body + 1), off: uint32(off)})
}

func (x *index) put(v slot) {
	word, bit := x.bit(v.hash)
	x.filter[word] |= bit
	mask := uint32(len(x.slots) - 1)
	for i := range uint32(probes) {
		s := &x.slots[(v.hash+i)&mask]
		if s.body == 0 {
			x.used++
		}
		if s.body == 0 || s.hash == v.hash {
			*s = v
			return
		}
	}
	x.slots[v.hash&mask] = v
}

func (x *index) grow() {
	old := x.slots
	x.slots, x.used = make([]slot, max(firstSlots, 2*len(old))), 0
	x.filter = make([]uint64, len(x.slots)*filterBits/64)
	for _, v := range old {
		if v.body != 0 {
			x.put(v)
		}
	}
}
