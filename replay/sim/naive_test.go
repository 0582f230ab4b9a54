package sim_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/capstan-bench/capstan/replay/sim"
)

// move is something done to an engine: an ask is submitted, or cancelled by ID.
type move struct {
	at     time.Duration
	cancel bool
	ask    sim.Ask
}

// naive is what an engine with these parameters does after moves that are sorted
// by time, written down again from METHOD.md as plainly as it gets: one iteration
// after the other, token by token and block by block. Time is femtoseconds in 64
// bits, so it ends after two and a half hours.
func naive(p sim.Params, moves []move) []sim.Event {
	n := &world{params: p}
	var come []arrival
	byID := map[int64]*job{}
	for i, m := range moves {
		at := int64(m.at) * 1e6
		if m.cancel {
			if j := byID[m.ask.ID]; j != nil {
				j.cut = min(j.cut, at)
				come = append(come, arrival{at, i, j, true})
			}
			continue
		}
		j := &job{Ask: m.ask, order: i, cut: math.MaxInt64}
		j.Output = max(1, j.Output)
		j.count(p)
		byID[m.ask.ID] = j
		if !j.fits(p) {
			n.tell(at, j, sim.Rejected)
			continue
		}
		come = append(come, arrival{at, i, j, false})
	}
	if f := p.Prefill; f == nil {
		n.play(newStage(p, p.StepUS, p.KVTokens, p.MaxBatch, p.BatchTokens, true, true), come)
	} else {
		moved := n.play(newStage(p, f.StepUS, f.KVTokens, f.MaxBatch, f.BatchTokens, true, false), come)
		for _, c := range come {
			if c.cancel {
				moved = append(moved, c)
			}
		}
		n.play(newStage(p, p.StepUS, p.KVTokens, p.MaxBatch, p.BatchTokens, false, true), moved)
	}
	return n.told()
}

// arrival is a job that comes to a stage, or that is cancelled.
type arrival struct {
	at     int64
	order  int
	job    *job
	cancel bool
}

// job is an ask in the naive engine.
type job struct {
	sim.Ask
	order   int
	input   int64
	cut     int64    // when it was cancelled
	keys    []string // of the blocks that end in a run of the prompt
	blocks  []*block
	cached  int64
	filled  int64 // tokens of the prompt that are computed
	steps   int64 // iterations that it has decoded in
	tokens  int64
	fillsUp bool // its first token has not come
}

// count works out the prompt's tokens and blocks.
func (j *job) count(p sim.Params) {
	milli := int64(math.Round(p.BytesPerToken * 1000))
	bytes, path := int64(0), ""
	for _, r := range j.Prompt {
		if r.Bytes <= 0 {
			continue
		}
		bytes += int64(r.Bytes)
		path += fmt.Sprintf("/%d:%d", r.ID, r.Bytes)
		for k := int64(len(j.keys)) + 1; k*int64(p.BlockTokens)*milli <= bytes*1000; k++ {
			j.keys = append(j.keys, fmt.Sprintf("%s#%d", path, k))
		}
	}
	j.input = max(1, (bytes*1000+milli-1)/milli)
}

func (j *job) fits(p sim.Params) bool {
	block := int64(p.BlockTokens)
	all := (j.input + int64(j.Output) + block - 1) / block
	return j.input+int64(j.Output) <= int64(p.MaxContext) && all <= p.KVTokens/block &&
		(p.Prefill == nil || (j.input+block-1)/block <= p.Prefill.KVTokens/block)
}

// reports tells whether something between two token counts is to be reported.
func (j *job) reports(before, after int64) bool {
	for n := before + 1; n <= after; n++ {
		if n == int64(j.Output) || slices.Contains(j.Marks, int32(n)) || j.Every > 0 && (n-1)%int64(j.Every) == 0 {
			return true
		}
	}
	return false
}

// world collects what happens.
type world struct {
	params sim.Params
	events []told
}

type told struct {
	at  int64
	job *job
	sim.Event
}

func (w *world) tell(at int64, j *job, k sim.Kind) {
	w.events = append(w.events, told{at, j, sim.Event{At: time.Duration((at + 999_999) / 1_000_000), ID: j.ID,
		Kind: k, Tokens: int32(j.tokens), Input: int32(j.input), Cached: int32(j.cached)}})
}

func (w *world) told() (events []sim.Event) {
	slices.SortStableFunc(w.events, func(a, b told) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.job.order, b.job.order))
	})
	for _, e := range w.events {
		if e.job.cut == math.MaxInt64 || int64(e.At) <= e.job.cut/1_000_000 {
			events = append(events, e.Event)
		}
	}
	return events
}
