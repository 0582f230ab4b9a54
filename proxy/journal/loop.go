package journal

import (
	"cmp"
	"slices"
	"time"
)

// loop owns the segments. It takes what was fed soon after the first of it
// came, and syncs behind it.
func (w *Writer) loop() {
	defer close(w.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if at := w.due(); !at.IsZero() {
			timer.Reset(max(time.Until(at), 0))
		} else {
			timer.Reset(time.Hour)
		}
		select {
		case <-w.wake:
		case <-timer.C:
		case r := <-w.synced:
			w.settle(r)
		case <-w.own.ctx.Done():
			w.shut()
			return
		}
		if at := w.due(); at.IsZero() || time.Until(at) > 0 {
			continue
		}
		w.drain()
		if w.syncDue() {
			w.startSync()
		}
	}
}

// due returns when the loop has something to do; zero: not before it is woken.
func (w *Writer) due() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.mu.waiting) > 0 {
		return time.Now()
	}
	var at time.Time
	if !w.mu.since.IsZero() {
		at = w.mu.since.Add(w.cfg.SyncEvery / flushShare)
	}
	if w.unsynced() && !w.own.syncing {
		if s := w.own.lastSync.Add(w.cfg.SyncEvery); at.IsZero() || s.Before(at) {
			at = s
		}
	}
	return at
}

// drain takes what was fed to all tapes and writes it.
func (w *Writer) drain() {
	o := &w.own
	w.mu.Lock()
	list := w.mu.list
	w.mu.list = o.list[:0]
	w.mu.busy, w.mu.since = w.mu.since, time.Time{}
	o.waiting = append(o.waiting, w.mu.waiting...)
	w.mu.waiting = nil
	w.mu.Unlock()
	if len(list) > 0 {
		w.mark()
	}
	for _, t := range list {
		w.drainTape(t)
	}
	if g, ok := w.takeGap(!o.until.IsZero()); ok {
		o.enc.gap(g)
	}
	w.flush()
	clear(list)
	o.list = list[:0]
	w.mu.Lock()
	w.mu.busy = time.Time{}
	w.mu.stats.Match = o.enc.dedup.size()
	w.mu.Unlock()
	if o.until.IsZero() {
		w.calm()
	}
}

// mark notes from time to time how much of the segment is durable.
func (w *Writer) mark() {
	o := &w.own
	if now := time.Now(); o.seg.durable > o.seg.marked && now.Sub(o.lastMark) >= time.Second {
		o.enc.mark(frameMark, o.seg.durable, now)
		o.seg.marked, o.lastMark = o.seg.durable, now
	}
}

// drainTape writes what was fed to t. What was lost is told before its end.
func (w *Writer) drainTape(t *Tape) {
	b, loss, tell := t.take()
	for b != nil {
		w.own.held += b.cost
		if n := len(b.ops); tell && b.next == nil && n > 0 && b.ops[n-1].kind == frameEnd {
			w.ops(t, b.ops[:n-1], b.data)
			w.own.enc.lost(&t.own.thread, loss)
			tell = false
			w.ops(t, b.ops[n-1:], b.data[len(b.data)-b.ops[n-1].n:])
		} else {
			w.ops(t, b.ops, b.data)
		}
		next := b.next
		b.free()
		b = next
	}
	if tell && t.own.begun {
		w.own.enc.lost(&t.own.thread, loss)
	}
}

// ops writes what happened to t; data holds the bytes of all ops.
func (w *Writer) ops(t *Tape, ops []op, data []byte) {
	for len(ops) > 0 {
		p, n, size := ops[0], 1, ops[0].n
		switch p.kind {
		case frameBegin:
			w.beginTape(t)
		case frameHeadOf:
			w.own.enc.head(&t.own.thread, p.dir, p.at, data[:size])
		case frameFeed:
			n, size = w.group(ops)
			w.feedTape(t, p.dir, data[:size])
		case frameEnd:
			w.own.enc.end(&t.own.thread, p.at, data[:size])
			w.endTape(t)
		}
		ops, data = ops[n:], data[size:]
		w.makeRoom()
	}
}

// group collects the reads at the front of ops that fit into one frame.
func (w *Writer) group(ops []op) (n, size int) {
	reads := w.own.reads[:0]
	for _, p := range ops {
		if p.kind != frameFeed || p.dir != ops[0].dir || size+p.n > feedBytes || n == feedReads {
			break
		}
		reads = append(reads, Read{At: p.at, Wire: p.wire, Plain: p.n})
		size += p.n
		n++
	}
	w.own.reads = reads
	return n, size
}

func (w *Writer) beginTape(t *Tape) {
	o := &w.own
	o.enc.begin(&t.own.thread, t.own.at, t.own.flow)
	o.open[t] = true
	t.own.begun, t.own.first = true, o.seq
	w.mu.Lock()
	w.mu.firsts[o.seq]++
	w.mu.stats.Exchanges++
	w.mu.stats.Open++
	w.mu.Unlock()
}

func (w *Writer) feedTape(t *Tape, dir Dir, p []byte) {
	if t.own.broken {
		w.lose(false, false, int64(len(p)))
		return
	}
	w.own.enc.feed(&t.own.thread, dir, w.own.reads, p)
	t.own.plain[dir] += int64(len(p))
	w.mu.Lock()
	w.mu.stats.Plain += int64(len(p))
	w.mu.Unlock()
}

func (w *Writer) endTape(t *Tape) {
	o := &w.own
	delete(o.open, t)
	o.held += t.own.cost
	o.ends++
	w.mu.Lock()
	w.mu.stats.Open--
	if w.mu.firsts[t.own.first]--; w.mu.firsts[t.own.first] == 0 {
		delete(w.mu.firsts, t.own.first)
	}
	w.mu.Unlock()
	t.own.thread = thread{}
	t.own.flow, t.own.begun = nil, false
}

// outBytes is how much is encoded before it is written.
const outBytes = 256 << 10

// makeRoom writes what is encoded once it is much, and ends the segment once
// it is full.
func (w *Writer) makeRoom() {
	o := &w.own
	if o.seg.size+int64(len(o.enc.out)) >= w.cfg.SegmentBytes || o.enc.dedup.size() >= w.cfg.MatchBytes ||
		(o.seg.size > 0 && time.Since(o.seg.head.created) >= w.cfg.SegmentAge) {
		w.rotate()
	} else if len(o.enc.out) >= outBytes {
		w.flush()
	}
}

// sortedOpen returns the open tapes in the order of their beginnings.
func (w *Writer) sortedOpen() []*Tape {
	all := make([]*Tape, 0, len(w.own.open))
	for t := range w.own.open {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b *Tape) int { return cmp.Compare(a.number, b.number) })
	return all
}
