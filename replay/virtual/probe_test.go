package virtual_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/datasets"
	"github.com/capstan-bench/capstan/datasets/smoke"
	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/replay/sim"
	"github.com/capstan-bench/capstan/replay/virtual"
	"github.com/capstan-bench/capstan/schema"
)

func smokePlan(tb testing.TB) *plan.Plan {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "smoke")
	if err := smoke.Write(dir); err != nil {
		tb.Fatal(err)
	}
	ds, err := datasets.Open(dir)
	if err != nil {
		tb.Fatal(err)
	}
	p, err := plan.Build(context.Background(), ds.Sessions(), plan.Config{Model: "m"})
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// plain is an engine whose times can be worked out by hand: an iteration takes
// 10 ms and 50 µs for each token of a prompt, whatever else is in it.
var plain = sim.Params{
	StepUS: 10_000, PrefillUS: 50, KVTokens: 1 << 20, BlockTokens: 16, MaxBatch: 64, BatchTokens: 1 << 20, MaxContext: 1 << 20,
}

func measure(t *testing.T, p *plan.Plan, params sim.Params, a capacity.Ask) capacity.Window {
	t.Helper()
	w, err := virtual.Probe(p, params)(context.Background(), a, nil)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestTimesOfOneAgent checks every stamp of an agent that has the engine to
// itself: a prompt of u tokens that the cache does not hold takes one iteration,
// 10 ms + u × 50 µs, and each further token takes 10 ms. Sub-agents overlap, so
// calls beside another are left out.
func TestTimesOfOneAgent(t *testing.T) {
	w := measure(t, smokePlan(t), plain, capacity.Ask{Level: 1, Seed: 3, Min: time.Hour, Max: time.Hour})
	checked := 0
	for i := range w.Samples {
		s := &w.Samples[i]
		if s.Error != nil || i > 0 && *w.Samples[i-1].DoneUS > s.DueUS || i+1 < len(w.Samples) && w.Samples[i+1].DueUS < *s.DoneUS {
			continue
		}
		first := 10_000 + 50*(*s.InputTokens-*s.CachedTokens)
		if got := *s.FirstTokenUS - s.DueUS; got < first-1 || got > first+1 {
			t.Fatalf("sample %d: first token after %d µs, want %d", i, got, first)
		}
		if got, want := *s.LastTokenUS-*s.FirstTokenUS, 10_000*(*s.OutputTokens-1); got < want-1 || got > want+1 {
			t.Fatalf("sample %d: last token %d µs after the first, want %d", i, got, want)
		}
		if *s.OutputTokens != s.PlannedOutput || *s.SentUS != s.DueUS || *s.DoneUS != *s.LastTokenUS || s.Chunks != int32(*s.OutputTokens) {
			t.Fatalf("sample %d: %+v", i, s)
		}
		checked++
	}
	if checked < 500 {
		t.Errorf("checked %d calls of %d, want at least 500", checked, len(w.Samples))
	}
}

// TestCacheHoldsWhatThePlanSays: with a cache that never evicts, one agent finds
// what the plan calls ideal, but for the block that the prefix ends in.
func TestCacheHoldsWhatThePlanSays(t *testing.T) {
	params := plain
	params.KVTokens, params.BlockTokens = 1<<28, 1
	w := measure(t, smokePlan(t), params, capacity.Ask{Level: 1, Seed: 3, Min: time.Hour, Max: time.Hour})
	var hit, ideal, input, planned float64
	for i := range w.Samples {
		if s := &w.Samples[i]; s.Error == nil {
			hit += float64(*s.CachedTokens)
			input += float64(*s.InputTokens)
			ideal += float64(s.IdealCached)
			planned += float64(s.PlannedInput)
		}
	}
	if got, want := hit/input, ideal/planned; got < want-0.01 || got > want+0.03 {
		t.Errorf("the engine found %.4f of the input, the plan's ideal is %.4f", got, want)
	}
}

func TestSameAskSameSamples(t *testing.T) {
	p := smokePlan(t)
	params, _ := sim.Builtin("small")
	f := func(seed uint64) capacity.Window {
		return measure(t, p, params, capacity.Ask{Level: 20, Seed: seed, Warm: time.Minute, Min: 5 * time.Minute, Max: 5 * time.Minute})
	}
	if diff := cmp.Diff(f(1), f(1)); diff != "" {
		t.Errorf("two runs of one ask differ (-first +second):\n%s", diff)
	}
	if cmp.Equal(f(1).Samples, f(2).Samples) {
		t.Error("two seeds gave the same samples")
	}
}

func TestPromptThatDoesNotFit(t *testing.T) {
	params := plain
	params.MaxContext = 8_000
	w := measure(t, smokePlan(t), params, capacity.Ask{Level: 4, Seed: 1, Min: time.Hour, Max: time.Hour})
	failed, fine := 0, 0
	for i := range w.Samples {
		s := &w.Samples[i]
		switch {
		case s.Error == nil:
			fine++
		case *s.Error == schema.ErrContext:
			failed++
			if *s.HTTPStatus != 400 || s.FirstTokenUS != nil || *s.DoneUS != s.DueUS {
				t.Fatalf("sample %d: %+v", i, s)
			}
		}
	}
	if failed == 0 || fine == 0 {
		t.Errorf("%d calls fitted and %d did not, want some of both", fine, failed)
	}
}

func TestInterruption(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	enough := func(w capacity.Window) bool {
		cancel()
		return false
	}
	w, err := virtual.Probe(smokePlan(t), plain)(ctx, capacity.Ask{Level: 8, Seed: 1, Min: time.Minute, Max: 1000 * time.Hour}, enough)
	if !errors.Is(err, context.Canceled) || len(w.Samples) == 0 {
		t.Errorf("got error %v and %d samples, want that of the context and what was measured", err, len(w.Samples))
	}
}

func TestBadParameters(t *testing.T) {
	if _, err := virtual.Probe(smokePlan(t), sim.Params{})(context.Background(), capacity.Ask{Level: 1, Max: time.Hour}, nil); err == nil {
		t.Error("an engine without parameters was accepted")
	}
	if _, err := virtual.Probe(smokePlan(t), plain)(context.Background(), capacity.Ask{Max: time.Hour}, nil); err == nil {
		t.Error("a level of 0 was accepted")
	}
}
