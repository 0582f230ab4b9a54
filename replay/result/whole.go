package result

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/schema/bundle"
)

// verifyFiles makes sure that every samples file belongs to a probe: a probe that
// was taken out of result.json leaves one behind.
func (r *Result) verifyFiles(b *bundle.Bundle) []Problem {
	owned := map[string]bool{}
	for i := range r.Search.Probes {
		owned[samplesName(i)] = true
	}
	var problems []Problem
	for _, f := range b.Files("samples") {
		if !owned[f.Path] {
			problems = append(problems, Problem{f.Path, fmt.Sprintf("result.json holds %d probes, and none of them is its", len(r.Search.Probes))})
		}
	}
	return problems
}

// verifyCurve makes sure that the curve has one point for each probe with calls,
// by level and then by probe, and no other.
func (r *Result) verifyCurve() []Problem {
	var want, got [][2]int
	for _, p := range r.Search.Probes {
		if p.Calls > 0 {
			want = append(want, [2]int{p.Ask.Level, p.Ask.Index})
		}
	}
	slices.SortFunc(want, func(a, b [2]int) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	for _, p := range r.Search.Curve {
		got = append(got, [2]int{p.Level, p.Probe})
	}
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) || want[i] != got[i] {
			return []Problem{{"curve", fmt.Sprintf("got %d points, want %d, one for each probe with calls, by level; the first that is not right is [%d]", len(got), len(want), i)}}
		}
	}
	return nil
}

// verifyCounts counts again what a probe's samples are.
func verifyCounts(place string, rec capacity.ProbeRecord, w capacity.Window) []Problem {
	plays, sessions := map[[2]int32]bool{}, map[string]bool{}
	var busy time.Duration // in flight within the window, by the samples alone
	for i := range w.Samples {
		s := &w.Samples[i]
		plays[[2]int32{s.Agent, s.Play}] = true
		sessions[s.SessionID] = true
		end := w.To.Microseconds()
		if s.DoneUS != nil {
			end = *s.DoneUS
		}
		busy += time.Duration(end-s.DueUS) * time.Microsecond
	}
	var problems []Problem
	for _, c := range []struct {
		name     string
		got, now int
	}{{"calls", rec.Calls, len(w.Samples)}, {"plays", rec.Plays, len(plays)}, {"sessions", rec.Sessions, len(sessions)}} {
		if c.got != c.now {
			problems = append(problems, Problem{place + "." + c.name, fmt.Sprintf("got %d, recomputed %d", c.got, c.now)})
		}
	}
	// Calls from before the window add to the duty and are no samples.
	least := busy.Seconds() / (w.To - w.From).Seconds() / float64(w.Ask.Level)
	if rec.Duty < least*(1-1e-6) || rec.Duty < 0 || math.IsNaN(rec.Duty) {
		problems = append(problems, Problem{place + ".duty", fmt.Sprintf("got %v, but the samples alone make %v", rec.Duty, least)})
	}
	return problems
}

// misplaced says why a probe could not have stood where it stands in a search.
func (r *Result) misplaced(rec capacity.ProbeRecord) string {
	switch {
	case rec.Phase != capacity.Ramp && rec.Phase != capacity.Narrow && rec.Phase != capacity.Confirm:
		return fmt.Sprintf("phase: got %q, want %s, %s or %s", rec.Phase, capacity.Ramp, capacity.Narrow, capacity.Confirm)
	case rec.Phase == capacity.Confirm && rec.Ask.Max < r.Search.Horizon:
		return fmt.Sprintf("phase: got %s, but its window could only grow to %v of the horizon's %v", rec.Phase, rec.Ask.Max, r.Search.Horizon)
	case interrupted(rec) && rec.Ask.Index != len(r.Search.Probes)-1:
		return "warnings: got interrupted, but the search went on after it"
	}
	return ""
}

func interrupted(p capacity.ProbeRecord) bool { return slices.Contains(p.Warnings, "interrupted") }

// tiers are the tiers that were asked for, written as a judgement writes them.
func (r *Result) tiers() []string {
	var tiers []string
	for _, text := range r.Run.Tiers {
		if slo, err := capacity.ParseSLO(text); err == nil {
			text = slo.String()
		}
		tiers = append(tiers, text)
	}
	return tiers
}

func tiersOf(judgements []capacity.Judgement) []string {
	var tiers []string
	for _, j := range judgements {
		tiers = append(tiers, j.SLO.String())
	}
	return tiers
}
