package capacity

import (
	"fmt"
	"math"
	"slices"

	"github.com/capstan-bench/capstan/replay/stat"
)

// Judge says whether a window meets an SLO: FAIL if any condition fails, PASS
// if all pass, else UNDECIDED.
//
// A condition on a percentile is judged by the share of calls that miss its
// limit: p25(speed)>=X is P(speed < X) <= 0.25, p95(ttft)<=Y is
// P(ttft > Y) <= 0.05. It passes if the share is at most that with confidence
// 0.995, and fails if it is more with confidence 1-0.005/k, k being the number
// of conditions, so that the chance of a wrong FAIL does not grow with k. A mean
// is judged by its own interval with the same confidences. The error rate
// passes as it was observed and fails with confidence: to certify 1% takes 528
// calls without an error. Minimum and maximum are judged as observed.
//
// Whatever the conditions say, a window that is invalid or empty is UNDECIDED,
// one that did not settle is a FAIL, and one with an HTTP 429 is no PASS. The
// warnings give the reason.
func Judge(slo SLO, w Window) Judgement {
	return newView(w).judge(slo)
}

func (v *view) judge(slo SLO) Judgement {
	conds := slo.All()
	j := Judgement{SLO: slo, Level: v.Ask.Level, Probe: v.Ask.Index, N: len(v.Samples)}
	for _, c := range conds {
		j.Conds = append(j.Conds, v.condition(c, len(conds)))
	}
	j.Verdict = together(j.Conds)
	switch {
	case len(v.Invalid) > 0:
		j.Verdict = Undecided
	case v.To <= v.From:
		j.Verdict = Undecided
		j.Warnings = append(j.Warnings, "nothing was measured")
	case !v.Settled:
		j.Verdict = Fail
		j.Warnings = append(j.Warnings, "did not settle: an agent completed no call before the window opened")
	case j.Verdict == Pass && v.rateLimited():
		j.Verdict = Undecided
	}
	j.Warnings = append(j.Warnings, v.remarks()...)
	return j
}

func together(conds []CondResult) Verdict {
	if slices.ContainsFunc(conds, func(c CondResult) bool { return c.Verdict == Fail }) {
		return Fail
	}
	if slices.ContainsFunc(conds, func(c CondResult) bool { return c.Verdict != Pass }) {
		return Undecided
	}
	return Pass
}

// condition judges one of k conditions, with and without buffered calls, and with
// and without those whose length the system did not say, which may be any.
func (v *view) condition(c Cond, k int) CondResult {
	s := v.sights(c, true)
	r := v.rule(c, s, k)
	if s.nBuffered > 0 {
		without := v.rule(c, v.sights(c, false), k).Verdict
		if without != r.Verdict {
			r.Warnings = append(r.Warnings, fmt.Sprintf("buffering: %d answers of %d tokens or more came in fewer than %d chunks (does the server's tool parser hold them back?): with their lower bounds %s, without them %s",
				s.nBuffered, ShortAnswer, FewChunks, r.Verdict, without))
			r.Verdict = Undecided
		}
	}
	if s.nUnknown > 0 && len(s.miss) > 0 {
		all := v.rule(c, v.collect(c, func(sight) bool { return true }), k).Verdict
		if all != r.Verdict {
			r.Warnings = append(r.Warnings, fmt.Sprintf("unknown length: %d of %d answers came without a number of tokens: without them %s, taken for misses %s",
				s.nUnknown, s.nUnknown+len(s.miss), r.Verdict, all))
			r.Verdict = Undecided
		}
	}
	v.describe(&r, s)
	return r
}

// rule is the verdict on a condition, and the figures that it rests on.
func (v *view) rule(c Cond, s *sights, k int) CondResult {
	r := CondResult{Cond: c, Allowed: 1, Share: stat.Share(s.miss, v.design(s, confidence))}
	failing := v.design(s, 1-(1-confidence)/float64(k))
	p, percentile := c.Stat.Percentile()
	switch {
	case len(s.miss) == 0:
		r.Verdict, r.Estimate = Undecided, stat.None(2*confidence-1)
		r.Warnings = append(r.Warnings, "no call counts for "+string(c.Metric))
	case c.Metric == ErrorRate:
		r.Allowed = c.Limit
		r.Verdict = verdict(c.Op.holds(r.Share.Center, c.Limit), stat.Share(s.miss, failing).Lo > c.Limit)
	case percentile:
		r.Allowed = allowed(c, p)
		r.Verdict = verdict(r.Share.Hi <= r.Allowed, stat.Share(s.miss, failing).Lo > r.Allowed)
		if n := stat.Needed(r.Allowed, confidence); r.Verdict == Undecided && len(s.miss) < n {
			r.Warnings = append(r.Warnings, fmt.Sprintf("%d calls: even without a miss it takes %d to pass", len(s.miss), n))
		}
	case c.Stat == Mean:
		r.Estimate = mean(s.values, v.design(s, confidence))
		r.Verdict = verdict(c.passes(r.Estimate), c.fails(mean(s.values, failing)))
	default:
		r.Estimate = extreme(c.Stat, s.values)
		met := c.Op.holds(r.Estimate.Center, c.Limit)
		r.Verdict = verdict(met, !met)
		if c.universal() {
			r.Allowed = 0
		}
	}
	return r
}

func verdict(pass, fail bool) Verdict {
	switch {
	case fail:
		return Fail
	case pass:
		return Pass
	}
	return Undecided
}

// allowed is the share of misses with which a percentile condition still holds.
func allowed(c Cond, p float64) float64 {
	if !c.Op.up() {
		p = 100 - p
	}
	return p / 100
}

// universal tells whether a condition on an extreme speaks about every call.
func (c Cond) universal() bool { return c.Op.up() == (c.Stat == Min) }

func (c Cond) passes(e stat.Estimate) bool {
	if c.Op.up() {
		return c.Op.holds(e.Lo, c.Limit)
	}
	return c.Op.holds(e.Hi, c.Limit)
}

func (c Cond) fails(e stat.Estimate) bool {
	if c.Op.up() {
		return !c.Op.holds(e.Hi, c.Limit)
	}
	return !c.Op.holds(e.Lo, c.Limit)
}

// mean is stat.Mean, or infinite for sure when a failed call made it so.
func mean(values []float64, d stat.Design) stat.Estimate {
	if slices.ContainsFunc(values, func(x float64) bool { return math.IsInf(x, 1) }) {
		inf := math.Inf(1)
		return stat.Estimate{Center: inf, Lo: inf, Hi: inf, Confidence: 1, N: len(values),
			Warnings: []string{"a call failed, so the mean is infinite"}}
	}
	return stat.Mean(values, d)
}

func extreme(s Stat, values []float64) stat.Estimate {
	x := slices.Max(values)
	if s == Min {
		x = slices.Min(values)
	}
	return stat.Estimate{Center: x, Lo: x, Hi: x, Confidence: 1, N: len(values),
		Warnings: []string{"as observed: it says nothing about other calls"}}
}

// describe adds what a reader wants besides the verdict.
func (v *view) describe(r *CondResult, s *sights) {
	d := v.design(s, confidence)
	if p, ok := r.Cond.Stat.Percentile(); ok {
		r.Estimate = stat.Quantile(s.values, p/100, d)
	} else if r.Cond.Metric == ErrorRate {
		r.Estimate = r.Share
	}
	d.Clusters = s.sessions
	r.BySession = stat.Share(s.miss, d)
}
