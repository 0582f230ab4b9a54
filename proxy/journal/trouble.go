package journal

import (
	"context"
	"time"
)

// Trouble is a time in which the journal could not keep up.
type Trouble struct {
	Cause     error // what the disk said, or ErrBehind
	Since     time.Time
	Exchanges int64 // that lost something in it
	Bytes     int64 // plain bytes lost in it
	Over      bool  // everything is written again
}

// stalled is the age of unwritten bytes from which on a writer is not healthy.
const stalled = 2 * time.Second

// Stats tells how a writer does.
type Stats struct {
	Exchanges int64         // begun
	Open      int64         // begun and not ended on disk
	Plain     int64         // bytes of bodies written
	Written   int64         // bytes of segments written
	Durable   int64         // of which survive a power cut
	Syncs     int64         // fsyncs that succeeded
	Segments  int64         // segments begun
	Queued    int64         // bytes of memory in use, of Config.Budget
	Match     int64         // bytes of memory that hold the segment's bodies
	Lag       time.Duration // how long the oldest byte has waited to be written

	LostExchanges int64    // exchanges that lost something since the writer began
	LostBytes     int64    // and their plain bytes, as far as they could be counted
	Trouble       *Trouble // at present; nil: none
}

// Stats returns the state of the writer. It never waits for the disk.
func (w *Writer) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.mu.stats
	s.Queued = w.used.Load()
	if !w.mu.busy.IsZero() {
		s.Lag = time.Since(w.mu.busy)
	} else if !w.mu.since.IsZero() {
		s.Lag = time.Since(w.mu.since)
	}
	if w.mu.trouble != nil {
		t := *w.mu.trouble
		s.Trouble = &t
	}
	return s
}

// Err returns why the journal does not keep up at present, or nil: the disk
// refused a write, something is being lost, or nothing was written for two
// seconds. Whether to serve unrecorded then is for the caller to decide.
func (w *Writer) Err() error {
	s := w.Stats()
	switch {
	case w.closed.Load():
		return ErrClosed
	case s.Trouble != nil:
		return s.Trouble.Cause
	case s.Lag > stalled:
		return ErrBehind
	}
	return nil
}

// Healthy reports whether Err returns nil.
func (w *Writer) Healthy() bool { return w.Err() == nil }

// cause says why something finds no room.
func (w *Writer) cause() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.mu.trouble != nil:
		return w.mu.trouble.Cause
	case w.closed.Load():
		return ErrClosed
	}
	return ErrBehind
}

// fail notes that the disk refused something.
func (w *Writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.troubleLocked(err)
	w.mu.trouble.Cause = err
}

func (w *Writer) troubleLocked(cause error) {
	if w.mu.trouble == nil {
		w.mu.trouble = &Trouble{Cause: cause, Since: time.Now()}
	}
	notify(w.alarm)
}

// lose counts plain bytes that were not kept; first says that their exchange
// had lost nothing before, absent that nothing of it is in the journal.
func (w *Writer) lose(first, absent bool, plain int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed.Load() {
		w.troubleLocked(ErrClosed)
	} else {
		w.troubleLocked(ErrBehind)
	}
	n := int64(0)
	if first {
		n = 1
	}
	w.mu.trouble.Exchanges += n
	w.mu.trouble.Bytes += plain
	w.mu.stats.LostExchanges += n
	w.mu.stats.LostBytes += plain
	w.mu.cause = w.mu.trouble.Cause
	if absent {
		g := &w.mu.gap
		if g.Since.IsZero() {
			g.Since, g.Cause = time.Now(), w.mu.cause.Error()
		}
		g.Exchanges += n
		g.Bytes += plain
	}
}

// calm ends a trouble once half of the budget is free. Of what is missing
// altogether a note goes to the journal.
func (w *Writer) calm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.trouble == nil || w.used.Load() > w.cfg.Budget/2 {
		return
	}
	w.mu.over = w.mu.trouble
	w.mu.over.Over = true
	w.mu.trouble = nil
	if w.mu.since.IsZero() && w.mu.gap.Exchanges > 0 {
		w.mu.since = time.Now()
	}
	notify(w.alarm)
	notify(w.wake)
}

// takeGap returns what is to be noted as missing.
func (w *Writer) takeGap(anyway bool) (Gap, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.mu.gap
	if g.Exchanges == 0 || (w.mu.trouble != nil && !anyway) {
		return g, false
	}
	w.mu.gap = Gap{}
	g.Until = time.Now()
	return g, true
}

// report calls Config.Notify until ctx ends.
func (w *Writer) report(ctx context.Context) {
	var told Trouble
	for {
		select {
		case <-w.alarm:
		case <-ctx.Done():
			return
		}
		w.mu.Lock()
		over, current := w.mu.over, w.mu.trouble
		w.mu.over = nil
		var t Trouble
		if current != nil {
			t = *current
		}
		w.mu.Unlock()
		if w.cfg.Notify == nil {
			continue
		}
		if over != nil {
			w.cfg.Notify(*over)
		}
		if current == nil || t.Since.Equal(told.Since) && t.Exchanges == told.Exchanges && t.Bytes == told.Bytes {
			continue
		}
		told = t
		w.cfg.Notify(t)
		select {
		case <-time.After(time.Second):
			notify(w.alarm)
		case <-ctx.Done():
			return
		}
	}
}

// notify wakes the receiver of c, unless it is about to wake.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
