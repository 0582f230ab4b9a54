package capacity_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/schema"
)

// One HTTP 429 keeps a level from passing, and the search says at which levels
// there was one, whatever the probe behind the answer.
func TestSearchRateLimited(t *testing.T) {
	w := world{spoil: func(w *capacity.Window, _ int) {
		if w.Ask.Level >= 4 {
			refuse(&w.Samples[0], schema.ErrRateLimit)
		}
	}}
	cfg := quick(1, slo(t, "p25(speed)>=20 & error_rate<=100%"))
	cfg.MaxLevel = 8
	r, _ := search(t, w, cfg)
	if a := r.Answers[0]; a.L != 3 {
		t.Errorf("L %d, want 3: above, the system limits the rate", a.L)
	}
	var levels []int
	for _, p := range r.Probes {
		if p.Ask.Level >= 4 {
			levels = append(levels, p.Ask.Level)
		}
	}
	slices.Sort(levels)
	if want := fmt.Sprintf("rate-limited, not capacity: the system answered HTTP 429: levels %v", slices.Compact(levels)); !slices.Contains(r.Warnings, want) {
		t.Errorf("warnings %q, want %q", r.Warnings, want)
	}
	w.spoil = nil
	if r, _ := search(t, w, cfg); warned(r.Warnings, "rate-limited") {
		t.Errorf("warnings %q without a 429", r.Warnings)
	}
}
