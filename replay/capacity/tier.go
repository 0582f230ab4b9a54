package capacity

import (
	"fmt"
	"math"
	"slices"
)

// How far from where a tier is thought to turn its levels are probed, as shares
// of the resolution: a probe right there would stay undecided.
const (
	farStep   = 1.0  // while the interval is wide
	nearStep  = 0.44 // when it is narrow: both sides together stay within the resolution
	widenStep = 0.6  // past a level that stayed undecided, more with every one
	wide      = 5    // resolutions that make an interval wide
)

// tier is what a search knows about one SLO.
type tier struct {
	slo        SLO
	resolution float64
	sightings  []sighting
	states     map[int]Verdict // of levels that this tier knows something about
	held       map[int][]int   // probes that confirmed a level
	failed     map[int]int     // how many probes a level failed
	rechecked  map[int]bool    // failed levels that were tried again over the horizon
	bracket    bracket
	warnings   []string
}

// bracket is the interval that turn was last asked about. Slow says that it had
// shrunk by less than half since the one before.
type bracket struct {
	lo, hi int
	slow   bool
}

// sighting is one judged probe.
type sighting struct {
	level  int
	margin float64
}

func newTier(slo SLO, resolution float64) *tier {
	return &tier{slo: slo, resolution: resolution,
		states: map[int]Verdict{}, held: map[int][]int{}, failed: map[int]int{}, rechecked: map[int]bool{}}
}

// note takes in a judgement. Meant is true when the probe was to decide this
// tier: only then does UNDECIDED say that no longer window would have helped.
func (t *tier) note(j Judgement, phase Phase, meant bool) {
	t.sightings = append(t.sightings, sighting{j.Level, j.margin()})
	meant = meant && phase != Ramp
	old := t.states[j.Level]
	if j.Verdict == Fail {
		t.failed[j.Level]++
	}
	switch {
	case phase == Confirm && meant && old == Fail:
		t.recheck(j)
	case j.Verdict == Fail:
		t.states[j.Level] = Fail
	case j.Verdict == Pass && old != Fail:
		t.states[j.Level] = Pass
	case j.Verdict == Undecided && meant && old != Fail:
		t.states[j.Level] = Undecided
	}
	if phase == Confirm && meant {
		t.confirm(j, old)
	}
}

// confirm notes whether a level held for the horizon.
func (t *tier) confirm(j Judgement, old Verdict) {
	switch {
	case j.Verdict == Pass:
		t.held[j.Level] = append(t.held[j.Level], j.Probe)
	case old == Pass:
		t.warnf("level %d passed a shorter window but was %s over the horizon", j.Level, j.Verdict)
	}
}

// recheck settles a level that failed and was tried again over the horizon. One
// that stays undecided there bounds nothing, unless a higher level passed: then
// the doubt counts against the system.
func (t *tier) recheck(j Judgement) {
	t.rechecked[j.Level] = true
	switch above := len(t.levels(Pass, j.Level, math.MaxInt)) > 0; {
	case j.Verdict == Pass:
		t.states[j.Level] = Pass
		t.warnf("level %d failed once and passed over the horizon: the failure is overruled", j.Level)
	case above:
		t.warnf("not monotone: level %d failed and was %s on trying again, but a higher level passed", j.Level, j.Verdict)
	case j.Verdict == Undecided:
		t.states[j.Level] = Undecided
		t.warnf("level %d failed once and was UNDECIDED over the horizon: the failure is taken back", j.Level)
	}
}

func (t *tier) warnf(format string, args ...any) {
	t.warnings = append(t.warnings, fmt.Sprintf(format, args...))
}

// levels are those in a state within (lo, hi), sorted.
func (t *tier) levels(state Verdict, lo, hi int) (levels []int) {
	for level, v := range t.states {
		if v == state && lo < level && level < hi {
			levels = append(levels, level)
		}
	}
	slices.Sort(levels)
	return levels
}

// fail is U, the smallest level that failed, or 0.
func (t *tier) fail() int {
	if failed := t.levels(Fail, 0, math.MaxInt); len(failed) > 0 {
		return failed[0]
	}
	return 0
}

// pass is L, the largest level that passed below U, or 0.
func (t *tier) pass() int {
	top := t.fail()
	if top == 0 {
		top = math.MaxInt
	}
	if passed := t.levels(Pass, 0, top); len(passed) > 0 {
		return passed[len(passed)-1]
	}
	return 0
}

// contradicted is a failed level below one that passed, if it was not yet tried
// again.
func (t *tier) contradicted() (int, bool) {
	u := t.fail()
	if u == 0 || t.rechecked[u] || len(t.levels(Pass, u, math.MaxInt)) == 0 {
		return 0, false
	}
	return u, true
}

// unrefuted is U where a single probe stands for it. Without a second, on a seed
// of its own, one false FAIL would cut the interval below the truth, as a false
// PASS would lift L without its confirmation.
func (t *tier) unrefuted() (int, bool) {
	u := t.fail()
	return u, u > 0 && t.failed[u] < 2 && !t.rechecked[u]
}

// unconfirmed is L, where it was not yet held over the horizon.
func (t *tier) unconfirmed() (int, bool) {
	l := t.pass()
	return l, l > 0 && !t.confirmed(l)
}

func (t *tier) confirmed(level int) bool { return len(t.held[level]) > 0 }

// narrow is the level to probe next between L and U, and how wide, as a
// logarithm, the gap is that it stands in; the level is 0 when the interval is
// as narrow as it gets.
func (t *tier) narrow(ceiling int) (level int, gap float64) {
	lo, hi := t.pass(), t.fail()
	if hi == 0 {
		if hi = ceiling + 1; t.states[ceiling] == "" {
			return ceiling, math.Inf(1)
		}
	}
	if hi-lo <= 1 || float64(hi) <= float64(lo)*(1+t.resolution) {
		return 0, 0
	}
	low, high := t.sides(lo, hi)
	below, above := logRatio(low, lo), logRatio(hi, high)
	switch {
	case low > lo && (below >= above || high >= hi):
		return low, below
	case high < hi:
		return high, above
	}
	return 0, 0
}

// sides are the levels to probe for a PASS and for a FAIL between lo and hi. A
// low of lo, or a high of hi, means that there is none left on that side.
func (t *tier) sides(lo, hi int) (low, high int) {
	open := t.levels(Undecided, lo, hi)
	if len(open) > 0 {
		first, last := open[0], open[len(open)-1]
		step := 1 + widenStep*t.resolution*float64((len(open)+1)/2)
		low = min(first-1, int(float64(first)/step))
		high = max(last+1, int(math.Ceil(float64(last)*step)))
		return max(lo, low), min(hi, high)
	}
	step := nearStep * t.resolution
	if float64(hi) > float64(lo)*(1+wide*t.resolution) {
		step = farStep * t.resolution
	}
	turn := t.turn(lo, hi)
	low, high = int(turn*(1-step)), int(math.Ceil(turn*(1+step)))
	return min(max(low, lo+1), hi-1), max(min(high, hi-1), lo+1)
}

// logRatio is log(a/b), with 1/2 for no agent.
func logRatio(a, b int) float64 {
	return math.Log(max(0.5, float64(a)) / max(0.5, float64(b)))
}

// turn is where between lo and hi the tier is thought to turn: where the
// margin, linear in the logarithm of the level between the nearest sightings on
// either side, is 0. When that shrank the interval by less than half the last
// time, it is the middle instead, so that a cliff is found as fast as a slope.
func (t *tier) turn(lo, hi int) float64 {
	if old := t.bracket; old.lo != lo || old.hi != hi {
		t.bracket = bracket{lo, hi, old.hi > 0 && logRatio(hi, lo) > logRatio(old.hi, old.lo)/2}
	}
	a, b, share := t.crossing(lo, hi)
	if t.bracket.slow {
		a, b, share = max(0.5, float64(lo)), float64(hi), 0.5
	}
	return math.Exp(math.Log(a) + share*math.Log(b/a))
}

// crossing is the stretch from a to b in which the margin changes its sign, and
// at which share of it, in [0.1, 0.9].
func (t *tier) crossing(lo, hi int) (a, b, share float64) {
	a, b = max(0.5, float64(lo)), float64(hi)
	up, down := marginCap, -marginCap
	for _, s := range t.sightings {
		if x := float64(s.level); s.margin > 0 && a <= x && x < b {
			a, up = x, s.margin
		}
	}
	for _, s := range t.sightings {
		if x := float64(s.level); s.margin < 0 && a < x && x <= b {
			b, down = x, s.margin
		}
	}
	return a, b, max(0.1, min(up/(up-down), 0.9))
}

// answer is what the tier has come to.
func (t *tier) answer() Answer {
	a := Answer{SLO: t.slo, L: t.pass(), U: t.fail(), Warnings: slices.Clone(t.warnings)}
	a.Lo, a.Hi, a.Point = a.L, max(0, a.U-1), float64(a.L)
	if a.U > 0 {
		from, to, share := t.crossing(a.L, a.U)
		a.Point = max(float64(a.L), math.Exp(math.Log(from)+share*math.Log(to/from)))
	}
	a.Confirms = t.held[a.L]
	a.Confirmed = t.confirmed(a.L)
	switch {
	case a.L == 0 && a.U != 1:
		a.Warnings = append(a.Warnings, "no level was certified to pass")
	case a.L > 0 && !a.Confirmed:
		a.Warnings = append(a.Warnings, fmt.Sprintf("level %d was not confirmed over the horizon", a.L))
	}
	if u, open := t.unrefuted(); open {
		a.Warnings = append(a.Warnings, fmt.Sprintf("level %d failed in one probe only", u))
	}
	if above := t.levels(Pass, max(a.U, a.L), math.MaxInt); a.U > 0 && len(above) > 0 {
		a.Warnings = append(a.Warnings, fmt.Sprintf("level %d passed though level %d failed: capacity counts up to the first failure", above[len(above)-1], a.U))
	}
	return a
}
