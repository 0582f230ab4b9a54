package sim

import (
	"fmt"
	"slices"
	"time"
)

// Engine is a simulated inference engine in virtual time, from 0 on.
type Engine struct {
	params  Params
	bytes   int64   // thousandths of a byte per token
	pools   []*pool // in the order in which a sequence passes them
	live    map[int64]*seq
	pending []event // by instant, then by order of submission
	given   int     // of pending, returned already
	order   int64   // submissions and cancellations so far
	paths   [][]*node
}

// event is an Event that was not given out yet.
type event struct {
	instant instant
	seq     *seq
	Event
}

// New makes an idle engine with an empty cache.
func New(p Params) (*Engine, error) {
	p = p.resolve()
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("make engine: %w", err)
	}
	e := &Engine{params: p, bytes: round(p.BytesPerToken * thousand), live: map[int64]*seq{}}
	last := e.pool(p.StepUS, p.KVTokens, p.MaxBatch, p.BatchTokens)
	last.decode = true
	e.pools = []*pool{last}
	if f := p.Prefill; f != nil {
		e.pools = []*pool{e.pool(f.StepUS, f.KVTokens, f.MaxBatch, f.BatchTokens), last}
	}
	e.pools[0].fills = true
	return e, nil
}

func (e *Engine) pool(step float64, kv int64, batch, tokens int32) *pool {
	block := int64(e.params.BlockTokens)
	return &pool{
		costs:    newCosts(e.params, step),
		cache:    newCache(kv/block, block*e.bytes),
		block:    block,
		seats:    int(batch),
		budget:   int64(tokens),
		to:       e,
		inbox:    heap[notice]{less: sooner},
		decoding: heap[*seq]{less: before},
	}
}

// Params are the engine's parameters with their defaults.
func (e *Engine) Params() Params { return e.params }

// Submit hands over an ask at a time that is not before the last event that was
// returned, nor before the last limit up to which there was none. It takes part
// in the first iteration that begins then or later. Asks of the same time queue
// in the order of submission. Prompt and Marks are read until the ask's last
// event and must not change. An ID may be used again after that.
func (e *Engine) Submit(t time.Duration, a Ask) {
	a.Output = max(a.Output, 1)
	s := &seq{ask: a, order: e.order, input: count(a.Prompt, e.bytes)}
	e.order++
	e.live[a.ID] = s
	if !e.Fits(int64(s.input), int64(a.Output)) {
		e.tell(at(t), s, Rejected, 0)
		return
	}
	e.pools[0].inbox.push(notice{at: at(t), order: s.order, seq: s})
}

// Fits tells whether a prompt and an answer of so many tokens can ever be taken
// in: by the model's context, and by the memory of the empty engine.
func (e *Engine) Fits(input, output int64) bool {
	if input+output > int64(e.params.MaxContext) {
		return false
	}
	for _, p := range e.pools {
		need := input
		if p.decode {
			need += output
		}
		if (need+p.block-1)/p.block > p.cache.blocks {
			return false
		}
	}
	return true
}

// Cancel ends an ask at a time with the same bound as Submit's. No event of it
// after that time is returned. An iteration under way goes on with it. An ID that
// is not in the engine is ignored.
func (e *Engine) Cancel(t time.Duration, id int64) {
	s := e.live[id]
	if s == nil {
		return
	}
	delete(e.live, id)
	s.gone, s.cut = true, at(t)
	for _, p := range e.pools {
		p.inbox.push(notice{at: s.cut, order: e.order, seq: s, cancel: true})
	}
	e.order++
}

// Next returns the first event that has not been returned and that happens at
// limit or before, and false where there is none. Events of one time come in the
// order of their asks' submission.
func (e *Engine) Next(limit time.Duration) (Event, bool) {
	for {
		e.advance(at(limit))
		if e.given == len(e.pending) || e.pending[e.given].At > limit {
			return Event{}, false
		}
		first := e.pending[e.given]
		if e.given++; e.given == len(e.pending) {
			e.pending, e.given = e.pending[:0], 0
		}
		if first.seq.gone && at(first.At).ns > first.seq.cut.ns {
			continue
		}
		if first.Kind != Tokens && !first.seq.gone {
			delete(e.live, first.ID)
		}
		return first.Event, true
	}
}

// advance runs iterations that begin before until and before the first pending
// event. After that, nothing can happen before that event any more.
func (e *Engine) advance(until instant) {
	for {
		if e.given < len(e.pending) && e.pending[e.given].instant.before(until) {
			until = e.pending[e.given].instant
		}
		p, bound := e.earliest(until)
		if p == nil {
			return
		}
		p.run(bound)
	}
}

// earliest is the pool whose next iteration begins first, and before until, and
// the time up to which it can run alone. Of two it is the one that sequences
// pass first; what that one hands on comes later than its iteration begins.
func (e *Engine) earliest(until instant) (first *pool, bound instant) {
	begin := until
	for _, p := range e.pools {
		if start, ok := p.start(); ok && start.before(begin) {
			first, bound, begin = p, begin, start
		}
	}
	return first, bound
}

// tell adds an event to those that are pending.
func (e *Engine) tell(t instant, s *seq, kind Kind, tokens int64) {
	i := len(e.pending)
	for i > e.given && later(e.pending[i-1], t, s.order) {
		i--
	}
	e.pending = slices.Insert(e.pending, i, event{t, s, Event{
		At: t.stamp(), ID: s.ask.ID, Kind: kind, Tokens: int32(tokens), Input: s.input, Cached: s.cached,
	}})
}

// later tells whether an event comes after those of an ask at a time.
func later(e event, t instant, order int64) bool {
	return t.before(e.instant) || t == e.instant && order < e.seq.order
}

// transfer moves a complete prompt to the last pool.
func (e *Engine) transfer(t instant, s *seq) {
	fs := round(e.params.Prefill.TransferUS*perUS) + round(e.params.Prefill.TokenUS*perUS)*int64(s.input)
	e.pools[len(e.pools)-1].inbox.push(notice{at: t.add(fs), order: s.order, seq: s})
}

// path is an empty slice to hold a prompt's nodes.
func (e *Engine) path() []*node {
	last := len(e.paths) - 1
	if last < 0 {
		return nil
	}
	path := e.paths[last]
	e.paths = e.paths[:last]
	return path
}
