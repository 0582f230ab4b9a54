package capacity_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/schema"
)

// Calls that do not fit the system's context are told in the judgement of their
// window and, over all windows, in the result: they look like a slow system.
func TestTooLong(t *testing.T) {
	tier := slo(t, "p25(speed)>=20")
	probe := func(_ context.Context, a capacity.Ask, _ func(capacity.Window) bool) (capacity.Window, error) {
		w := capacity.Window{Ask: a, To: a.Max, Settled: true}
		for i := range 40 {
			s := answered(time.Duration(i)*time.Second, time.Second, 101, 30)
			if i%10 == 0 {
				class := schema.ErrContext
				s.Error, s.FirstTokenUS, s.LastTokenUS = &class, nil, nil
			}
			w.Samples = append(w.Samples, s)
		}
		return w, nil
	}
	r, err := capacity.Search(context.Background(), probe, capacity.SearchConfig{SLOs: []capacity.SLO{tier}, MaxProbes: 2})
	if err != nil {
		t.Fatal(err)
	}
	has := func(where string, warnings []string, want string) {
		t.Helper()
		if !slices.ContainsFunc(warnings, func(s string) bool { return strings.HasPrefix(s, want) }) {
			t.Errorf("%s: got %q, want one that begins with %q", where, warnings, want)
		}
	}
	has("judgement", r.Probes[0].Judgements[0].Warnings, "too long: 4 of 40 calls")
	has("result", r.Warnings, "too long: 8 of 80 calls")
}
