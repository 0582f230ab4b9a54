package journal

import (
	"sync"
	"time"
)

// Tape records one exchange. Its methods may be called from any goroutine;
// what they are given counts in the order of the calls. None of them waits for
// the disk, and none keeps what it was given.
type Tape struct {
	w      *Writer
	number uint64
	mu     struct {
		sync.Mutex
		first  *batch // what the writer has not taken yet
		last   *batch
		listed bool // on the writer's list
		ended  bool
		absent bool // nothing of it is kept
		size   int64
		loss   Loss
		told   Loss // what of the loss was written
	}
	own struct { // of the writer's goroutine
		thread thread
		flow   []byte
		at     time.Duration
		begun  bool
		broken bool     // what it still has in a batch comes behind a hole
		plain  [2]int64 // bytes written in all segments
		first  uint64   // segment in which it begins
		cost   int64    // of the budget, until it has ended
	}
}

// op is something that happened to an exchange; its n bytes stand in the
// batch's data behind those of the ops before it.
type op struct {
	kind frameType
	dir  Dir
	at   time.Duration
	wire int
	n    int
}

// batch is what was fed to a tape and waits for the writer.
type batch struct {
	ops  []op
	data []byte
	cost int64
	next *batch
}

const (
	opCost   = 40  // memory for one op
	tapeCost = 768 // memory for one open tape
	// fullBatch is the size from which on a tape begins another batch: a buffer
	// that kept growing would be copied over and over.
	fullBatch = 32 << 10
	fullOps   = fullBatch / opCost
)

var batches = sync.Pool{New: func() any { return new(batch) }}

func (b *batch) free() {
	if cap(b.data) <= 4*fullBatch {
		*b = batch{ops: b.ops[:0], data: b.data[:0]}
		batches.Put(b)
	}
}

// Head notes a request line or status line with its fields, in its place
// between the bytes that are fed.
func (t *Tape) Head(dir Dir, at time.Duration, head Head) {
	t.note(op{kind: frameHeadOf, dir: dir, at: at}, appendHead(nil, head), 0)
}

// Feed notes one read of one side: wire bytes came in, and with them the plain
// bytes of the body became known, which may be none. Bytes fed after End are
// ignored.
func (t *Tape) Feed(dir Dir, at time.Duration, wire int, plain []byte) {
	o := op{kind: frameFeed, dir: dir, at: at, wire: max(wire, 0)}
	for len(plain) > feedBytes {
		t.note(o, plain[:feedBytes], feedBytes)
		plain, o.wire = plain[feedBytes:], -1
	}
	t.note(o, plain, int64(len(plain)))
}

// End notes how the exchange ended. It is complete on disk once a Sync that is
// called afterwards returns.
func (t *Tape) End(e End) {
	if t.w.used.Load() > t.w.cfg.Budget-maxAttrs*(maxName+maxText) {
		e.Attrs = nil
	}
	t.note(op{kind: frameEnd, at: e.At}, appendEnd(nil, e), 0)
}

// note puts an op into the tape's batch if the budget has room for it. plain is
// what is lost if not.
func (t *Tape) note(o op, p []byte, plain int64) {
	o.n = len(p)
	cost := int64(len(p) + opCost)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.ended {
		return
	}
	t.mu.ended = o.kind == frameEnd
	if t.mu.size += plain; t.mu.size > maxBody && !t.mu.loss.Any() {
		t.mu.loss.Cause = errLarge.Error()
		t.w.lose(true, false, 0)
	}
	// The end of an exchange is small, and there is one for each that had room
	// to begin.
	if !t.mu.loss.Any() && (t.mu.ended || t.w.reserve(cost)) {
		if t.mu.ended {
			t.w.used.Add(cost)
		}
		t.keepLocked(o, p, cost)
		return
	}
	if !t.mu.ended {
		t.loseLocked(o.dir, plain)
		return
	}
	if !t.mu.absent {
		t.w.used.Add(cost)
		t.keepLocked(o, p, cost)
	}
}

func (t *Tape) keepLocked(o op, p []byte, cost int64) {
	b := t.mu.last
	if b == nil || len(b.ops) >= fullOps || len(b.data) > 0 && len(b.data)+len(p) > fullBatch {
		b = batches.Get().(*batch)
		if t.mu.last == nil {
			t.mu.first = b
		} else {
			t.mu.last.next = b
		}
		t.mu.last = b
	}
	b.ops = append(b.ops, o)
	b.data = append(b.data, p...)
	b.cost += cost
	t.listLocked()
}

// loseLocked counts what finds no room. What comes later is not kept either:
// bytes after a hole could not be told from bytes before it.
func (t *Tape) loseLocked(dir Dir, plain int64) {
	first := !t.mu.loss.Any()
	if first {
		t.mu.loss.Cause = t.w.cause().Error()
	}
	t.mu.loss.Bytes[dir] += plain
	t.w.lose(first, t.mu.absent, plain)
	if first && !t.mu.absent {
		t.listLocked()
	}
}

func (t *Tape) listLocked() {
	if !t.mu.listed {
		t.mu.listed = true
		t.w.list(t)
	}
}

// take hands what waits to the writer's goroutine.
func (t *Tape) take() (b *batch, l Loss, tell bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b, t.mu.first, t.mu.last, t.mu.listed = t.mu.first, nil, nil, false
	l = t.mu.loss
	tell = l != t.mu.told
	t.mu.told = l
	return b, l, tell
}
