package journal

const (
	// blockBytes is the length of the blocks that are indexed, at every multiple
	// of it: equal stretches of at least 2*blockBytes-1 bytes are always found.
	blockBytes = 32
	// minCopy is the least that a copy must spare to be worth its own bytes.
	minCopy = 16
	// pieceBytes cuts long literals, so that a body finds its own earlier bytes.
	pieceBytes = 4 << 10

	hashMul = 0x9E3779B97F4A7C15 | 1
)

// hashOut is hashMul to the power of blockBytes: what the oldest byte of a
// block weighs when the next one comes in.
var hashOut = func() uint64 {
	v := uint64(1)
	for range blockBytes {
		v *= hashMul
	}
	return v
}()

// matcher turns one body, which comes piece by piece, into runs. It owns the
// bytes just before the next piece, over which the rolling hash goes on, and
// the copy that the next piece may continue.
type matcher struct {
	body int
	tail []byte // the last literal bytes, at most blockBytes
	from int    // where the last copy would go on, while live
	off  int64
	live bool
}

// deduper finds runs against the bodies of one segment.
type deduper struct {
	store store
	index index
	buf   []byte // tail and piece in one
	runs  []run
}

func newDeduper() *deduper { return &deduper{store: store{places: true}} }

// size estimates the memory that it takes.
func (d *deduper) size() int64 { return d.store.size() + d.index.size() }

// scan is one piece being cut into runs.
type scan struct {
	*deduper
	m    *matcher
	buf  []byte
	lit  int // where the literal that is not stored yet begins
	fill int // bytes at the end of buf that the hash is over, up to blockBytes
}

// add appends p to the matcher's body and returns it as runs, which are valid
// until the next call and borrow p.
func (d *deduper) add(m *matcher, p []byte) []run {
	d.runs = d.runs[:0]
	n := 0
	if m.live {
		if n = d.store.common(m.from, m.off, p); n > 0 {
			d.copyRun(m, m.from, m.off, n)
			m.tail = m.tail[:0]
		}
		m.live = n == len(p)
	}
	if n < len(p) {
		d.scan(m, p[n:])
	}
	return d.runs
}

func (d *deduper) scan(m *matcher, p []byte) {
	d.buf = append(append(d.buf[:0], m.tail...), p...)
	s := scan{deduper: d, m: m, buf: d.buf, lit: len(m.tail)}
	s.roll()
	s.flush(len(s.buf))
	m.tail = append(m.tail[:0], s.buf[len(s.buf)-s.fill:]...)
}

// roll moves a block's width over the piece, looks every block up and notes
// those that begin at a multiple of blockBytes in the body.
func (s *scan) roll() {
	hash, fill := uint64(0), 0
	for _, c := range s.buf[:s.lit] {
		hash = hash*hashMul + uint64(c) + 1
		fill++
	}
	base := s.store.bodies[s.m.body].n - int64(s.lit) // of buf in the body
	for i := s.lit; i < len(s.buf); {
		hash = hash*hashMul + uint64(s.buf[i]) + 1
		if fill == blockBytes {
			hash -= (uint64(s.buf[i-blockBytes]) + 1) * hashOut
		} else {
			fill++
		}
		i++
		if fill < blockBytes {
			continue
		}
		sum := uint32(hash * 0xD6E8FEB86659FD93 >> 32)
		if s.index.seen(sum) {
			if n := s.found(i, sum); n > 0 {
				i, hash, fill = n, 0, 0
				continue
			}
		}
		if end := base + int64(i); end%blockBytes == 0 {
			s.index.insert(sum, s.m.body, end-blockBytes)
		}
		if i-s.lit >= pieceBytes {
			s.flush(i)
		}
	}
	s.fill = fill
}

// found looks the block that ends at i up, and copies what it can.
func (s *scan) found(i int, sum uint32) int {
	b, off, ok := s.index.lookup(sum)
	if !ok {
		return 0
	}
	return s.take(i, b, off+blockBytes)
}

// take looks at a block that seems to end at buf[i] as it does at off of body
// b. If it is worth a copy, it returns where the copy ends.
func (s *scan) take(i, b int, off int64) int {
	if off > s.store.bodies[b].n {
		return 0 // not stored yet
	}
	block := s.buf[max(s.lit, i-blockBytes):i]
	if s.store.commonBack(b, off, block) < len(block) {
		return 0
	}
	ahead := s.store.common(b, off, s.buf[i:])
	if b2, last := s.store.latest(b, off-1); b2 != b || last+1 != off {
		if s.store.commonBack(b2, last+1, block) == len(block) {
			if n := s.store.common(b2, last+1, s.buf[i:]); n >= ahead {
				b, off, ahead = b2, last+1, n
			}
		}
	}
	back := s.store.commonBack(b, off, s.buf[s.lit:i])
	if back+ahead < minCopy {
		return 0
	}
	s.flush(i - back)
	s.copyRun(s.m, b, off-int64(back), back+ahead)
	s.lit = i + ahead
	s.m.live = s.lit == len(s.buf)
	return s.lit
}

// flush makes a literal of what was not stored up to end.
func (s *scan) flush(end int) {
	p := s.buf[s.lit:end]
	if len(p) == 0 {
		return
	}
	s.store.literal(s.m.body, p)
	s.deduper.runs = append(s.deduper.runs, run{Lit: p})
	s.lit = end
}

func (d *deduper) copyRun(m *matcher, from int, off int64, n int) {
	if !d.store.copyRun(m.body, from, off, int64(n)) {
		panic("journal: internal error: copy of bytes that the body does not have")
	}
	d.runs = append(d.runs, run{From: uint64(from), Off: off, Len: int64(n)})
	m.from, m.off = from, off+int64(n)
}
