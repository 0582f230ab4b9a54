package replay

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/capstan-bench/capstan/replay/agent"
	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/schema"
)

// Config says where a live run plays, and what it tells while it does.
type Config struct {
	// Clients are the endpoints, at least one. A play's endpoint is drawn from
	// its agent and number, so every run draws the same.
	Clients []*agent.Client

	// SessionHeader names a request header that carries a value of the play's
	// own, for routers that keep a session on one replica; empty sends none.
	SessionHeader string

	// Nonce, if not 0, makes salts that no earlier run with the same seeds has
	// used: the endpoint may still hold what that one sent.
	Nonce uint64

	// Limits are what the client may add to what it measures.
	Limits Limits

	// Progress, if set, is called about once a second, never concurrently.
	Progress func(Progress)

	// Report, if set, is called once at the end of each probe.
	Report func(Report)
}

// errEnded ends the calls that are open when a probe has measured enough.
var errEnded = errors.New("the probe ended")

// Probe returns a probe that plays p live.
func Probe(p *plan.Plan, c Config) capacity.Probe {
	return func(ctx context.Context, a capacity.Ask, enough func(capacity.Window) bool) (capacity.Window, error) {
		if len(c.Clients) == 0 {
			return capacity.Window{Ask: a}, errors.New("start probe: Config.Clients is empty; name at least one endpoint")
		}
		if a.Level < 1 {
			return capacity.Window{Ask: a}, errors.New("start probe: Ask.Level must be at least 1")
		}
		r := newRun(p, c, a, enough)
		return r.measure(ctx)
	}
}

// run is one probe under way.
type run struct {
	config Config
	ask    capacity.Ask
	pop    *plan.Population
	start  time.Time
	salt   plan.Salt

	meter *capacity.Meter // touched by measure's goroutine only
	guard *guard          // likewise
	live  live            // likewise
	inbox inbox
}

func newRun(p *plan.Plan, c Config, a capacity.Ask, enough func(capacity.Window) bool) *run {
	pop := p.Population(a.Seed, a.Level).Salted(c.Nonce)
	sweep := p.Ring() / time.Duration(a.Level)
	r := &run{
		config: c,
		ask:    a,
		pop:    pop,
		start:  time.Now(),
		salt:   pop.ProbeSalt(),
		meter:  capacity.NewMeter(a, capacity.Means(p.Means()), sweep, a.Level, enough),
	}
	r.guard = newGuard(c.Limits)
	r.inbox.ready = make(chan struct{}, 1)
	return r
}

// now is the time on the probe's clock.
func (r *run) now() time.Duration { return time.Since(r.start) }

// measure plays until the meter has enough or ctx ends.
func (r *run) measure(ctx context.Context) (capacity.Window, error) {
	play, end := context.WithCancelCause(ctx)
	defer end(nil)
	var agents sync.WaitGroup
	for i := range r.ask.Level {
		agents.Go(func() { r.agent(play, int32(i)) })
	}
	at, err := r.watch(ctx)
	end(errEnded)
	agents.Wait()
	r.take()
	w := r.meter.Window(at)
	rep := r.guard.judge(&w)
	if r.config.Report != nil {
		r.config.Report(rep)
	}
	return w, err
}

// watch feeds the meter until it has enough, and returns when that was.
func (r *run) watch(ctx context.Context) (time.Duration, error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		r.take()
		now := r.now()
		if now >= r.meter.Next() && r.meter.Tick(now) {
			return now, nil
		}
		if now >= r.live.next {
			r.tell(now)
		}
		timer.Reset(min(r.meter.Next(), r.live.next) - r.now())
		select {
		case <-ctx.Done():
			return r.now(), ctx.Err()
		case <-r.inbox.ready:
		case <-timer.C:
		}
	}
}

// inbox takes what the agents say, so that they never wait for the meter: it
// may be asking whether it has enough, which can take long.
type inbox struct {
	mu    sync.Mutex
	queue []event // guarded by mu
	ready chan struct{}
}

// event is a call that became due, had its first token, or ended.
type event struct {
	kind   kind
	key    int64
	first  time.Duration // with first
	lag    time.Duration // of an ended call: sent − due − connecting, or notSent
	sample schema.Sample
}

type kind uint8

const (
	begun kind = iota
	first
	ended
)

func (b *inbox) put(e event) {
	b.mu.Lock()
	b.queue = append(b.queue, e)
	b.mu.Unlock()
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

// take hands what is in the inbox to the meter and the guard.
func (r *run) take() {
	r.inbox.mu.Lock()
	queue := r.inbox.queue
	r.inbox.queue = nil
	r.inbox.mu.Unlock()
	for i := range queue {
		e := &queue[i]
		switch e.kind {
		case begun:
			r.live.begin()
			r.meter.Begin(e.key, e.sample)
		case first:
			r.meter.First(e.key, e.first)
		case ended:
			r.live.end(&e.sample)
			r.guard.lag(e)
			r.meter.End(e.key, e.sample)
		}
	}
}
