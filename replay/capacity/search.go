package capacity

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"
)

// rampStretch is how many times Min a window of the ramp may grow to make sure
// that a level fails.
const rampStretch = 10.0 / 3

// Search finds the capacity at every tier. Each probe is judged against all of
// them.
//
// The ramp doubles the level, in short windows, until every tier has failed or
// MaxLevel is reached. Then each tier is narrowed down between its largest PASS
// and its smallest FAIL; a window that is undecided is extended up to Max, and
// then counts as not passed and widens the interval. At last each U that failed
// one probe only runs again: where it passes over the horizon, or stays
// undecided, the failure does not count. Then each L runs again for the horizon;
// where it does not pass, L is given up and the search goes on below. Every
// probe starts cold, with a seed of its own.
//
// An answer only names levels that were probed; L is 0 where not even one agent
// is carried. When the budget of probes is spent or ctx ends, the answers are
// those found so far, with a warning and no error. When the probe returns an
// error of its own, so does Search, again with what was found so far.
func Search(ctx context.Context, probe Probe, cfg SearchConfig) (Result, error) {
	cfg, err := cfg.resolve()
	if err != nil {
		return Result{}, err
	}
	s := &search{cfg: cfg, ctx: ctx, probe: probe, ceiling: cfg.MaxLevel}
	for _, slo := range cfg.SLOs {
		s.tiers = append(s.tiers, newTier(slo, cfg.Resolution))
	}
	err = s.run()
	return s.result(), err
}

// search is one search under way.
type search struct {
	cfg     SearchConfig
	ctx     context.Context // of this search alone: it lives as long as Search
	probe   Probe
	tiers   []*tier
	ceiling int // highest level that is worth a probe
	found   Result
	limited []int // levels at which the system answered HTTP 429
	over    bool  // nothing more can be probed
	calls   int   // of all windows
	tooLong int   // of these, calls that did not fit the system's context
}

// goal is why a level is probed.
type goal struct {
	phase Phase
	level int
	tiers []int // those that the probe has to decide
}

func (s *search) run() error {
	for {
		g, ok := s.next()
		if !ok || s.over {
			return nil
		}
		if err := s.pursue(g); err != nil {
			return err
		}
	}
}

func (s *search) warn(format string, args ...any) {
	s.found.Warnings = append(s.found.Warnings, fmt.Sprintf(format, args...))
}

// next is what to probe next; ok is false when every answer is final.
func (s *search) next() (goal, bool) {
	if level, ok := s.rampLevel(); ok {
		return goal{Ramp, level, s.open()}, true
	}
	if g, ok := s.again((*tier).contradicted); ok {
		return g, true
	}
	best, widest := goal{}, 0.0
	for i, t := range s.tiers {
		if level, gap := t.narrow(s.ceiling); level > 0 && gap > widest {
			best, widest = goal{Narrow, level, []int{i}}, gap
		}
	}
	if widest > 0 {
		return best, true
	}
	if g, ok := s.again((*tier).unrefuted); ok {
		return g, true
	}
	return s.again((*tier).unconfirmed)
}

// open are the tiers that have not failed anywhere.
func (s *search) open() (open []int) {
	for i, t := range s.tiers {
		if t.fail() == 0 {
			open = append(open, i)
		}
	}
	return open
}

// rampLevel is the next level of the ramp, while it goes on.
func (s *search) rampLevel() (int, bool) {
	top := 0
	for _, p := range s.found.Probes {
		if p.Phase == Ramp {
			top = max(top, p.Ask.Level)
		}
	}
	if top == 0 {
		return min(s.cfg.Start, s.ceiling), true
	}
	if len(s.open()) == 0 || top >= s.ceiling {
		return 0, false
	}
	return min(2*top, s.ceiling), true
}

// again is the lowest level that a tier still has to be tried at over the
// horizon, for all tiers that have to be tried there.
func (s *search) again(open func(*tier) (int, bool)) (goal, bool) {
	g := goal{phase: Confirm}
	for i, t := range s.tiers {
		level, ok := open(t)
		switch {
		case !ok:
		case g.level == 0 || level < g.level:
			g.level, g.tiers = level, []int{i}
		case level == g.level:
			g.tiers = append(g.tiers, i)
		}
	}
	return g, g.level > 0
}

// pursue probes a level. A window that is invalid is run once more. Invalid
// twice, the level is undecided, and in the ramp it ends the climb, since the
// client would do worse above. Where nothing below was probed, half the level is
// all that the client is trusted with.
func (s *search) pursue(g goal) error {
	for range 2 {
		if s.spent() {
			return nil
		}
		w, err := s.measure(g)
		if err != nil || s.over || len(w.Invalid) == 0 {
			return err
		}
	}
	s.warn("level %d was invalid twice: the client, not the system, may set the limit there", g.level)
	last := s.found.Probes[len(s.found.Probes)-1]
	for _, i := range g.tiers {
		s.tiers[i].note(last.Judgements[i], g.phase, true)
	}
	if below := s.highest(g.level); g.phase == Ramp || below == 0 {
		s.ceiling = cmp.Or(below, g.level/2)
		s.over = s.ceiling == 0
	}
	return nil
}

// spent tells whether the budget is, and warns when it is.
func (s *search) spent() bool {
	if len(s.found.Probes) < s.cfg.MaxProbes {
		return false
	}
	s.over = true
	s.warn("the budget of %d probes is spent: intervals are wider than they could be", s.cfg.MaxProbes)
	return true
}

// highest is the highest level under a level that was probed, or 0.
func (s *search) highest(under int) (level int) {
	for _, p := range s.found.Probes {
		if p.Ask.Level < under {
			level = max(level, p.Ask.Level)
		}
	}
	return level
}

// measure runs one probe, judges it and lets every tier know.
func (s *search) measure(g goal) (Window, error) {
	ask := s.ask(g)
	look := s.look(g, ask)
	w, err := s.probe(s.ctx, ask, func(w Window) bool {
		if s.cfg.OnLook != nil {
			s.cfg.OnLook(w)
		}
		return look(w)
	})
	if err != nil && s.ctx.Err() == nil {
		return w, fmt.Errorf("probe level %d: %w", g.level, err)
	}
	cut := err != nil
	if cut {
		s.over = true
		s.warn("interrupted: %v", err)
		w.Warnings = append(slices.Clone(w.Warnings), "interrupted")
	}
	w.Ask = ask
	if s.cfg.OnWindow != nil {
		s.cfg.OnWindow(w)
	}
	s.keep(g, w, cut)
	return w, nil
}

// keep records a window. One that is invalid or was cut short counts for no tier.
func (s *search) keep(g goal, w Window, cut bool) {
	v := newView(w)
	r := ProbeRecord{Ask: w.Ask, Phase: g.phase, From: w.From, To: w.To, Duty: w.Duty,
		Calls: len(w.Samples), Plays: v.nPlays, Sessions: v.nSessions, Expect: w.Expect, Sweep: w.Sweep,
		Settled: w.Settled, Invalid: w.Invalid, Warnings: w.Warnings}
	for i, t := range s.tiers {
		j := v.judge(t.slo)
		r.Judgements = append(r.Judgements, j)
		if !cut && len(w.Invalid) == 0 {
			t.note(j, g.phase, slices.Contains(g.tiers, i))
		}
	}
	s.calls, s.tooLong = s.calls+len(w.Samples), s.tooLong+v.tooLong()
	s.found.Probes = append(s.found.Probes, r)
	if v.rateLimited() {
		s.limited = append(s.limited, w.Ask.Level)
	}
	if len(w.Samples) > 0 {
		s.found.Curve = append(s.found.Curve, v.point())
	}
	if s.cfg.OnProbe != nil {
		s.cfg.OnProbe(r)
	}
}

func (s *search) ask(g goal) Ask {
	n := len(s.found.Probes)
	a := Ask{Index: n, Level: g.level, Seed: scramble(s.cfg.Seed + uint64(n+1)*0x9e3779b97f4a7c15),
		Warm: s.cfg.Warm, Min: s.cfg.Min, Max: s.cfg.Max, Look: s.cfg.Look}
	switch g.phase {
	case Ramp:
		a.Max = min(a.Max, time.Duration(rampStretch*float64(a.Min)))
	case Confirm:
		a.Max = max(a.Max, s.cfg.Horizon)
		a.Min = min(a.Min, s.cfg.Horizon)
	}
	return a
}

// scramble is the finalizer of splitmix64 (Steele, Lea and Flood, Fast
// splittable pseudorandom number generators, OOPSLA 2014).
func scramble(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// result puts together what was found.
func (s *search) result() Result {
	r := s.found
	r.Horizon = s.cfg.Horizon
	if len(s.limited) > 0 {
		slices.Sort(s.limited)
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s: levels %v", rateLimitText, slices.Compact(s.limited)))
	}
	if s.tooLong > 0 {
		r.Warnings = append(r.Warnings, tooLongText(s.tooLong, s.calls))
	}
	for _, t := range s.tiers {
		a := t.answer()
		if a.U == 0 {
			a.Warnings = append(a.Warnings, fmt.Sprintf("not bounded above: no level up to %d failed", min(s.ceiling, s.highest(math.MaxInt))))
		}
		r.Answers = append(r.Answers, a)
	}
	slices.SortStableFunc(r.Curve, func(a, b Point) int { return cmp.Compare(a.Level, b.Level) })
	return r
}
