package sim

import "time"

// Load is how busy an engine is.
type Load struct {
	Running int   // asks that have memory
	Waiting int   // asks that wait for it
	Used    int64 // blocks of the prompt cache's pool in use
	Blocks  int64 // of them in all
}

// Load is the engine's load when the iterations that began before the last limit
// of Next are over.
func (e *Engine) Load() Load {
	l := Load{Used: e.pools[0].cache.used(), Blocks: e.pools[0].cache.blocks}
	for _, p := range e.pools {
		l.Running += p.batch()
		l.Waiting += len(p.waiting)
		for _, n := range p.inbox.items {
			if !n.cancel {
				l.Waiting++
			}
		}
	}
	return l
}

// Wake is a time before which Next has nothing to return unless something is
// submitted, and at which it is worth asking. A driver in real time sleeps until
// then; asking at that time makes the next answer of Wake a later one. ok is
// false when the engine is idle and nothing is pending.
func (e *Engine) Wake() (t time.Duration, ok bool) {
	if e.given < len(e.pending) {
		t, ok = e.pending[e.given].At, true
	}
	for _, p := range e.pools {
		if w, busy := p.wake(); busy && (!ok || w < t) {
			t, ok = w, true
		}
	}
	return t, ok
}

// wake is the first limit at which the pool has something to do: the end of its
// decoding run where nothing else can happen, else the begin of its iteration.
func (p *pool) wake() (time.Duration, bool) {
	start, ok := p.start()
	if !ok {
		return 0, false
	}
	n := int64(len(p.decoding.items))
	if n == 0 || p.batch() > int(n) || len(p.waiting)+len(p.inbox.items) > 0 {
		return time.Duration(start.ns + 1), true
	}
	k := p.pass(longestRun)
	return start.add(span(p.step+n*p.sequence+p.context, n*p.growth, k)).stamp(), true
}

// Chunks is how many reports an answer of so many tokens comes in with Every set
// to StreamInterval: the chunks of a stream.
func (p Params) Chunks(output int32) int32 {
	p = p.resolve()
	if output <= 1 {
		return 1
	}
	c := newCosts(p, p.StepUS)
	last := c.reach(int64(output))
	every := int64(p.StreamInterval)
	if every*thousand < c.rate { // each iteration passes one
		return int32(1 + last)
	}
	full := (int64(output) - 1) / every
	if last > c.reach(1+full*every) {
		full++
	}
	return int32(1 + full)
}
