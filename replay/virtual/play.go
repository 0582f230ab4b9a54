package virtual

import (
	"time"

	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/replay/sim"
	"github.com/capstan-bench/capstan/schema"
)

// play is the play that an agent is at.
type play struct {
	agent, number int32
	script        *plan.Script
	salt          uint64
	cursor        *plan.Cursor
	end           time.Duration // when the last call so far was done
}

// call is one call that the engine works on.
type call struct {
	play   *play
	step   int32
	key    int64
	ask    sim.Ask
	sample schema.Sample
	marks  []float32 // shares that later steps hang on and that are still to come
	began  bool      // the first token has come
	stamps *stamps
}

// stamps are what a sample points to. They stay when the call is used again.
type stamps struct {
	due, first, last, done, input, cached, output int64
	firstTokens                                   float64
	status                                        int32
}

// begin starts an agent's play.
func (r *run) begin(agent, number int32, at time.Duration) {
	script, salt := r.pop.Play(int(agent), int(number))
	p := &play{agent: agent, number: number, script: script, salt: mix(hash(salt)), end: at}
	r.plays[agent] = p
	p.cursor, r.due = plan.NewCursor(script, at, r.due[:0])
	r.enqueue(p)
	r.follow(p)
}

// enqueue moves what just became due to the queue.
func (r *run) enqueue(p *play) {
	for _, d := range r.due {
		r.queue.push(entry{at: d.At, agent: p.agent, step: d.Step})
	}
	r.due = r.due[:0]
}

// follow begins the next play where this one is over.
func (r *run) follow(p *play) {
	if p.cursor.Ended() {
		r.begin(p.agent, p.number+1, p.end+p.script.Idle)
	}
}

// send hands a due call to the engine.
func (r *run) send(e entry) {
	p := r.plays[e.agent]
	step := &p.script.Steps[e.step]
	c := r.newCall()
	r.keys++
	c.play, c.step, c.key = p, e.step, r.keys
	c.marks = p.script.Marks(e.step)
	c.sample = p.script.Sample(e.step)
	c.sample.Probe, c.sample.Level = int32(r.ask.Index), int32(r.ask.Level)
	c.sample.Agent, c.sample.Play = p.agent, p.number
	c.sample.DueUS, c.sample.SentBytes = e.at.Microseconds(), step.Body.Len
	r.meter.Begin(c.key, c.sample)
	c.stamps = &stamps{due: c.sample.DueUS}
	c.sample.SentUS, c.sample.WrittenUS, c.sample.HeadersUS = &c.stamps.due, &c.stamps.due, &c.stamps.due
	c.ask = sim.Ask{ID: c.key, Prompt: r.prompt(c.ask.Prompt[:0], step.Prompt, p.salt), Output: step.Output}
	if len(c.marks) > 0 {
		c.ask.Every = r.interval // marks are seen with the chunk that holds them
	}
	r.calls[c.key] = c
	r.engine.Submit(e.at, c.ask)
	r.note(c, plan.Sent, 0, e.at)
}

// prompt gives pieces the identity that their salts make of them.
func (r *run) prompt(dst []sim.Run, pieces []plan.Piece, salt uint64) []sim.Run {
	for _, p := range pieces {
		id := p.ID
		if p.Salt&1 != 0 {
			id = mix(id ^ r.salt)
		}
		if p.Salt&2 != 0 {
			id = mix(id ^ salt)
		}
		dst = append(dst, sim.Run{ID: id, Bytes: p.Len})
	}
	return dst
}

// note tells the cursor of a point of a call.
func (r *run) note(c *call, at plan.Point, share float32, t time.Duration) {
	r.due = c.play.cursor.Note(r.due, c.step, at, share, t)
	r.enqueue(c.play)
}

func (r *run) newCall() *call {
	if n := len(r.idle); n > 0 {
		c := r.idle[n-1]
		r.idle = r.idle[:n-1]
		*c = call{ask: sim.Ask{Prompt: c.ask.Prompt}}
		return c
	}
	return new(call)
}

// hash folds a salt to a number (FNV-1a).
func hash(salt plan.Salt) uint64 {
	h := uint64(0xcbf29ce484222325)
	for _, b := range salt {
		h = (h ^ uint64(b)) * 0x100000001b3
	}
	return h
}

// mix spreads a number over 64 bits (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
