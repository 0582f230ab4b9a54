package journal

import (
	"encoding/binary"
	"time"
)

const (
	// feedBytes and feedReads bound one feed frame.
	feedBytes = 256 << 10
	feedReads = 4096
)

// Read is one read of one side as the recorder saw it.
type Read struct {
	At    time.Duration // on the clock of Flow.At
	Wire  int           // bytes read; within the package -1: the read before goes on
	Plain int           // bytes of body that became known with it; often 0 under a coding
}

// encoder turns what happens to exchanges into the frames of one segment.
type encoder struct {
	dedup *deduper
	seal  *sealer
	out   []byte // complete frames that are not written
}

func newEncoder(s *sealer) *encoder { return &encoder{dedup: newDeduper(), seal: s} }

// thread is one exchange within one segment.
type thread struct {
	number uint64
	last   time.Duration // times are written as distances from the one before
	sides  [2]*matcher
}

// open begins a frame about t.
func (e *encoder) open(t *thread) int {
	start := len(e.out)
	e.out = binary.AppendUvarint(beginFrame(e.out), t.number)
	return start
}

func (e *encoder) close(start int, t frameType) { e.out = endFrame(e.out, start, t, e.seal) }

// stamp appends a time.
func (e *encoder) stamp(t *thread, at time.Duration) {
	e.out = binary.AppendVarint(e.out, int64(at-t.last))
	t.last = at
}

// whole appends p as a body of its own: heads and flows repeat too.
func (e *encoder) whole(p []byte) {
	m := matcher{body: e.dedup.store.add()}
	e.out = appendRuns(e.out, m.body, e.dedup.add(&m, p))
}

func (e *encoder) begin(t *thread, at time.Duration, flow []byte) {
	start := e.open(t)
	t.last = at
	e.whole(flow)
	e.close(start, frameBegin)
}

// continued begins t in this segment. Of its bodies, plain bytes are in
// earlier ones.
func (e *encoder) continued(t *thread, at time.Duration, plain [2]int64, flow []byte) {
	start := e.open(t)
	t.last = at
	for _, n := range plain {
		e.out = binary.AppendVarint(e.out, n)
	}
	e.whole(flow)
	e.close(start, frameContinued)
}

func (e *encoder) head(t *thread, dir Dir, at time.Duration, head []byte) {
	start := e.open(t)
	e.out = append(e.out, byte(dir))
	e.stamp(t, at)
	e.whole(head)
	e.close(start, frameHeadOf)
}

// feed appends reads whose plain bytes come to p, within the bounds of a frame.
func (e *encoder) feed(t *thread, dir Dir, reads []Read, p []byte) {
	start := e.open(t)
	e.out = append(e.out, byte(dir))
	e.out = binary.AppendUvarint(e.out, uint64(len(reads)))
	for _, r := range reads {
		e.stamp(t, r.At)
		e.out = binary.AppendUvarint(e.out, uint64(r.Wire+1))
		e.out = binary.AppendUvarint(e.out, uint64(r.Plain))
	}
	m := t.sides[dir]
	if m == nil {
		m = &matcher{body: e.dedup.store.add()}
		t.sides[dir] = m
	}
	e.out = appendRuns(e.out, m.body, e.dedup.add(m, p))
	e.close(start, frameFeed)
}

func (e *encoder) end(t *thread, at time.Duration, end []byte) {
	start := e.open(t)
	e.stamp(t, at)
	e.out = append(e.out, end...)
	e.close(start, frameEnd)
}

// lost notes what of t is missing so far.
func (e *encoder) lost(t *thread, l Loss) {
	start := e.open(t)
	for _, n := range l.Bytes {
		e.out = binary.AppendVarint(e.out, n)
	}
	cut := false
	e.out = appendString(e.out, clip(l.Cause, maxText, &cut))
	e.close(start, frameLost)
}

func (e *encoder) gap(g Gap) {
	start := len(e.out)
	e.out = beginFrame(e.out)
	for _, v := range []int64{wall(g.Since), wall(g.Until), g.Exchanges, g.Bytes} {
		e.out = binary.AppendVarint(e.out, v)
	}
	cut := false
	e.out = appendString(e.out, clip(g.Cause, maxText, &cut))
	e.close(start, frameGap)
}

// mark says how much of the file is known to be durable.
func (e *encoder) mark(t frameType, durable int64, now time.Time) {
	start := len(e.out)
	e.out = binary.AppendVarint(beginFrame(e.out), durable)
	e.out = binary.AppendVarint(e.out, wall(now))
	e.close(start, t)
}
