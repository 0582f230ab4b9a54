package sim_test

import (
	"cmp"
	"math"
	"slices"

	"github.com/capstan-bench/capstan/replay/sim"
)

// stage is a pool of the naive engine.
type stage struct {
	step, token, attention, sequence, context, growth int64 // femtoseconds
	rate, draft, block                                int64
	seats                                             int
	budget                                            int64
	fills, decodes                                    bool

	store   *store
	waiting []*job
	batch   []*job // in order of admission
}

func newStage(p sim.Params, step float64, kv int64, seats, budget int32, fills, decodes bool) *stage {
	fs := func(us float64) int64 { return int64(math.Round(us * 1e9)) }
	return &stage{
		step: fs(step), token: fs(p.PrefillUS), attention: fs(p.AttentionUS / 1000),
		sequence: fs(p.SequenceUS), context: fs(p.ContextUS / 1000), growth: fs(p.ContextUS * p.TokensPerStep / 1000),
		rate: int64(math.Round(p.TokensPerStep * 1000)), draft: int64(math.Ceil(p.TokensPerStep)),
		block: int64(p.BlockTokens), seats: int(seats), budget: int64(budget), fills: fills, decodes: decodes,
		store: &store{empty: kv / int64(p.BlockTokens), table: map[string]*block{}},
	}
}

// play runs a stage from the first arrival to the end, and returns the jobs that
// it hands on.
func (w *world) play(s *stage, come []arrival) (moved []arrival) {
	slices.SortFunc(come, func(a, b arrival) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.order, b.order))
	})
	for now := int64(0); ; {
		if len(s.batch)+len(s.waiting) == 0 {
			if len(come) == 0 {
				return moved
			}
			now = max(now, come[0].at)
		}
		for len(come) > 0 && come[0].at <= now {
			s.receive(come[0])
			come = come[1:]
		}
		cost, ran, chunks := s.iterate()
		if !ran {
			continue
		}
		now += cost
		for _, j := range slices.Clone(s.batch) {
			if j.fillsUp {
				moved = append(moved, w.fill(s, j, chunks[j], now)...)
			} else {
				w.decode(s, j, now)
			}
		}
	}
}

func (s *stage) receive(a arrival) {
	j := a.job
	i, k := slices.Index(s.waiting, j), slices.Index(s.batch, j)
	switch {
	case !a.cancel && j.cut > a.at:
		s.waiting = append(s.waiting, j)
	case i >= 0:
		s.waiting = slices.Delete(s.waiting, i, i+1)
	case k >= 0 && j.fillsUp:
		s.end(j, j.filled)
	case k >= 0:
		s.end(j, j.input+j.tokens)
	}
}

// end takes a job out that has written so many tokens.
func (s *stage) end(j *job, written int64) {
	s.batch = slices.DeleteFunc(s.batch, func(x *job) bool { return x == j })
	for i := len(j.keys); i < len(j.blocks); i++ {
		j.blocks[i].holds = int64(i)*s.block < written
	}
	s.store.release(j.blocks)
	j.blocks = nil
}

// iterate admits what it can and adds up what the next iteration costs.
func (s *stage) iterate() (cost int64, ran bool, chunks map[*job]int64) {
	cost, chunks = s.step, map[*job]int64{}
	budget := s.budget
	for _, j := range s.batch {
		if !j.fillsUp {
			budget -= s.draft
		}
	}
	old := len(s.batch)
	for i := 0; ; i++ {
		if i == len(s.batch) && (budget <= 0 || !s.admit()) {
			break
		}
		j := s.batch[i]
		switch {
		case j.fillsUp:
			for chunks[j] < j.input-j.filled && budget > 0 {
				cost += s.token + s.attention*(j.filled+chunks[j])
				chunks[j]++
				budget--
				ran = true
			}
		case i >= old:
			budget -= s.draft
		}
	}
	for _, j := range s.batch {
		if !j.fillsUp {
			cost += s.sequence + s.context*(j.input+1) + s.growth*j.steps
			ran = true
		}
	}
	return cost, ran, chunks
}

// admit takes in the first job that waits, if it can.
func (s *stage) admit() bool {
	if len(s.waiting) == 0 || len(s.batch) == s.seats {
		return false
	}
	j := s.waiting[0]
	tokens := j.input
	if s.decodes {
		tokens += int64(j.Output)
	}
	if !s.fills {
		j.keys = nil
	}
	blocks, ok := s.store.reserve(j.keys, int((tokens+s.block-1)/s.block))
	if !ok {
		return false
	}
	s.waiting, s.batch = s.waiting[1:], append(s.batch, j)
	j.blocks, j.fillsUp = blocks, s.fills
	if s.fills {
		for j.cached+s.block < j.input && int(j.cached/s.block) < len(j.keys) && blocks[j.cached/s.block].holds {
			j.cached += s.block
		}
		j.filled = j.cached
	}
	return true
}

// fill adds what an iteration computed of a prompt.
func (w *world) fill(s *stage, j *job, chunk, now int64) (moved []arrival) {
	j.filled += chunk
	for i := range j.keys {
		j.blocks[i].holds = j.blocks[i].holds || int64(i+1)*s.block <= j.filled
	}
	if j.filled < j.input {
		return nil
	}
	j.fillsUp, j.tokens = false, 1
	w.tell(now, j, sim.Tokens)
	if j.Output == 1 {
		w.tell(now, j, sim.Done)
		s.end(j, j.input+1)
	} else if !s.decodes {
		s.end(j, j.input)
		f := w.params.Prefill
		late := int64(math.Round(f.TransferUS*1e9)) + int64(math.Round(f.TokenUS*1e9))*j.input
		moved = append(moved, arrival{now + late, j.order, j, false})
	}
	return moved
}

// decode adds an iteration's tokens.
func (w *world) decode(s *stage, j *job, now int64) {
	j.steps++
	before := j.tokens
	j.tokens = min(1+j.steps*s.rate/1000, int64(j.Output))
	switch {
	case j.tokens == int64(j.Output):
		w.tell(now, j, sim.Done)
		s.end(j, j.input+j.tokens)
	case j.reports(before, j.tokens):
		w.tell(now, j, sim.Tokens)
	}
}

// store is memory, one block at a time.
type store struct {
	empty int64
	table map[string]*block // blocks of prompts, in use or not
	queue []*block          // that nobody uses and that hold something, first to go first
}

type block struct {
	key   string
	users int
	holds bool
}

// reserve takes need blocks, of which the first have keys, or none.
func (s *store) reserve(keys []string, need int) ([]*block, bool) {
	fresh, there := int64(need), int64(len(s.queue))
	for _, key := range keys {
		if b := s.table[key]; b != nil {
			fresh--
			if b.users == 0 {
				there--
			}
		}
	}
	if fresh > s.empty+there {
		return nil, false
	}
	blocks := make([]*block, need)
	for i, key := range keys {
		if b := s.table[key]; b != nil {
			blocks[i] = b
			b.users++
			s.queue = slices.DeleteFunc(s.queue, func(x *block) bool { return x == b })
		}
	}
	for i := range blocks {
		if blocks[i] != nil {
			continue
		}
		if s.empty > 0 {
			s.empty--
		} else {
			delete(s.table, s.queue[0].key)
			s.queue = s.queue[1:]
		}
		blocks[i] = &block{users: 1}
		if i < len(keys) {
			blocks[i].key = keys[i]
			s.table[keys[i]] = blocks[i]
		}
	}
	return blocks, true
}

// release gives blocks back, the last first.
func (s *store) release(blocks []*block) {
	for _, b := range slices.Backward(blocks) {
		if b.users--; b.users > 0 {
			continue
		}
		if b.holds {
			s.queue = append(s.queue, b)
		} else {
			s.empty++
			delete(s.table, b.key)
		}
	}
}
