package journal

import (
	"errors"
	"io"
	"time"
)

// maxStore bounds the memory for one segment, read or written.
const maxStore = 1 << 30

// errNonsense says that a frame is whole and does not say anything that a
// writer would.
var errNonsense = errors.New("the frame's content makes no sense")

// event is what one frame says.
type event struct {
	kind     frameType
	number   uint64
	dir      Dir
	at       time.Duration
	flow     Flow
	head     Head
	reads    []Read // borrowed until the next event
	body     int    // fed: which body, and the part of it that is new
	from, to int64
	plain    [2]int64 // continued: bytes in earlier segments
	end      End
	loss     Loss
	gap      Gap
}

// decoder turns the frames of one segment into events.
type decoder struct {
	frames  *frames
	store   store
	threads map[uint64]*side
	limit   int64
	whole   bool // the writer closed the segment: nothing of it is missing
	scratch []byte
	reads   []Read
}

// side is a thread as the reader knows it.
type side struct {
	last time.Duration
	body [2]int // 1 more than the body's number; 0: nothing was fed
}

func newDecoder(f *frames) *decoder {
	return &decoder{frames: f, threads: map[uint64]*side{}, limit: maxStore}
}

// next returns the next event. At the end of the segment it returns io.EOF,
// where closed tells whether the segment says so itself.
func (d *decoder) next() (e event, closed bool, err error) {
	for {
		kind, p, err := d.frames.next()
		if err != nil {
			return e, false, err
		}
		switch kind {
		case frameMark:
			continue
		case frameClosed:
			c := cursor{b: p}
			c.varint()
			d.whole = c.varint() != 0 // Repair has no time to tell
			return e, true, io.EOF
		case frameBlock:
			return e, false, errNonsense
		}
		e, ok := d.parse(kind, &cursor{b: p})
		if !ok {
			return e, false, errNonsense
		}
		if d.store.size() > d.limit {
			return e, false, errors.New("the segment's bodies need more memory than a writer may use")
		}
		return e, false, nil
	}
}

func (d *decoder) parse(kind frameType, c *cursor) (event, bool) {
	e := event{kind: kind}
	if kind == frameGap {
		e.gap = Gap{Since: fromWall(c.varint()), Until: fromWall(c.varint()), Exchanges: c.varint(), Bytes: c.varint(), Cause: c.str(maxText)}
		return e, !c.bad
	}
	e.number = c.uvarint()
	if kind == frameBegin || kind == frameContinued {
		return e, d.begin(&e, c)
	}
	t := d.threads[e.number]
	if t == nil {
		return e, false
	}
	switch kind {
	case frameHeadOf:
		return e, d.head(&e, t, c)
	case frameFeed:
		return e, d.feed(&e, t, c)
	case frameEnd:
		e.at = d.stamp(t, c)
		e.end = parseEnd(c)
		e.end.At = e.at
		delete(d.threads, e.number)
	case frameLost:
		e.loss = Loss{Bytes: [2]int64{c.varint(), c.varint()}, Cause: c.str(maxText)}
	}
	return e, !c.bad
}

func (d *decoder) begin(e *event, c *cursor) bool {
	if d.threads[e.number] != nil {
		return false
	}
	if e.kind == frameContinued {
		e.plain = [2]int64{c.varint(), c.varint()}
	}
	p, ok := d.one(c)
	if !ok {
		return false
	}
	if e.flow, ok = parseFlow(p); !ok {
		return false
	}
	d.threads[e.number] = &side{last: e.flow.At}
	return true
}

func (d *decoder) head(e *event, t *side, c *cursor) bool {
	e.dir = Dir(c.byte() & 1)
	e.at = d.stamp(t, c)
	p, ok := d.one(c)
	if !ok {
		return false
	}
	e.head, ok = parseHead(p)
	return ok
}

func (d *decoder) feed(e *event, t *side, c *cursor) bool {
	e.dir = Dir(c.byte() & 1)
	d.reads = d.reads[:0]
	total := 0
	for range c.size(feedReads) {
		r := Read{At: d.stamp(t, c), Wire: int(c.uvarint()) - 1, Plain: c.size(feedBytes)}
		total += r.Plain
		d.reads = append(d.reads, r)
	}
	if c.bad || total > feedBytes {
		return false
	}
	if t.body[e.dir] == 0 {
		t.body[e.dir] = d.store.add() + 1
	}
	e.reads, e.body = d.reads, t.body[e.dir]-1
	e.from = d.store.bodies[e.body].n
	ok := parseRuns(c, &d.store, e.body, total)
	e.to = d.store.bodies[e.body].n
	return ok && e.to-e.from == int64(total)
}

// one takes a body that stands in one frame; it is valid until the next call.
func (d *decoder) one(c *cursor) ([]byte, bool) {
	b := d.store.add()
	if !parseRuns(c, &d.store, b, maxFrame) {
		return nil, false
	}
	d.scratch = d.store.append(d.scratch[:0], b, 0, d.store.bodies[b].n)
	return d.scratch, true
}

func (d *decoder) stamp(t *side, c *cursor) time.Duration {
	t.last += time.Duration(c.varint())
	return t.last
}
