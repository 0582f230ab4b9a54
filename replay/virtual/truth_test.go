package virtual_test

import (
	"context"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/replay/sim"
	"github.com/capstan-bench/capstan/replay/virtual"
)

var update = flag.Bool("update", false, "compute the true capacities again and write them")

const truthFile = "testdata/truth.json"

// subject is an engine with tiers, each at least speed tok/s at the 25th
// percentile and at most ttft seconds at the 95th.
type subject struct {
	name   string
	limits string // what ends its capacity
	params sim.Params
	tiers  []goal
}

type goal struct{ speed, ttft float64 }

func (g goal) slo() capacity.SLO {
	return capacity.SLO{Conds: []capacity.Cond{
		{Stat: "p25", Metric: capacity.Speed, Op: capacity.AtLeast, Limit: g.speed},
		{Stat: "p95", Metric: capacity.TTFT, Op: capacity.AtMost, Limit: g.ttft},
	}}
}

// subjects are variants of one invented engine that run out of different things.
func subjects() []subject {
	base := sim.Params{StepUS: 5800, PrefillUS: 180, AttentionUS: 0.8, SequenceUS: 1800, ContextUS: 100, KVTokens: 800_000,
		BlockTokens: 64, MaxBatch: 48, BatchTokens: 2048, MaxContext: 262_144, StreamInterval: 8}
	vary := func(name, limits string, change func(*sim.Params), tiers ...goal) subject {
		s := subject{name, limits, base, tiers}
		change(&s.params)
		return s
	}
	return []subject{
		vary("decode", "speed", func(p *sim.Params) {}, goal{15, 10}, goal{40, 5}),
		vary("slow", "speed, at few agents", func(p *sim.Params) { *p = p.Scaled(0.4) }, goal{20, 10}, goal{50, 10}),
		vary("spec", "speed, by speculation", func(p *sim.Params) { p.TokensPerStep, p.SequenceUS = 2.4, 3600 }, goal{20, 10}, goal{60, 5}),
		vary("wide", "speed, at many agents", func(p *sim.Params) {
			*p = p.Scaled(3)
			p.KVTokens, p.MaxBatch = 3_000_000, 200
		}, goal{20, 10}, goal{60, 5}),
		vary("prefill", "a gentle slope of TTFT", func(p *sim.Params) { p.PrefillUS, p.SequenceUS, p.ContextUS = 2160, 450, 25 }, goal{3, 8}, goal{3, 11}),
		vary("seats", "a slope of TTFT, by the batch", func(p *sim.Params) { p.MaxBatch = 8 }, goal{15, 3}, goal{15, 8}),
		vary("cache", "a cliff, by the cache", func(p *sim.Params) { p.KVTokens = 250_000 }, goal{5, 5}, goal{10, 1}),
		vary("small", "a cliff, by a smaller cache", func(p *sim.Params) { p.KVTokens = 130_000 }, goal{5, 10}, goal{30, 5}),
		vary("apart", "a cliff, by the cache of the prefill pool", func(p *sim.Params) {
			p.SequenceUS = 900
			p.Prefill = &sim.Prefill{StepUS: 5000, KVTokens: 300_000, MaxBatch: 8, BatchTokens: 4096, TransferUS: 20_000, TokenUS: 3}
		}, goal{20, 5}, goal{45, 2}),
	}
}

// truth is the true capacity of an engine at a tier: the largest level such that
// it and every lower one meet the tier.
type truth struct {
	Engine   string  `json:"engine"`
	Speed    float64 `json:"p25_speed_at_least"`
	TTFT     float64 `json:"p95_ttft_at_most_s"`
	Capacity int     `json:"capacity"`
}

// figures are the plain percentiles of all calls of some windows.
type figures struct{ speed, ttft float64 }

func (f figures) meet(g goal) bool { return f.speed >= g.speed && f.ttft <= g.ttft }

// seedsOfTruth are those of the windows that truth rests on, each of an hour
// after every agent has completed a call; none is a seed of a search.
var seedsOfTruth = []uint64{101, 102, 103, 104}

// figuresAt measures a level without any of the code that judges windows. A call
// whose first token has not come counts with the time that it has waited.
func figuresAt(t testing.TB, p *plan.Plan, params sim.Params, level int) figures {
	var speeds, ttfts []float64
	for _, seed := range seedsOfTruth {
		w, err := virtual.Probe(p, params)(context.Background(), capacity.Ask{Level: level, Seed: seed, Warm: time.Minute, Min: time.Hour, Max: time.Hour}, nil)
		if err != nil || !w.Settled || w.To-w.From < w.Sweep {
			t.Fatalf("level %d: error %v, settled %v, %v of a sweep of %v", level, err, w.Settled, w.To-w.From, w.Sweep)
		}
		for i := range w.Samples {
			s := &w.Samples[i]
			if s.FirstTokenUS == nil {
				ttfts = append(ttfts, w.To.Seconds()-float64(s.DueUS)/1e6)
				continue
			}
			ttfts = append(ttfts, float64(*s.FirstTokenUS-s.DueUS)/1e6)
			if s.DoneUS != nil && *s.OutputTokens >= 16 {
				speeds = append(speeds, (float64(*s.OutputTokens)-*s.FirstTokens)*1e6/float64(*s.LastTokenUS-*s.FirstTokenUS))
			}
		}
	}
	slices.Sort(speeds)
	slices.Sort(ttfts)
	return figures{speeds[len(speeds)/4], ttfts[len(ttfts)*95/100]}
}

// exhaust finds the true capacities of a subject by trying every level from 1 on.
func exhaust(t testing.TB, p *plan.Plan, s subject) (found []truth) {
	at := map[int]figures{}
	for _, g := range s.tiers {
		level := 1
		for ; ; level++ {
			f, ok := at[level]
			if !ok {
				f = figuresAt(t, p, s.params, level)
				at[level] = f
			}
			if !f.meet(g) {
				break
			}
		}
		found = append(found, truth{s.name, g.speed, g.ttft, level - 1})
		t.Logf("%s %v: %d; there %.2f, above it %.2f", s.name, g, level-1, at[level-1], at[level])
	}
	return found
}

// updated is true once -update has been obeyed.
var updated bool

// truths reads the true capacities, by engine. With -update, the first call finds
// them and writes them down.
func truths(t *testing.T, p *plan.Plan, subjects []subject) map[string][]truth {
	t.Helper()
	if *update && !updated {
		updated = true
		var all []truth
		for _, s := range subjects {
			all = append(all, exhaust(t, p, s)...)
		}
		text, err := json.MarshalIndent(all, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(truthFile, append(text, '\n'), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(truthFile)
	if err != nil {
		t.Fatal(err)
	}
	var all []truth
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	byEngine := map[string][]truth{}
	for _, f := range all {
		byEngine[f.Engine] = append(byEngine[f.Engine], f)
	}
	return byEngine
}

// TestTruth checks that the stored capacities are about these subjects, and, for
// one tier of each, drawn by a seed, that the capacity is still where the tier turns.
func TestTruth(t *testing.T) {
	p, all := smokePlan(t), subjects()
	stored := truths(t, p, all)
	r := rand.New(rand.NewPCG(1, 2))
	for _, s := range all {
		var want []truth
		for i, g := range s.tiers {
			f := truth{s.name, g.speed, g.ttft, -1}
			if i < len(stored[s.name]) {
				f.Capacity = stored[s.name][i].Capacity
			}
			want = append(want, f)
		}
		if diff := cmp.Diff(want, stored[s.name]); diff != "" {
			t.Fatalf("%s is not about these subjects; run with -update (-subjects +file):\n%s", truthFile, diff)
		}
		tier := r.IntN(len(s.tiers))
		n := want[tier].Capacity
		for level := max(1, n); level <= n+1; level++ {
			if f := figuresAt(t, p, s.params, level); f.meet(s.tiers[tier]) != (level == n) {
				t.Errorf("%s has %.2f at %d agents, but its capacity at %v is said to be %d", s.name, f, level, s.tiers[tier], n)
			}
		}
	}
}
