package journal

import (
	"fmt"
	"slices"
	"time"
)

// syncResult is what an fsync came to, and what it covered.
type syncResult struct {
	segs    []*segment
	sizes   []int64
	upto    int64 // bytes in all segments
	ends    int64
	waiting []chan error
	err     error
}

// unsynced reports whether an fsync has something to do or somebody to tell.
func (w *Writer) unsynced() bool { return w.own.written > w.own.started || len(w.own.waiting) > 0 }

// syncDue reports whether the next fsync may begin.
func (w *Writer) syncDue() bool {
	o := &w.own
	if !o.syncing && o.written == o.durable {
		release(o.waiting, nil)
		o.waiting = nil
	}
	return !o.syncing && w.unsynced() && time.Since(o.lastSync) >= w.cfg.SyncEvery
}

func release(waiting []chan error, err error) {
	for _, c := range waiting {
		c <- err
	}
}

// startSync makes durable what is written, in a goroutine of its own: while
// the disk is at it, the loop goes on writing. Its result is always received.
func (w *Writer) startSync() {
	o := &w.own
	r := syncResult{segs: o.old, upto: o.written, ends: o.ends, waiting: o.waiting}
	if o.seg.file != nil {
		r.segs = append(r.segs, o.seg)
	}
	for _, s := range r.segs {
		r.sizes = append(r.sizes, s.size)
	}
	o.old, o.waiting = nil, nil
	o.syncing, o.started, o.lastSync = true, o.written, time.Now()
	go func() {
		r.err = w.syncFiles(r.segs)
		w.synced <- r
	}()
}

// syncFiles syncs the oldest first, so that no segment is durable before the
// one that it continues.
func (w *Writer) syncFiles(segs []*segment) error {
	name := false
	for _, s := range segs {
		if err := s.file.Sync(); err != nil {
			return fmt.Errorf("sync segment: %w", err)
		}
		name = name || !s.named
	}
	if !name {
		return nil
	}
	if err := w.cfg.disk.SyncDir(w.cfg.Dir); err != nil {
		return fmt.Errorf("sync journal directory: %w", err)
	}
	return nil
}

// settle takes the result of an fsync.
func (w *Writer) settle(r syncResult) {
	o := &w.own
	o.syncing = false
	if r.err != nil {
		w.fail(r.err)
		release(r.waiting, fmt.Errorf("sync journal: %w", r.err))
		for _, s := range r.segs {
			if s != o.seg {
				s.file.Close()
			}
		}
		o.old = slices.DeleteFunc(o.old, func(s *segment) bool { return slices.Contains(r.segs, s) })
		w.abandon(r.err, false)
		return
	}
	for i, s := range r.segs {
		s.durable, s.named = r.sizes[i], true
		if s != o.seg && !slices.Contains(o.old, s) {
			w.retire(s)
		}
	}
	o.durable = r.upto
	o.ends -= min(r.ends, o.ends)
	w.mu.Lock()
	w.mu.stats.Durable = o.durable
	w.mu.stats.Syncs++
	w.mu.Unlock()
	release(r.waiting, nil)
}

// retire closes a segment that is durable and hands it to the compactor.
func (w *Writer) retire(s *segment) {
	s.file.Close()
	w.mu.Lock()
	w.mu.compress = append(w.mu.compress, s)
	w.mu.Unlock()
	notify(w.rotated)
}

// shut writes what waits, ends the segment and makes everything durable.
func (w *Writer) shut() {
	o := &w.own
	w.closed.Store(true)
	if o.until.IsZero() {
		o.until = time.Now().Add(w.cfg.Grace)
	}
	w.drain()
	if o.seg.size > 0 || len(o.enc.out) > 0 {
		o.enc.mark(frameClosed, o.seg.durable, time.Now())
		w.flush()
	}
	if o.syncing {
		w.settle(<-w.synced)
	}
	if o.seg.file != nil {
		o.old = append(o.old, o.seg)
		o.seg = &segment{}
	}
	if len(o.old) > 0 {
		w.startSync()
		w.settle(<-w.synced)
	}
	release(o.waiting, nil)
	o.waiting = nil
}
