package journal

import (
	"fmt"
	"path/filepath"
	"time"
)

// segment is a file being written.
type segment struct {
	head    header
	key     []byte // what head.wrapped holds; nil: not sealed
	path    string
	file    file // nil: not made yet
	size    int64
	durable int64 // bytes known to survive a power cut
	marked  int64 // the latest durable that is in the file
	named   bool  // its name is durable
	broken  bool  // a refused write left its traces
}

// write appends all of p or nothing.
func (s *segment) write(d disk, p []byte) error {
	if s.file == nil {
		f, err := d.Create(s.path)
		if err != nil {
			return fmt.Errorf("make segment: %w", err)
		}
		s.file = f
	}
	if s.size == 0 {
		p = append(appendHeader(nil, s.head), p...)
	}
	n, err := s.file.Write(p)
	if err == nil {
		s.size += int64(len(p))
		return nil
	}
	if n > 0 {
		err2 := s.file.Truncate(s.size)
		if err2 == nil {
			_, err2 = s.file.Seek(s.size, 0)
		}
		s.broken = err2 != nil
	}
	return fmt.Errorf("write segment: %w", err)
}

// fresh begins a segment, in memory: its file is made with the first write.
func (w *Writer) fresh() error {
	o := &w.own
	seal, wrapped, key, err := w.keys.wrap()
	if err != nil {
		return err
	}
	o.seq++
	h := header{journal: w.key.id, run: o.run, seq: o.seq, created: time.Now(), wrapped: wrapped}
	if seal != nil {
		h.flags = flagSealed
	}
	o.seg = &segment{head: h, key: key, path: filepath.Join(w.cfg.Dir, segmentName(o.seq, rawSuffix))}
	out := []byte(nil)
	if o.enc != nil {
		out = o.enc.out[:0]
	}
	o.enc = newEncoder(seal)
	o.enc.out = out
	w.mu.Lock()
	w.mu.current = o.seq
	w.mu.stats.Segments++
	w.mu.Unlock()
	return nil
}

const (
	firstBackoff = 50 * time.Millisecond
	lastBackoff  = 2 * time.Second
)

// flush writes what is encoded. It does not return before the disk took it,
// the writer is to end, or the segment is beyond use.
func (w *Writer) flush() {
	o := &w.own
	wait := firstBackoff
	for len(o.enc.out) > 0 {
		before := o.seg.size
		err := o.seg.write(w.cfg.disk, o.enc.out)
		if err == nil {
			w.account(o.seg.size - before)
			return
		}
		w.fail(err)
		if o.seg.broken || !w.pause(wait) {
			w.abandon(err, true)
			return
		}
		wait = min(2*wait, lastBackoff)
	}
	w.account(0)
}

// account notes that n bytes were written and frees what they held.
func (w *Writer) account(n int64) {
	o := &w.own
	o.enc.out = o.enc.out[:0]
	o.written += n
	w.used.Add(-o.held)
	o.held = 0
	w.mu.Lock()
	w.mu.stats.Written = o.written
	w.mu.Unlock()
}

// pause waits before a write is tried again. It returns false once the time to
// end has run out.
func (w *Writer) pause(d time.Duration) bool {
	o := &w.own
	if o.until.IsZero() {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			return true
		case <-o.ctx.Done():
			o.until = time.Now().Add(w.cfg.Grace)
		}
	}
	left := time.Until(o.until)
	time.Sleep(min(d, max(left, 0)))
	return left > 0
}

// rotate ends the segment and begins the next one, in which the open exchanges
// continue.
func (w *Writer) rotate() {
	o := &w.own
	old := o.seg
	o.enc.mark(frameClosed, old.durable, time.Now())
	w.flush()
	if o.seg != old {
		return // it was abandoned, which began the next one
	}
	if err := w.fresh(); err != nil {
		panic("journal: internal error: " + err.Error())
	}
	o.old = append(o.old, old)
	w.continueTapes()
}

func (w *Writer) continueTapes() {
	for _, t := range w.sortedOpen() {
		t.own.thread = thread{number: t.number}
		w.own.enc.continued(&t.own.thread, t.own.at, t.own.plain, t.own.flow)
	}
}

// abandon gives up the segment together with what was encoded for it. Every
// exchange that is open may have lost something, and is marked. One that ended
// since the last fsync may have lost its end. What was written before is worth an fsync, unless that failed:
// the system forgets what it could not write, and the next fsync succeeds.
func (w *Writer) abandon(cause error, worth bool) {
	o := &w.own
	w.loseSome(o.ends, o.held, cause)
	o.ends = 0
	w.account(0)
	if o.seg.file != nil && worth {
		o.old = append(o.old, o.seg)
	} else if o.seg.file != nil {
		o.seg.file.Close()
	}
	for _, t := range w.sortedOpen() {
		w.loseTape(t, cause)
	}
	for _, c := range o.waiting {
		c <- fmt.Errorf("sync journal: %w", cause)
	}
	o.waiting = nil
	if err := w.fresh(); err != nil {
		panic("journal: internal error: " + err.Error())
	}
	o.seg.head.flags |= flagAfterLoss
	w.continueTapes()
}

// loseTape marks an open exchange as having lost something unknown.
func (w *Writer) loseTape(t *Tape, cause error) {
	t.mu.Lock()
	first := !t.mu.loss.Any()
	if first {
		t.mu.loss.Cause = cause.Error()
	}
	t.mu.told = Loss{} // what was told may be lost too
	t.listLocked()
	t.mu.Unlock()
	t.own.broken = true
	if first {
		w.loseSome(1, 0, cause)
	}
}

func (w *Writer) loseSome(exchanges, bytes int64, cause error) {
	if exchanges == 0 && bytes == 0 {
		return
	}
	w.fail(cause)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.trouble.Exchanges += exchanges
	w.mu.trouble.Bytes += bytes
	w.mu.stats.LostExchanges += exchanges
	w.mu.stats.LostBytes += bytes
	w.mu.cause = cause
}
