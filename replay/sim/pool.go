package sim

import "slices"

// pool runs iterations over a batch of sequences with one cache. An engine has
// one, or, where prompts are computed apart, a second one before it.
type pool struct {
	costs
	cache  *cache
	block  int64 // tokens of a block
	seats  int   // sequences at a time
	budget int64 // tokens of an iteration
	to     *Engine
	fills  bool // computes prompts
	decode bool // goes on behind the first token

	inbox    heap[notice]
	waiting  []*seq     // in order of arrival
	filling  []*seq     // admitted, prompt not complete, in order of admission
	decoding heap[*seq] // by what is to be reported next
	now      instant    // end of the last iteration
	iter     int64      // iterations so far
	context  int64      // fs that the contexts of decoding cost per iteration
}

// notice is something that happens to a pool at a time: a sequence comes, or is
// cancelled.
type notice struct {
	at     instant
	order  int64
	seq    *seq
	cancel bool
}

func sooner(a, b notice) bool {
	return a.at.before(b.at) || a.at == b.at && a.order < b.order
}

// start is when the pool's next iteration begins.
func (p *pool) start() (instant, bool) {
	if p.batch() > 0 || len(p.waiting) > 0 {
		return p.now, true
	}
	if len(p.inbox.items) == 0 {
		return instant{}, false
	}
	if first := p.inbox.items[0].at; p.now.before(first) {
		return first, true
	}
	return p.now, true
}

// batch is the number of admitted sequences.
func (p *pool) batch() int { return len(p.filling) + len(p.decoding.items) }

// run advances the pool by one iteration, or by as many as pass without a change
// of the batch or anything to report. None of them begins at until or later; the
// first of them must not.
func (p *pool) run(until instant) {
	p.now, _ = p.start()
	p.receive()
	cost, prompts := p.schedule()
	n := int64(len(p.decoding.items))
	if !prompts && n == 0 {
		return
	}
	k := int64(1)
	if !prompts {
		k = p.stretch(until)
	}
	cost += p.step + n*p.sequence + p.context
	p.now = p.now.add(span(cost, n*p.growth, k))
	p.iter += k
	p.context += k * n * p.growth
	p.report()
	p.complete()
}

// stretch is how many iterations can pass at once while all sequences decode.
func (p *pool) stretch(until instant) int64 {
	if len(p.inbox.items) > 0 && p.inbox.items[0].at.before(until) {
		until = p.inbox.items[0].at
	}
	return p.pass(p.now.until(until, longestRun))
}

// pass is how many iterations of the decoding batch pass until one ends fs later
// or there is something to report.
func (p *pool) pass(fs int64) int64 {
	n := int64(len(p.decoding.items))
	return steps(p.step+n*p.sequence+p.context, n*p.growth, fs, p.decoding.items[0].target-p.iter)
}

// receive takes in what has happened by now.
func (p *pool) receive() {
	for len(p.inbox.items) > 0 && !p.now.before(p.inbox.items[0].at) {
		n := p.inbox.pop()
		switch {
		case n.cancel:
			p.drop(n.seq)
		case n.seq.gone && !n.at.before(n.seq.cut):
			// It was on its way when it was cancelled.
		default:
			n.seq.pool = p
			p.waiting = append(p.waiting, n.seq)
		}
	}
}

// schedule gives each sequence its share of the iteration: one step of decoding
// to those that have their prompts, then what is left of the budget to prompts in
// order of admission, then to those that wait. A sequence that cannot be admitted
// holds up all behind it. prompts tells whether any prompt is computed.
func (p *pool) schedule() (cost int64, prompts bool) {
	budget := p.budget - int64(len(p.decoding.items))*p.draft
	share := func(s *seq) {
		s.chunk = min(budget, int64(s.input)-s.filled)
		budget -= s.chunk
		cost += p.prompt(s.filled, s.chunk)
		prompts = prompts || s.chunk > 0
	}
	for _, s := range p.filling {
		share(s)
	}
	for budget > 0 && len(p.waiting) > 0 && p.batch() < p.seats && p.admit(p.waiting[0]) {
		s := p.waiting[0]
		p.waiting[0] = nil
		p.waiting = p.waiting[1:]
		if !p.fills {
			p.begin(s)
			budget -= p.draft
			continue
		}
		p.filling = append(p.filling, s)
		share(s)
	}
	return cost, prompts
}

// admit reserves the memory that s can come to need, or none.
func (p *pool) admit(s *seq) bool {
	prompt, tokens := s.ask.Prompt, int64(s.input)
	if !p.fills {
		prompt = nil
	}
	if p.decode {
		tokens += int64(s.ask.Output)
	}
	path, hit, private, ok := p.cache.reserve(p.to.path(), prompt, (tokens+p.block-1)/p.block)
	if !ok {
		p.to.paths = append(p.to.paths, path[:0])
		return false
	}
	s.path, s.node, s.block, s.private = path, 0, 0, private
	if p.fills {
		s.cached = int32(min(hit, (int64(s.input)-1)/p.block) * p.block)
		s.fill(int64(s.cached), p.block)
	}
	return true
}

// begin makes s decode behind its first token.
func (p *pool) begin(s *seq) {
	s.first = p.iter
	s.target = s.first + p.reach(s.next(1))
	p.context += p.costs.context * (int64(s.input) + 1)
	p.decoding.push(s)
}

// report tells what the decoding sequences have reached.
func (p *pool) report() {
	for len(p.decoding.items) > 0 && p.decoding.items[0].target == p.iter {
		s := p.decoding.pop()
		n := min(p.tokens(p.iter-s.first), int64(s.ask.Output))
		if n == int64(s.ask.Output) {
			p.leave(s)
			p.free(s, int64(s.input)+n)
			p.to.tell(p.now, s, Done, n)
			continue
		}
		p.to.tell(p.now, s, Tokens, n)
		s.target = s.first + p.reach(s.next(n))
		p.decoding.push(s)
	}
}

// leave takes s out of the sum of contexts.
func (p *pool) leave(s *seq) {
	p.context -= p.costs.context*(int64(s.input)+1) + p.growth*(p.iter-s.first)
}

// complete adds what was computed of prompts. Sequences whose prompt is complete
// have their first token.
func (p *pool) complete() {
	left := p.filling[:0]
	for _, s := range p.filling {
		s.fill(s.filled+s.chunk, p.block)
		if s.filled < int64(s.input) {
			left = append(left, s)
			continue
		}
		p.to.tell(p.now, s, Tokens, 1)
		switch {
		case s.ask.Output == 1:
			p.free(s, int64(s.input)+1)
			p.to.tell(p.now, s, Done, 1)
		case p.decode:
			p.begin(s)
		default:
			p.free(s, int64(s.input))
			p.to.transfer(p.now, s)
		}
	}
	clear(p.filling[len(left):])
	p.filling = left
}

// free gives back the memory of s, which has written tokens into it.
func (p *pool) free(s *seq, tokens int64) {
	covered := (tokens + p.block - 1) / p.block
	for _, n := range s.path {
		covered -= int64(n.full)
	}
	p.cache.release(s.path, s.private, min(max(covered, 0), s.private))
	clear(s.path)
	p.to.paths = append(p.to.paths, s.path[:0])
	s.path, s.pool = nil, nil
}

// drop takes a cancelled sequence out, if the pool has it.
func (p *pool) drop(s *seq) {
	if s.pool != p {
		return
	}
	if i := slices.Index(p.waiting, s); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
		s.pool = nil
		return
	}
	tokens := s.filled
	if i := slices.Index(p.filling, s); i >= 0 {
		p.filling = slices.Delete(p.filling, i, i+1)
	} else {
		p.decoding.remove(func(x *seq) bool { return x == s })
		p.leave(s)
		tokens += p.tokens(p.iter - s.first)
	}
	p.free(s, tokens)
}
