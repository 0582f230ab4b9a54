package capacity

import (
	"slices"
	"time"
)

// lookGrowth is how much longer a window is at each judgement than at the one
// before. Judging it at every look would spend the verdicts' error many times
// over; this way an hour that starts with three minutes is judged nine times.
const lookGrowth = 1.5

// look is the question that a probe asks about its growing window: is it enough?
func (s *search) look(g goal, a Ask) func(Window) bool {
	var next time.Duration
	return func(w Window) bool {
		t := w.To - w.From
		if t < next || len(w.Invalid) > 0 {
			return false
		}
		if next = time.Duration(lookGrowth * float64(t)); g.phase == Confirm && t < s.cfg.Horizon {
			next = min(next, s.cfg.Horizon)
		}
		return s.enough(g, newView(w))
	}
}

// enough tells whether a window serves its goal. A verdict on another mix of
// calls than the plan's waits for a longer window, except in the ramp, whose
// levels lie far apart, and except where the level did not settle: no longer
// window changes that.
func (s *search) enough(g goal, v *view) bool {
	if !v.Settled {
		return true
	}
	judged := make([]Judgement, len(g.tiers))
	for i, t := range g.tiers {
		judged[i] = v.judge(s.tiers[t].slo)
	}
	all := func(ok func(Judgement) bool) bool {
		return !slices.ContainsFunc(judged, func(j Judgement) bool { return !ok(j) })
	}
	failed := func(j Judgement) bool { return j.Verdict == Fail }
	decided := func(j Judgement) bool { return j.Verdict != Undecided }
	stationary := len(v.drift()) == 0
	switch g.phase {
	case Ramp:
		hopeless := all(func(j Judgement) bool { return failed(j) || j.Verdict == Undecided && j.margin() < 0 })
		return all(failed) && stationary || !hopeless
	case Confirm:
		return all(failed) && stationary || v.To-v.From >= s.cfg.Horizon && all(decided)
	default:
		return all(decided) && stationary
	}
}
