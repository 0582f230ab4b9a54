package stat

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Share estimates the share of observations that hit. Its ends lie in [0,1].
//
// With the share p of n observations, the standard errors se and se_iid of
// [Design], and df degrees of freedom, the effective sample size is
//
//	n* = n · (se_iid/se)² · (t(n-1)/t(df))²
//
// and the interval is that of Clopper and Pearson for p·n* hits in n*:
//
//	Lo = BetaQuantile(1-c; p·n*, n*-p·n*+1),  Hi = BetaQuantile(c; p·n*+1, n*-p·n*)
//
// (Korn and Graubard, Confidence intervals for proportions with small expected
// number of positive counts, Survey Methodology 24, 1998). It agrees with
// p ± t·se in the middle and still holds near 0 and 1, where the shares that
// SLOs allow lie. With no hit, or nothing but hits, se tells nothing, and se_iid/se
// is taken as 1/Inflate.
func Share(hits []bool, d Design) Estimate {
	n := len(hits)
	e := Estimate{Center: math.NaN(), Lo: 0, Hi: 1, Confidence: d.confidence(), N: n}
	if n == 0 {
		e.Warnings = []string{few(0, 2, "observations")}
		return e
	}
	r := make([]float64, n)
	for i, hit := range hits {
		if hit {
			r[i] = 1
		}
	}
	e.Center = center(r)
	eff, why := d.effective(r)
	if why != "" {
		e.Warnings = []string{why}
		return e
	}
	e.Lo, e.Hi = clopper(e.Center, eff, d.c())
	return e
}

// center turns values into residuals around their mean, which it returns.
func center(r []float64) float64 {
	var sum float64
	for _, x := range r {
		sum += x
	}
	mean := sum / float64(len(r))
	for i := range r {
		r[i] -= mean
	}
	return mean
}

// effective is n* of [Share] for residuals, or why there is none.
func (d Design) effective(r []float64) (eff float64, why string) {
	n := len(r)
	s := d.spread(r)
	switch {
	case n < 2:
		return 0, few(n, 2, "observations")
	case s.df < 1:
		return 0, few(s.df+1, 2, "time blocks with observations")
	}
	ratio := 1 / d.inflate()
	if s.se > 0 {
		ratio = s.iid / s.se
	}
	ratio *= d.t(n-1) / d.t(s.df)
	return float64(n) * ratio * ratio, ""
}

// clopper is the interval of Clopper and Pearson for a share p of n, which need
// not be whole.
func clopper(p, n, c float64) (lo, hi float64) {
	lo, hi = 0, 1
	if k := p * n; k > 0 {
		lo = betaQuantile(1-c, k, n-k+1)
	}
	if k := p * n; p < 1 {
		hi = betaQuantile(c, k+1, n-k)
	}
	return min(lo, p), max(hi, p)
}

func betaQuantile(p, a, b float64) float64 {
	return distuv.Beta{Alpha: a, Beta: b}.Quantile(p)
}

// Needed is how many independent observations without a hit certify, at
// one-sided confidence c (0 means DefaultC), that a share is at most p in (0,1):
// the smallest n with (1-p)^n <= 1-c.
func Needed(p, c float64) int {
	return int(math.Ceil(math.Log(1-Design{C: c}.c())/math.Log1p(-p) - 1e-9))
}
