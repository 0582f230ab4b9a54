package capacity_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/schema"
)

func slo(t testing.TB, text string) capacity.SLO {
	t.Helper()
	s, err := capacity.ParseSLO(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// quick is a search of short windows.
func quick(seed uint64, slos ...capacity.SLO) capacity.SearchConfig {
	return capacity.SearchConfig{SLOs: slos, Seed: seed, Warm: -1, Look: 30 * time.Second,
		Min: time.Minute, Max: 20 * time.Minute, Horizon: 20 * time.Minute}
}

// search runs a search and checks what holds for every one.
func search(t testing.TB, w world, cfg capacity.SearchConfig) (capacity.Result, time.Duration) {
	t.Helper()
	var spent time.Duration
	r, err := capacity.Search(context.Background(), w.probe(&spent), cfg)
	if err != nil {
		t.Fatal(err)
	}
	checkResult(t, r)
	return r, spent
}

func checkResult(t testing.TB, r capacity.Result) {
	t.Helper()
	seeds := map[uint64]bool{}
	for i, p := range r.Probes {
		if p.Ask.Index != i || seeds[p.Ask.Seed] {
			t.Errorf("probe %d has index %d, seed %d: not its own", i, p.Ask.Index, p.Ask.Seed)
		}
		seeds[p.Ask.Seed] = true
	}
	for i, a := range r.Answers {
		judged := func(level int, v capacity.Verdict) bool {
			return slices.ContainsFunc(r.Probes, func(p capacity.ProbeRecord) bool {
				return p.Ask.Level == level && p.Judgements[i].Verdict == v
			})
		}
		if a.L > 0 && !judged(a.L, capacity.Pass) || a.U > 0 && !judged(a.U, capacity.Fail) {
			t.Errorf("%v: L %d or U %d is no level that was probed and judged so", a.SLO, a.L, a.U)
		}
		failed := 0
		for _, p := range r.Probes {
			if p.Ask.Level == a.U && p.Judgements[i].Verdict == capacity.Fail {
				failed++
			}
		}
		if a.U > 0 && failed < 2 && !warned(a.Warnings, "not monotone") && !warned(a.Warnings, "failed in one probe only") {
			t.Errorf("%v: one probe alone stands for U %d", a.SLO, a.U)
		}
		if a.U > 0 && a.L >= a.U || a.Lo != a.L || a.U > 0 && a.Hi != a.U-1 {
			t.Errorf("%v: L %d, U %d, interval [%d, %d] do not fit", a.SLO, a.L, a.U, a.Lo, a.Hi)
		}
		for _, p := range a.Confirms {
			c := r.Probes[p]
			if c.Ask.Level != a.L || c.Phase != capacity.Confirm || c.To-c.From < r.Horizon || c.Judgements[i].Verdict != capacity.Pass {
				t.Errorf("%v: probe %d does not confirm L %d", a.SLO, p, a.L)
			}
		}
		if a.Confirmed != (len(a.Confirms) > 0) {
			t.Errorf("%v: Confirmed is %v with %d confirming probes", a.SLO, a.Confirmed, len(a.Confirms))
		}
	}
}

func warned(warnings []string, part string) bool {
	return slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, part) })
}

// Without noise, the answer is the truth.
func TestSearchExact(t *testing.T) {
	tier := slo(t, "p25(speed)>=20 & p95(ttft)<=10s")
	f := func(truth int, w world) {
		t.Helper()
		r, _ := search(t, w, quick(1, tier))
		a := r.Answers[0]
		if a.L > truth || a.U <= truth || a.U > max(a.L+1, int(float64(a.L)*1.05)) {
			t.Errorf("truth %d: L %d, U %d", truth, a.L, a.U)
		}
		if (a.L > 0) != a.Confirmed {
			t.Errorf("truth %d: L %d, Confirmed %v", truth, a.L, a.Confirmed)
		}
	}
	for _, truth := range []int{0, 1, 2, 3, 7, 24, 63, 64, 65} {
		turn := float64(truth) + 0.5
		f(truth, world{speed: slope(20, turn, -0.64)})
		f(truth, world{ttft: cliff(turn)})
		f(truth, world{ttft: slope(10, turn, 0.5), speed: slope(20, turn*1.2, -0.64)})
	}
}

// One search of three tiers costs less than three searches, and gives each its
// own answer.
func TestSearchSharesProbes(t *testing.T) {
	tiers := []capacity.SLO{slo(t, "p25(speed)>=20 & p95(ttft)<=10s"), slo(t, "p25(speed)>=60 & p95(ttft)<=5s"), slo(t, "p25(speed)>=180 & p95(ttft)<=3s")}
	w := world{speed: slope(20, 60.5, -1), call: 0.2}
	r, _ := search(t, w, quick(3, tiers...))
	alone := 0
	for i, tier := range tiers {
		one, _ := search(t, w, quick(3, tier))
		alone += len(one.Probes)
		truth := []int{60, 20, 6}[i]
		if a := r.Answers[i]; a.L > truth || a.U <= truth || a.U > a.L+max(3, a.L/8) {
			t.Errorf("%v: truth %d: L %d, U %d", tier, truth, a.L, a.U)
		}
	}
	if len(r.Probes) >= alone {
		t.Errorf("three tiers took %d probes together and %d alone", len(r.Probes), alone)
	}
	if !slices.IsSortedFunc(r.Curve, func(a, b capacity.Point) int { return a.Level - b.Level }) || len(r.Curve) != len(r.Probes) {
		t.Errorf("the curve has %d points of %d probes, or is not sorted", len(r.Curve), len(r.Probes))
	}
}

// The interval holds the truth in 95% of noisy worlds, L rarely overstates, and
// the number of probes is bounded.
func TestSearchCoverage(t *testing.T) {
	tier := slo(t, "p25(speed)>=20 & p95(ttft)<=10s")
	covered, over, n, probes := 0, 0, 0, 0
	for seed := range uint64(36) {
		r := rand.New(rand.NewPCG(seed, 9))
		truth := int(math.Exp(math.Log(2) + r.Float64()*math.Log(20)))
		turn := float64(truth) + 0.5
		noisy := world{call: 0.4, play: []float64{0, 0.3, 0.3}[seed%3], time: []float64{0, 0.05, 0.2}[seed%3]}
		kinds := []world{{speed: slope(20, turn, -0.64)}, {ttft: cliff(turn)}, {ttft: slope(10, turn, 0.5)},
			{speed: slope(20, turn, -0.64), ttft: slope(10, turn*1.1, 1)}}
		w := kinds[seed%4]
		w.call, w.play, w.time = noisy.call, noisy.play, noisy.time
		got, _ := search(t, w, quick(seed, tier))
		a := got.Answers[0]
		n++
		probes = max(probes, len(got.Probes))
		tolerance := max(1, truth/100)
		if a.L-tolerance <= truth && (a.U == 0 || truth <= a.Hi+tolerance) {
			covered++
		}
		if float64(a.L) > 1.05*float64(truth)+0.5 {
			over++
		}
		t.Logf("seed %d kind %d: truth %d in [%d, %d], point %.1f, %d probes", seed, seed%4, truth, a.Lo, a.Hi, a.Point, len(got.Probes))
	}
	if float64(covered) < 0.95*float64(n) || over > 1 || probes > 40 {
		t.Errorf("of %d searches %d covered the truth, %d overstated it; the longest took %d probes", n, covered, over, probes)
	}
}

func TestSearchNeverFails(t *testing.T) {
	cfg := quick(1, slo(t, "p25(speed)>=20"))
	cfg.MaxLevel = 50
	r, _ := search(t, world{}, cfg)
	a := r.Answers[0]
	if a.L != 50 || a.U != 0 || !a.Confirmed || !warned(a.Warnings, "not bounded above") {
		t.Errorf("L %d, U %d, confirmed %v, warnings %q", a.L, a.U, a.Confirmed, a.Warnings)
	}
	if e := a.Agents(); e.Center != 50 || e.Lo != 50 || !math.IsInf(e.Hi, 1) {
		t.Errorf("Agents = %v, want 50 without an upper end", e)
	}
}

func TestSearchAlwaysFails(t *testing.T) {
	cfg := quick(1, slo(t, "p25(speed)>=20"))
	cfg.Start = 8
	r, _ := search(t, world{speed: func(float64) float64 { return 5 }}, cfg)
	a := r.Answers[0]
	if a.L != 0 || a.U != 1 || a.Confirmed || len(r.Probes) > 8 {
		t.Errorf("L %d, U %d, confirmed %v, %d probes: want 0 and 1 in a few", a.L, a.U, a.Confirmed, len(r.Probes))
	}
}

// A system whose errors rise is limited by them, though no tier speaks of them.
func TestSearchCountsErrors(t *testing.T) {
	w := world{fails: func(level float64) float64 { return max(0, level-20) / 100 }}
	r, _ := search(t, w, quick(2, slo(t, "p25(speed)>=20")))
	if a := r.Answers[0]; a.L < 15 || a.L > 22 || a.U < 21 || a.U > 30 {
		t.Errorf("L %d, U %d, want about 21", a.L, a.U)
	}
}

// Speed that comes back past the limit does not raise the capacity, and is told.
func TestSearchNotMonotone(t *testing.T) {
	w := world{speed: func(level float64) float64 {
		if level > 7 && level < 12 {
			return 10
		}
		return 30
	}}
	cfg := quick(1, slo(t, "p25(speed)>=20"))
	cfg.MaxLevel = 64
	cfg.SLOs = append(cfg.SLOs, slo(t, "p25(speed)>=9"))
	r, _ := search(t, w, cfg)
	a := r.Answers[0]
	if a.L != 7 || a.U != 8 || !warned(a.Warnings, "not monotone") || !warned(a.Warnings, "counts up to the first failure") {
		t.Errorf("L %d, U %d, warnings %q", a.L, a.U, a.Warnings)
	}
}

// One bad probe below levels that pass is tried again and overruled.
func TestSearchOverrulesOneFailure(t *testing.T) {
	bad := 3
	w := world{spoil: func(w *capacity.Window, probe int) {
		if probe == bad {
			for i := range w.Samples {
				*w.Samples[i].LastTokenUS = *w.Samples[i].FirstTokenUS + 1e9
			}
		}
	}}
	cfg := quick(1, slo(t, "p25(speed)>=20"), slo(t, "p25(speed)>=0.01"))
	cfg.MaxLevel = 32
	r, _ := search(t, w, cfg)
	if a := r.Answers[0]; a.L != 32 || !warned(a.Warnings, "overruled") {
		t.Errorf("L %d, U %d, warnings %q", a.L, a.U, a.Warnings)
	}
}

// One bad probe at a level with nothing above it is tried again too: it does not
// bound the capacity where it passes over the horizon, or stays undecided there.
func TestSearchRefutes(t *testing.T) {
	f := func(again func(*capacity.Window), want string) {
		t.Helper()
		w := world{spoil: func(w *capacity.Window, probe int) {
			switch {
			case probe == 3:
				for i := range w.Samples {
					*w.Samples[i].LastTokenUS = *w.Samples[i].FirstTokenUS + 1e9
				}
			case w.Ask.Level == 8:
				again(w)
			}
		}}
		cfg := quick(1, slo(t, "p25(speed)>=20"))
		cfg.MaxLevel = 16
		r, _ := search(t, w, cfg)
		if r.Probes[3].Judgements[0].Verdict != capacity.Fail || r.Probes[3].Ask.Level != 8 {
			t.Fatalf("probe 3 is %s at level %d, want FAIL at 8", r.Probes[3].Judgements[0].Verdict, r.Probes[3].Ask.Level)
		}
		if a := r.Answers[0]; a.L != 16 || a.U != 0 || !warned(a.Warnings, want) {
			t.Errorf("L %d, U %d, warnings %q, want 16, 0 and one with %q", a.L, a.U, a.Warnings, want)
		}
	}
	f(func(*capacity.Window) {}, "level 8 failed once and passed over the horizon")
	f(func(w *capacity.Window) { refuse(&w.Samples[0], schema.ErrRateLimit) }, "level 8 failed once and was UNDECIDED over the horizon")
}

// A level whose agents never all complete a call is not waited for.
func TestSearchUnsettled(t *testing.T) {
	w := world{spoil: func(w *capacity.Window, _ int) {
		w.Expect.Input = 2000 // never the plan's mix
		w.Settled = w.Ask.Level < 5
	}}
	cfg := quick(1, slo(t, "p25(speed)>=20"))
	r, _ := search(t, w, cfg)
	if a := r.Answers[0]; a.L != 4 || a.U != 5 || !a.Confirmed {
		t.Errorf("L %d, U %d, confirmed %v, want 4, 5 and yes", a.L, a.U, a.Confirmed)
	}
	for _, p := range r.Probes {
		if got := p.To - p.From; !p.Settled && got != cfg.Min {
			t.Errorf("probe %d of level %d took %v, want %v", p.Ask.Index, p.Ask.Level, got, cfg.Min)
		}
	}
}

// A level that passes for minutes and fails over the horizon is given up.
func TestSearchMetastable(t *testing.T) {
	tier := slo(t, "p25(speed)>=20")
	w := world{spoil: func(w *capacity.Window, _ int) {
		if w.Ask.Level < 20 {
			return
		}
		for i := range w.Samples {
			if s := &w.Samples[i]; s.DueUS > (10 * time.Minute).Microseconds() {
				*s.LastTokenUS = *s.FirstTokenUS + 1e9
			}
		}
	}}
	cfg := quick(1, tier)
	cfg.MaxLevel = 24
	r, _ := search(t, w, cfg)
	if a := r.Answers[0]; a.L >= 20 || a.L < 18 || !a.Confirmed || !warned(a.Warnings, "over the horizon") {
		t.Errorf("L %d, U %d, confirmed %v, warnings %q", a.L, a.U, a.Confirmed, a.Warnings)
	}
}

// A client that cannot drive a level bounds the search, not the system.
func TestSearchInvalid(t *testing.T) {
	tier := slo(t, "p25(speed)>=20")
	w := world{spoil: func(w *capacity.Window, _ int) {
		if w.Ask.Level > 10 {
			w.Invalid = []string{"the client was late"}
		}
	}}
	r, _ := search(t, w, quick(1, tier))
	a := r.Answers[0]
	if a.L != 8 || a.U != 0 || !warned(a.Warnings, "not bounded above: no level up to 8") || !warned(r.Warnings, "level 16 was invalid twice") {
		t.Errorf("L %d, U %d, warnings %q and %q", a.L, a.U, a.Warnings, r.Warnings)
	}
	w.spoil = func(w *capacity.Window, probe int) {
		if probe == 2 {
			w.Invalid = []string{"once"}
		}
	}
	w.speed = slope(20, 9.5, -1)
	if r, _ := search(t, w, quick(1, tier)); r.Answers[0].L != 9 || r.Answers[0].U != 10 {
		t.Errorf("after one invalid probe: L %d, U %d, want 9 and 10", r.Answers[0].L, r.Answers[0].U)
	}
	w = world{spoil: func(w *capacity.Window, _ int) {
		if w.Ask.Level > 10 {
			w.Invalid = []string{"the client was late"}
		}
	}}
	high := quick(1, tier)
	high.Start = 64
	if r, _ := search(t, w, high); r.Answers[0].L != 8 || !r.Answers[0].Confirmed || len(r.Probes) != 8 {
		t.Errorf("from 64 down: L %d, confirmed %v, %d probes, want 8 in twice 64, 32, 16 and 8", r.Answers[0].L, r.Answers[0].Confirmed, len(r.Probes))
	}
	w.spoil = func(w *capacity.Window, _ int) { w.Invalid = []string{"always"} }
	if r, _ := search(t, w, quick(1, tier)); r.Answers[0].L != 0 || len(r.Probes) != 2 {
		t.Errorf("never valid: L %d after %d probes, want 0 after 2", r.Answers[0].L, len(r.Probes))
	}
}

// A confirmation lasts for the horizon, however short the other windows are.
func TestSearchHorizonPastMax(t *testing.T) {
	cfg := quick(1, slo(t, "p25(speed)>=20"))
	cfg.Max, cfg.Horizon = 2*time.Minute, 30*time.Minute
	r, _ := search(t, world{speed: slope(20, 9.5, -1)}, cfg)
	a := r.Answers[0]
	if a.L != 9 || a.U != 10 || !a.Confirmed {
		t.Fatalf("L %d, U %d, confirmed %v, want 9, 10 and yes", a.L, a.U, a.Confirmed)
	}
	if p := r.Probes[a.Confirms[0]]; p.To-p.From != cfg.Horizon {
		t.Errorf("L was confirmed for %v, want %v", p.To-p.From, cfg.Horizon)
	}
}

func TestSearchBudget(t *testing.T) {
	cfg := quick(1, slo(t, "p25(speed)>=20"))
	cfg.MaxProbes = 7
	r, _ := search(t, world{speed: slope(20, 50.5, -0.64)}, cfg)
	a := r.Answers[0]
	if len(r.Probes) != 7 || a.L != 32 || a.U != 64 || a.Confirmed || !warned(r.Warnings, "budget of 7") || !warned(a.Warnings, "not confirmed") || !warned(a.Warnings, "level 64 failed in one probe only") {
		t.Errorf("%d probes, L %d, U %d, confirmed %v, warnings %q and %q", len(r.Probes), a.L, a.U, a.Confirmed, r.Warnings, a.Warnings)
	}
}

func TestSearchInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var spent time.Duration
	cfg := quick(1, slo(t, "p25(speed)>=20"))
	var seen []capacity.ProbeRecord
	windows, looks := 0, 0
	cfg.OnProbe = func(p capacity.ProbeRecord) {
		if seen = append(seen, p); len(seen) == 3 {
			cancel()
		}
	}
	cfg.OnWindow = func(capacity.Window) { windows++ }
	cfg.OnLook = func(capacity.Window) { looks++ }
	r, err := capacity.Search(ctx, world{}.probe(&spent), cfg)
	if err != nil {
		t.Fatal(err)
	}
	checkResult(t, r)
	if a := r.Answers[0]; a.L != 4 || a.Confirmed || !warned(r.Warnings, "interrupted") {
		t.Errorf("L %d, confirmed %v, warnings %q", a.L, a.Confirmed, r.Warnings)
	}
	if len(r.Probes) != 4 || len(seen) != 4 || windows != 4 || looks == 0 || !warned(r.Probes[3].Warnings, "interrupted") {
		t.Errorf("%d probes, %d seen, %d windows, %d looks", len(r.Probes), len(seen), windows, looks)
	}
}

func TestSearchError(t *testing.T) {
	boom := errors.New("boom")
	w := world{err: func(probe int) error {
		if probe == 3 {
			return boom
		}
		return nil
	}}
	var spent time.Duration
	r, err := capacity.Search(context.Background(), w.probe(&spent), quick(1, slo(t, "p25(speed)>=20")))
	if !errors.Is(err, boom) || !strings.Contains(fmt.Sprint(err), "probe level 8") || r.Answers[0].L != 4 {
		t.Errorf("error %v, L %d, want boom at level 8 and 4", err, r.Answers[0].L)
	}
}

func TestSearchConfig(t *testing.T) {
	f := func(cfg capacity.SearchConfig, want string) {
		t.Helper()
		_, err := capacity.Search(context.Background(), nil, cfg)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Search = %v, want an error with %q", err, want)
		}
	}
	one := []capacity.SLO{slo(t, "p25(speed)>=20")}
	f(capacity.SearchConfig{}, "SLOs is required")
	f(capacity.SearchConfig{SLOs: []capacity.SLO{{}}}, "SLOs[0]")
	f(capacity.SearchConfig{SLOs: one, Start: -1}, "Start: got -1")
	f(capacity.SearchConfig{SLOs: one, Start: 5, MaxLevel: 4}, "MaxLevel, which is 4")
	f(capacity.SearchConfig{SLOs: one, Min: time.Hour, Max: time.Minute}, "Min <= Max")
	f(capacity.SearchConfig{SLOs: one, Min: -1}, "Min and Max")
	f(capacity.SearchConfig{SLOs: one, Horizon: -1}, "Horizon")
	f(capacity.SearchConfig{SLOs: one, Resolution: 1}, "Resolution: got 1")
	f(capacity.SearchConfig{SLOs: one, MaxProbes: -1}, "MaxProbes: got -1")
}
