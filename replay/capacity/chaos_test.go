package capacity_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/replay/capacity"
)

// chaos is a probe whose windows end in verdicts by chance, now and then cut off,
// invalid or not settled: what a search makes of them has to hold together.
func chaos(seed uint64) capacity.Probe {
	r := rand.New(rand.NewPCG(seed, 3))
	pass, fail := r.Float64(), 0.0
	fail = (1 - pass) * r.Float64()
	return func(_ context.Context, a capacity.Ask, enough func(capacity.Window) bool) (capacity.Window, error) {
		w := capacity.Window{Ask: a, From: time.Minute, Settled: r.Float64() > 0.03}
		if r.Float64() < 0.05 {
			w.Invalid = []string{"chance"}
		}
		for t := a.Min; ; t += a.Look {
			w.To, w.Samples = w.From+min(t, a.Max), w.Samples[:0]
			calls, speed := 60, 30.0
			switch x := r.Float64() - pass; {
			case x > fail:
				calls = 5
			case x > 0:
				speed = 10
			}
			for i := range calls {
				s := answered(w.From+(w.To-w.From)*time.Duration(i)/time.Duration(calls), time.Second, 101, speed)
				s.Agent = int32(i)
				w.Samples = append(w.Samples, s)
			}
			if t >= a.Max || enough(w) {
				return w, nil
			}
		}
	}
}

// Whatever probes say, a search ends, names what it probed and wastes nothing: no
// level runs more often than it can be of use.
func TestSearchInChaos(t *testing.T) {
	spent := 0
	for seed := range uint64(40) {
		cfg := quick(seed, slo(t, "p25(speed)>=20"), slo(t, "p25(speed)>=40"), slo(t, "p25(speed)>=5"))
		cfg.Look, cfg.MaxLevel, cfg.Start = 10*time.Minute, 1+int(seed*7%200), 1+int(seed%3)
		cfg.MaxLevel = max(cfg.MaxLevel, cfg.Start)
		r, err := capacity.Search(context.Background(), chaos(seed), cfg)
		if err != nil {
			t.Fatal(err)
		}
		checkResult(t, r)
		runs := map[int]int{}
		for _, p := range r.Probes {
			runs[p.Ask.Level]++
			if p.Ask.Level < 1 || p.Ask.Level > cfg.MaxLevel {
				t.Errorf("seed %d: level %d of at most %d", seed, p.Ask.Level, cfg.MaxLevel)
			}
		}
		for level, n := range runs {
			// Ramp, narrowing, refuting and confirming for each of three tiers, and
			// twice where invalid.
			if n > 10 {
				t.Errorf("seed %d: level %d ran %d times", seed, level, n)
			}
		}
		if len(r.Probes) == capacity.DefaultMaxProbes {
			spent++
		}
	}
	t.Logf("%d of 40 searches spent all their probes", spent)
}
