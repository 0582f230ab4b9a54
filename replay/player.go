package replay

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/capstan-bench/capstan/replay/agent"
	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/schema"
)

// agent plays one agent's sessions until ctx ends.
func (r *run) agent(ctx context.Context, i int32) {
	at := r.pop.Start(int(i))
	for n := int32(0); ctx.Err() == nil; n++ {
		script, salt := r.pop.Play(int(i), int(n))
		p := &player{run: r, agent: i, play: n, script: script, salt: salt, wake: make(chan struct{}, 1)}
		p.target = int32(draw(uint64(i), uint64(n)) % uint64(len(r.config.Clients)))
		p.end = at
		p.follow(ctx, at)
		at = p.end + script.Idle
	}
}

// player plays one play. The agent's goroutine launches calls; each call's own
// goroutine tells the cursor how far it came.
type player struct {
	run    *run
	agent  int32
	play   int32
	target int32
	script *plan.Script
	salt   plan.Salt

	wake  chan struct{} // something became due, or the play ended
	calls sync.WaitGroup

	mu     sync.Mutex
	cursor *plan.Cursor  // guarded by mu
	due    []plan.Due    // guarded by mu; by time and step
	end    time.Duration // guarded by mu: when the last call so far was done
}

// follow plays the script from start until it is over or ctx ends.
func (p *player) follow(ctx context.Context, start time.Duration) {
	defer p.calls.Wait()
	timer := time.NewTimer(never)
	defer timer.Stop()
	p.mu.Lock()
	p.cursor, p.due = plan.NewCursor(p.script, start, nil)
	p.mu.Unlock()
	for {
		next, ended := p.launch(ctx)
		if ended {
			return
		}
		timer.Reset(next - p.run.now())
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		case <-timer.C:
		}
	}
}

// notSent stands for the lag of a call that was never sent.
const notSent = time.Duration(math.MinInt64)

// never is later than any probe ends.
const never = time.Duration(1 << 62)

// launch sends what is due and returns when the next is, as far as is known.
func (p *player) launch(ctx context.Context) (next time.Duration, ended bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.due) > 0 {
		d := p.due[0]
		if d.At > p.run.now() {
			return d.At, false
		}
		p.due = slices.Delete(p.due, 0, 1)
		p.send(ctx, d)
	}
	return never, p.cursor.Ended()
}

// send starts one call.
func (p *player) send(ctx context.Context, d plan.Due) {
	s := p.script.Sample(d.Step)
	s.Probe, s.Level = int32(p.run.ask.Index), int32(p.run.ask.Level)
	s.Agent, s.Play, s.Target = p.agent, p.play, p.target
	s.DueUS = d.At.Microseconds()
	key := p.key(d.Step)
	p.run.inbox.put(event{kind: begun, key: key, sample: s})
	p.calls.Go(func() { p.call(ctx, d, key, s) })
}

// key numbers a call within the probe: 20 bits of agent, 23 of play, 20 of step.
func (p *player) key(step int32) int64 {
	return int64(p.agent)<<43 | int64(p.play)<<20 | int64(step)
}

// call has one step answered and tells the cursor.
func (p *player) call(ctx context.Context, d plan.Due, key int64, s schema.Sample) {
	step := &p.script.Steps[d.Step]
	req := agent.Request{
		Body:      step.Body,
		ProbeSalt: p.run.salt,
		PlaySalt:  p.salt,
		Output:    step.Output,
		Marks:     p.script.Marks(d.Step),
		First:     func(t time.Duration) { p.run.inbox.put(event{kind: first, key: key, first: t}) },
	}
	if h := p.run.config.SessionHeader; h != "" {
		req.Headers = []agent.Header{{Name: h, Value: strings.TrimSpace(string(p.salt[:]))}}
	}
	var done time.Duration
	client := p.run.config.Clients[p.target]
	connecting := client.Do(ctx, p.run.now, req, &s, func(at plan.Point, share float32, t time.Duration) {
		if at == plan.Done {
			done = t // told below: the call's end goes to the meter before what follows from it
			return
		}
		p.note(d.Step, at, share, t)
	})
	e := event{kind: ended, key: key, lag: notSent, sample: s}
	if s.SentUS != nil {
		e.lag = time.Duration(*s.SentUS)*time.Microsecond - d.At - connecting
	}
	p.run.inbox.put(e)
	p.note(d.Step, plan.Done, 0, done)
}

// note tells the cursor of a point and wakes the agent if that changed what
// there is to do.
func (p *player) note(step int32, at plan.Point, share float32, t time.Duration) {
	p.mu.Lock()
	n := len(p.due)
	p.due = p.cursor.Note(p.due, step, at, share, t)
	more := len(p.due) > n
	if more {
		slices.SortFunc(p.due, func(a, b plan.Due) int {
			return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Step, b.Step))
		})
	}
	if at == plan.Done {
		p.end = max(p.end, t)
		more = more || p.cursor.Ended()
	}
	p.mu.Unlock()
	if more {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

// draw mixes two numbers to one (the finalizer of splitmix64).
func draw(a, b uint64) uint64 {
	x := a*0x9e3779b97f4a7c15 ^ (b+1)*0xd1b54a32d192ed03
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
