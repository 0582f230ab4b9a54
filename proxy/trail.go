package proxy

import (
	"sync"
	"sync/atomic"
	"time"
)

// trail is what passed one pair of connections and was not parsed yet. The pump
// adds to it and never waits; the recorder empties it.
type trail struct {
	rec  *recorder
	talk *talk // touched by the recorder only

	mu      sync.Mutex
	entries []entry // guarded by mu
	text    []byte  // guarded by mu; of the entries, in order
	queued  bool    // guarded by mu; the recorder knows that there is something
	spare   []entry // guarded by mu; memory of earlier entries
}

// entry is one thing that happened.
type entry struct {
	at   time.Duration // since the recorder's start
	n    int           // bytes
	kept *pipe         // where they lie, with inPipe
	lent lent          // where they lie, with inBuffer
	word *word         // with ended, refused and tagged; may be nil
	kind entryKind
	dir  dir
}

// word is what there is to say about an entry that is no bytes.
type word struct {
	err               error
	session, provider string
}

type entryKind uint8

const (
	inText    entryKind = iota
	inPipe              // bytes lie in a pipe
	inBuffer            // bytes lie in a buffer of their own
	forgotten           // bytes were passed on, but there was no memory to keep them
	ended               // one way ended
	tagged              // the next request belongs to a session
	refused             // the upstream could not be reached
)

func (t *trail) passed(d dir, at time.Time, p []byte) {
	e := entry{at: at.Sub(t.rec.start), dir: d, kind: inText, n: len(p)}
	if !t.rec.room.take(len(p)) {
		e.kind, p = forgotten, nil
	}
	t.add(e, p)
}

func (t *trail) gave(d dir, at time.Time, l lent, n int) {
	e := entry{at: at.Sub(t.rec.start), dir: d, kind: inBuffer, n: n, lent: l}
	if !t.rec.room.take(len(*l.buf)) {
		l.give()
		e.kind, e.lent = forgotten, lent{}
	}
	t.add(e, nil)
}

func (t *trail) moved(d dir, at time.Time, kept *pipe, n int) {
	e := entry{at: at.Sub(t.rec.start), dir: d, kind: inPipe, n: n, kept: kept}
	if !t.rec.room.take(n) {
		kept.close()
		e.kind, e.kept = forgotten, nil
	}
	t.add(e, nil)
}

func (t *trail) ended(d dir, at time.Time, err error) {
	t.add(entry{at: at.Sub(t.rec.start), dir: d, kind: ended, word: &word{err: err}}, nil)
}

// tag says whose the next request is.
func (t *trail) tag(session, provider string) {
	t.add(entry{at: time.Since(t.rec.start), dir: up, kind: tagged, word: &word{session: session, provider: provider}}, nil)
}

// unreachable says that there was no upstream.
func (t *trail) unreachable(at time.Time, err error) {
	t.add(entry{at: at.Sub(t.rec.start), dir: up, kind: refused, word: &word{err: err}}, nil)
}

func (t *trail) add(e entry, text []byte) {
	t.mu.Lock()
	if t.entries == nil {
		t.entries, t.spare = t.spare, nil
	}
	t.entries = append(t.entries, e)
	t.text = append(t.text, text...)
	first := !t.queued
	t.queued = true
	t.mu.Unlock()
	if first {
		t.rec.wake(t)
	}
}

// empty takes what there is.
func (t *trail) empty() (entries []entry, text []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	entries, text = t.entries, t.text
	t.entries, t.text, t.queued = nil, nil, false
	return entries, text
}

// fewEntries are kept as memory for the next ones.
const fewEntries = 16

// reuse gives back what empty returned.
func (t *trail) reuse(entries []entry, text []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if cap(entries) <= fewEntries {
		clear(entries)
		t.spare = entries[:0]
	}
	if t.text == nil && cap(text) <= keepScratch {
		t.text = text[:0]
	}
}

// room bounds the bytes that wait to be parsed, over all trails.
type room struct {
	most int64
	used atomic.Int64
}

func (r *room) take(n int) bool {
	if r.used.Add(int64(n)) <= r.most {
		return true
	}
	r.used.Add(-int64(n))
	return false
}

func (r *room) give(n int) { r.used.Add(-int64(n)) }
