package virtual

import (
	"fmt"
	"math"
	"net/http"

	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/replay/sim"
	"github.com/capstan-bench/capstan/schema"
)

// Words of samples, whose addresses they hold.
var (
	finishLength = "length"
	errContext   = schema.ErrContext
)

// take writes down what the engine did.
func (r *run) take(e sim.Event) {
	c := r.calls[e.ID]
	if e.Kind == sim.Rejected {
		r.reject(c, e)
		return
	}
	us := e.At.Microseconds()
	if !c.began {
		k := c.stamps
		c.began, k.first, k.firstTokens = true, us, float64(e.Tokens)
		c.sample.FirstByteUS, c.sample.FirstTokenUS, c.sample.FirstTokens = &k.first, &k.first, &k.firstTokens
		r.meter.First(c.key, e.At)
	}
	r.mark(c, e)
	if e.Kind == sim.Done {
		r.finish(c, e)
	}
}

// mark notes the shares of the answer that have arrived. Share f of n tokens has
// arrived with token ⌈f·n⌉.
func (r *run) mark(c *call, e sim.Event) {
	for len(c.marks) > 0 {
		f := c.marks[0]
		if e.Tokens < int32(math.Ceil(float64(f)*float64(c.ask.Output))) {
			return
		}
		c.marks = c.marks[1:]
		r.note(c, plan.Token, f, e.At)
	}
}

func (r *run) finish(c *call, e sim.Event) {
	s, k := &c.sample, c.stamps
	k.last, k.status = e.At.Microseconds(), http.StatusOK
	k.input, k.cached, k.output = int64(e.Input), int64(e.Cached), int64(e.Tokens)
	s.LastTokenUS, s.HTTPStatus, s.FinishReason = &k.last, &k.status, &finishLength
	s.InputTokens, s.CachedTokens, s.OutputTokens = &k.input, &k.cached, &k.output
	s.Chunks = r.engine.Params().Chunks(e.Tokens)
	r.end(c, e)
}

// reject fails a call as an endpoint does whose context is too small.
func (r *run) reject(c *call, e sim.Event) {
	s := &c.sample
	// In the words of simhttp, as an agent writes them down.
	text := fmt.Sprintf("HTTP 400 BadRequestError: This model's maximum context length is %d tokens. However, you requested %d tokens (%d in the messages, %d in the completion).",
		r.engine.Params().MaxContext, e.Input+c.ask.Output, e.Input, c.ask.Output)
	k := c.stamps
	k.status, k.first = http.StatusBadRequest, e.At.Microseconds()
	s.FirstByteUS = &k.first // of the refusal
	s.HTTPStatus, s.Error, s.ErrorText = &k.status, &errContext, &text
	r.note(c, plan.Token, 1, e.At)
	r.end(c, e)
}

// end gives the finished call to the meter, then to the cursor.
func (r *run) end(c *call, e sim.Event) {
	c.stamps.done = e.At.Microseconds()
	c.sample.DoneUS = &c.stamps.done
	delete(r.calls, c.key)
	r.meter.End(c.key, c.sample)
	p := c.play
	p.end = max(p.end, e.At)
	r.note(c, plan.Done, 0, e.At)
	r.idle = append(r.idle, c)
	r.follow(p)
}
