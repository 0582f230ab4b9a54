package secrets

import (
	"sync"
	"time"
)

// Redactor replaces learned secrets in one stream of plain bytes. It stands
// between a decoder and a journal, and takes and gives the same: what was read,
// when, and in how many wire bytes.
//
// The placeholder of a secret has its length, so output and input have the same
// offsets, and every read comes out with its own stamp however long its bytes
// were held back: Feed's at and wire go with the bytes that were fed with them.
// A read whose last bytes could be the start of a secret comes out in two calls
// of the sink, the second with no wire bytes; a read that could be part of one
// as a whole waits, and those behind it wait with it. Held back is what can
// still turn out to be a secret, mostly nothing, and at most the longest
// spelling of one less a byte.
//
// A Redactor belongs to one goroutine at a time.
type Redactor struct {
	learned *Learned
	sink    func(at time.Duration, wire int, plain []byte)
	held    []byte
	reads   []pending // whose bytes are not all out; the first one holds held[0]
	odd     bool      // an odd number of backslashes stands before held
	found   map[string]int
}

// pending is a read that is not out.
type pending struct {
	at   time.Duration
	wire int
	left int // plain bytes
}

// maxPending bounds the reads without plain bytes that wait behind held ones.
const maxPending = 4096

// NewRedactor returns a redactor that hands reads to sink. The bytes are valid
// until sink returns.
func NewRedactor(l *Learned, sink func(at time.Duration, wire int, plain []byte)) *Redactor {
	return &Redactor{learned: l, sink: sink}
}

// Found counts what was replaced, by rule. It is nil if nothing was.
func (r *Redactor) Found() map[string]int { return r.found }

// Held is how many plain bytes were fed and are not out.
func (r *Redactor) Held() int { return len(r.held) }

var joints = sync.Pool{New: func() any { return new([]byte) }}

// Feed takes one read. Secrets that were learned before it are looked for in it
// and in what is held.
func (r *Redactor) Feed(at time.Duration, wire int, plain []byte) {
	if len(plain) == 0 && len(r.reads) >= maxPending {
		r.reads[len(r.reads)-1].wire += wire
		return
	}
	r.reads = append(r.reads, pending{at, wire, len(plain)})
	r.run(plain, false)
}

// Flush says that nothing follows, and hands out what was held.
func (r *Redactor) Flush() {
	r.run(nil, true)
	r.odd = false
}

// run looks at what is held and plain together, hands out what is decided and
// holds the rest.
func (r *Redactor) run(plain []byte, last bool) {
	if len(r.held) == 0 {
		n := r.pass(plain, false, last)
		r.held = append(r.held, plain[n:]...)
		return
	}
	joint := joints.Get().(*[]byte)
	text := append(append((*joint)[:0], r.held...), plain...)
	n := r.pass(text, true, last)
	r.held = append(r.held[:0], text[n:]...)
	if len(r.held) == 0 && cap(r.held) > 4<<10 {
		r.held = nil
	}
	if cap(text) <= 1<<20 {
		*joint = text
		joints.Put(joint)
	}
}

// pass hands out what is decided of text and returns how much that is. Text
// that is not the redactor's own is copied before it is changed.
func (r *Redactor) pass(text []byte, own, last bool) int {
	p := r.learned.patterns()
	from, done := text, len(text)
	var copied *[]byte
	for i, s := 0, uint32(0); ; {
		end, state := p.auto.find(text, i, s)
		if state < hit {
			if !last {
				done = end - p.auto.pending(state)
			}
			break
		}
		at := end - startBytes
		found, n, wait := p.at(from, at, state)
		if wait && !last {
			done = at
			break
		}
		if found == nil {
			i, s = end, state
			continue
		}
		if !own {
			copied = joints.Get().(*[]byte)
			text, own = append((*copied)[:0], text...), true
			*copied = text
		}
		r.replace(text, at, n, found)
		i, s = at+n, 0
	}
	r.release(text[:done])
	if copied != nil {
		joints.Put(copied)
	}
	return done
}

// replace overwrites the secret at text[at:at+n].
func (r *Redactor) replace(text []byte, at, n int, s *secret) {
	if r.found == nil {
		r.found = map[string]int{}
	}
	r.found[s.rule]++
	keep := escaped(text, at, at+n, r.odd)
	if s.digits {
		fillDigits(text[at+keep:at+n], s.hash)
		return
	}
	fill(text[at+keep:at+n], s.rule, s.hash)
}

// release hands out text, which is the first of what is not out.
func (r *Redactor) release(text []byte) {
	tail := backslashes(text, len(text))
	r.odd = (tail%2 == 1) != (tail == len(text) && r.odd)
	out := 0
	for i := range r.reads {
		head := &r.reads[i]
		n := min(head.left, len(text))
		if n < head.left && n == 0 {
			break
		}
		r.sink(head.at, head.wire, text[:n:n])
		text = text[n:]
		head.wire, head.left = 0, head.left-n
		if head.left > 0 {
			break
		}
		out++
	}
	r.reads = r.reads[:copy(r.reads, r.reads[out:])]
}

// backslashes counts those directly before text[i].
func backslashes(text []byte, i int) (n int) {
	for n < i && text[i-1-n] == '\\' {
		n++
	}
	return n
}

// escaped is how many bytes at text[from:to] must stay since they end an escape
// that begins before: a secret may begin with an n that belongs to a line break.
// odd says whether an odd number of backslashes stands before text.
func escaped(text []byte, from, to int, odd bool) int {
	n := backslashes(text, from)
	if (n%2 == 1) == (n == from && odd) {
		return 0
	}
	switch text[from] {
	case 'u':
		if to-from > 5 && only(string(text[from+1:from+5]), hexa) {
			return 5
		}
		return 0
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 1
	}
	return 0
}
