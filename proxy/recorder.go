package proxy

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/capstan-bench/capstan/proxy/journal"
)

// rhythm is how often the recorder looks for what passed. It is not woken: that
// would cost the byte that is on its way more than the recording does.
const rhythm = 5 * time.Millisecond

// recorder parses what passed and gives it to the journal. One goroutine does
// it for all connections, so it needs no locks beyond its queue.
type recorder struct {
	keep  keeper
	room  room
	start time.Time     // zero of the journal's clock
	kick  chan struct{} // the first connection was opened
	conns atomic.Int64
	stats counters

	mu     sync.Mutex
	trails []*trail // guarded by mu; that hold something
}

// counters are read by Stats.
type counters struct {
	calls, open, forgotten, unparsed atomic.Int64
	upBytes, downBytes               atomic.Int64
	lag                              atomic.Int64 // ns that the oldest entry of the last round had waited
}

func newRecorder(k keeper, queue int64) *recorder {
	return &recorder{keep: k, room: room{most: queue}, start: time.Now(), kick: make(chan struct{}, 1)}
}

// wake says that a trail holds something.
func (r *recorder) wake(t *trail) {
	r.mu.Lock()
	r.trails = append(r.trails, t)
	r.mu.Unlock()
}

// connected says how many more connections are open, or fewer. Without any, the
// recorder sleeps.
func (r *recorder) connected(more int64) {
	if r.conns.Add(more) == 1 && more > 0 {
		select {
		case r.kick <- struct{}{}:
		default:
		}
	}
}

// run works until stop is closed, then empties what is there and returns.
func (r *recorder) run(stop <-chan struct{}) {
	tick := time.NewTicker(rhythm)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			r.work()
			return
		case <-tick.C:
		case <-r.kick:
			tick.Reset(rhythm)
		}
		idle := r.conns.Load() == 0 // asked first: nothing comes after the last has closed
		if r.work(); idle {
			tick.Stop()
		}
	}
}

// work empties all trails.
func (r *recorder) work() {
	r.mu.Lock()
	trails := r.trails
	r.trails = nil
	r.mu.Unlock()
	now := time.Since(r.start)
	oldest := now
	for _, t := range trails {
		entries, text := t.empty()
		if len(entries) > 0 && entries[0].at < oldest {
			oldest = entries[0].at
		}
		t.talk.take(entries, text)
		r.room.give(held(entries))
		t.reuse(entries, text)
	}
	r.stats.lag.Store(int64(now - oldest))
}

// held is what entries took of the room, and gives back their buffers.
func held(entries []entry) (n int) {
	for _, e := range entries {
		switch e.kind {
		case inText, inPipe:
			n += e.n
		case inBuffer:
			n += len(*e.lent.buf)
			e.lent.give()
		}
	}
	return n
}

// talk is the conversation on one pair of connections.
type talk struct {
	rec     *recorder
	flow    journal.Flow // of its exchanges, as far as it is the same for all
	deaf    bool         // nothing is recorded
	parsers [2]parser
	calls   []*exchange  // whose responses are not complete, in order
	late    []*exchange  // whose responses were complete before their requests
	current [2]*exchange // that the next bytes of a way belong to
	early   []entryText  // of the upstream's way, from before any request was parsed

	earlyBytes int     // of early
	socket     *socket // after an upgrade
	over       [2]bool // ways that ended
	first      dir     // way that ended first
	scratch    []byte
}

// entryText is an entry with its bytes.
type entryText struct {
	entry
	text []byte
}

// take parses what passed.
func (t *talk) take(entries []entry, text []byte) {
	for _, e := range entries {
		p := text[:0:0]
		switch e.kind {
		case inText:
			p, text = text[:e.n], text[e.n:]
		case inBuffer:
			p = (*e.lent.buf)[:e.n]
		case inPipe:
			t.scratch = slices.Grow(t.scratch[:0], e.n)[:e.n]
			p = t.scratch
			if err := e.kept.read(p); err != nil {
				e.kept.close()
				e.kind = forgotten
			} else {
				e.kept.give()
			}
		}
		t.entry(entryText{e, p})
	}
	if cap(t.scratch) > keepScratch {
		t.scratch = nil
	}
}

// keepScratch is the memory that a connection keeps between two rounds.
const keepScratch = 4 << 10

func (t *talk) entry(e entryText) {
	if e.dir == down && len(t.calls) == 0 && t.socket == nil && !t.over[up] && t.parsers[down].state != inNothing {
		// The response overtook its request on the way here. What is too much
		// for that was not asked for.
		if t.earlyBytes += e.n; t.earlyBytes > maxHead {
			t.early, t.parsers[down].state = nil, inNothing
			t.rec.stats.unparsed.Add(1)
			return
		}
		e.text = slices.Clone(e.text)
		t.early = append(t.early, e)
		return
	}
	t.apply(e)
	if e.dir == up && len(t.early) > 0 && (len(t.calls) > 0 || t.over[up]) {
		early := t.early
		t.early, t.earlyBytes = nil, 0
		for _, e := range early {
			t.apply(e)
		}
	}
}

func (t *talk) apply(e entryText) {
	s := &way{talk: t, dir: e.dir, at: e.at}
	p := &t.parsers[e.dir]
	switch {
	case e.kind == ended:
		t.end(s, p, e.word.err)
	case e.kind == tagged:
		t.flow.Session, t.flow.Provider = e.word.session, e.word.provider
	case e.kind == refused:
		t.refused(s.at, e.word.err)
	case e.kind == forgotten:
		t.forget(s, p, e.n)
	case t.socket != nil:
		t.socket.feed(s, e.text)
	default:
		t.count(e.dir, e.n)
		p.feed(e.text, s)
	}
	s.flush()
}

func (t *talk) count(d dir, n int) {
	if d == up {
		t.rec.stats.upBytes.Add(int64(n))
	} else {
		t.rec.stats.downBytes.Add(int64(n))
	}
}

// forget passes over bytes that were not kept.
func (t *talk) forget(s *way, p *parser, n int) {
	t.rec.stats.forgotten.Add(int64(n))
	if x := t.current[s.dir]; x != nil {
		x.forgot(s.dir, n)
	}
	if t.socket != nil {
		t.socket.lose()
	} else {
		p.skip(int64(n))
	}
}

// end notes that one way has ended.
func (t *talk) end(s *way, p *parser, err error) {
	whole := t.socket != nil || p.close(s)
	t.over[s.dir] = true
	if !t.over[1-s.dir] {
		t.first = s.dir
		if whole && err == nil {
			return // the other way may go on
		}
	}
	outcome := journal.ClientCut
	if t.first == down {
		outcome = journal.UpstreamCut
	}
	why := ""
	if err != nil {
		why = err.Error()
	}
	if t.socket != nil {
		t.socket.close(s.at, outcome, why)
	}
	for _, x := range slices.Concat(t.late, t.calls) {
		x.finish(s.at, outcome, why)
	}
	t.calls, t.late, t.current = nil, nil, [2]*exchange{}
}

// refused writes down an exchange that never began.
func (t *talk) refused(at time.Duration, err error) {
	if t.rec.keep.paused() {
		return
	}
	t.flow.At, t.flow.Started = at, t.rec.start.Add(at)
	tape := t.rec.keep.journal.Begin(t.flow)
	tape.End(journal.End{At: at, Outcome: journal.Unreachable, Err: err.Error()})
	t.rec.stats.calls.Add(1)
}
