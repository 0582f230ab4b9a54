package virtual_test

import (
	"context"
	"flag"
	"math"
	"slices"
	"testing"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/virtual"
)

var searches = flag.Int("searches", 2, "how often the capacity of each engine is searched, each time with a seed of its own")

// answered is what a search said, beside the truth.
type answered struct {
	engine, limits string
	tier           capacity.SLO
	seed           uint64
	truth          int
	capacity.Answer
}

// covers tells whether the truth is in the interval, give or take one agent or
// one percent.
func (a answered) covers() bool {
	off := max(1, float64(a.truth)/100)
	return float64(a.truth) >= float64(a.Lo)-off && (a.U == 0 || float64(a.truth) <= float64(a.Hi)+off)
}

// exact is covers without give or take.
func (a answered) exact() bool { return a.truth >= a.Lo && (a.U == 0 || a.truth <= a.Hi) }

func (a answered) overstated() bool { return float64(a.L) > 1.05*float64(a.truth) }

// TestSearchFindsTruth searches the capacity of engines whose true capacity is
// known by exhaustion. At least 95% of the intervals hold it, and at most one L
// is more than 5% above it.
func TestSearchFindsTruth(t *testing.T) {
	p, all := smokePlan(t), subjects()
	stored := truths(t, p, all)
	answers := make([][]answered, len(all)**searches)
	t.Run("searches", func(t *testing.T) {
		for i := range answers {
			s, seed := all[i / *searches], uint64(1+i%*searches)
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				cfg := capacity.SearchConfig{Seed: seed}
				for _, g := range s.tiers {
					cfg.SLOs = append(cfg.SLOs, g.slo())
				}
				r, err := capacity.Search(context.Background(), virtual.Probe(p, s.params), cfg)
				if err != nil {
					t.Fatal(err)
				}
				for k, a := range r.Answers {
					answers[i] = append(answers[i], answered{s.name, s.limits, a.SLO, seed, stored[s.name][k].Capacity, a})
				}
			})
		}
	})
	n, covered, exact, overstated := 0, 0, 0, 0
	var widths []float64
	for _, a := range slices.Concat(answers...) {
		n++
		note := ""
		if a.exact() {
			exact++
		}
		if a.covers() {
			covered++
		} else {
			note += " NOT COVERED"
		}
		if a.overstated() {
			overstated++
			note += " OVERSTATED"
		}
		widths = append(widths, math.Inf(1))
		if a.L > 0 && a.U > 0 {
			widths[n-1] = float64(a.U)/float64(a.L) - 1
		}
		t.Logf("%-8s %-32v seed %d: truth %3d in [%3d, %3d], point %5.1f%s (%s)", a.engine, a.tier, a.seed, a.truth, a.Lo, a.Hi, a.Point, note, a.limits)
	}
	slices.Sort(widths)
	t.Logf("%d answers: %d covered (%d without tolerance), %d overstated by more than 5%%; median U/L-1 %.1f%%", n, covered, exact, overstated, 100*widths[len(widths)/2])
	if float64(covered) < 0.95*float64(n) || overstated > 1 {
		t.Errorf("of %d answers %d covered the truth and %d overstated it by more than 5%%", n, covered, overstated)
	}
}
