package stat

import (
	"fmt"
	"math"
	"slices"
)

// Quantile estimates the p quantile of values, p in (0,1): the smallest value
// that at least the share p of them does not exceed (definition 1 of Hyndman
// and Fan, Sample quantiles in statistical packages, American Statistician 50,
// 1996). Values may be infinite.
//
// The interval turns that of a share around (Woodruff, Confidence intervals for
// medians and other position measures, JASA 47, 1952): with n* of [Share] for
// the hits "value <= quantile", and [pl, ph] the interval of Clopper and Pearson
// for a share p of n*,
//
//	Lo = value number floor(n·pl),  Hi = value number floor(n·(1-ph)) from the top
//
// An end for which there is no such value is infinite, and a warning says how
// many independent observations would give one.
func Quantile(values []float64, p float64, d Design) Estimate {
	n := len(values)
	if n == 0 {
		return None(d.confidence(), few(0, d.needed(p), "observations"))
	}
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	q := sorted[max(0, int(math.Ceil(float64(n)*p-1e-9))-1)]
	e := Estimate{q, math.Inf(-1), math.Inf(1), d.confidence(), n, nil}
	r := make([]float64, n)
	for i, v := range values {
		if v <= q {
			r[i] = 1
		}
	}
	center(r)
	eff, why := d.effective(r)
	if why != "" {
		e.Warnings = []string{why}
		return e
	}
	pl, ph := clopper(p, eff, d.c())
	if k := int(float64(n) * pl); k >= 1 && eff >= float64(Needed(p, d.c())) {
		e.Lo = min(q, sorted[k-1])
	}
	if k := int(float64(n) * (1 - ph)); k >= 1 && eff >= float64(Needed(1-p, d.c())) {
		e.Hi = max(q, sorted[n-k])
	}
	if math.IsInf(e.Lo, -1) || math.IsInf(e.Hi, 1) && !math.IsInf(q, 1) {
		e.Warnings = []string{fmt.Sprintf("%d observations, worth %.0f independent ones: need at least %d", n, eff, d.needed(p))}
	}
	return e
}

// needed is how many independent observations bound the p quantile on both
// sides.
func (d Design) needed(p float64) int { return Needed(min(p, 1-p), d.c()) }
