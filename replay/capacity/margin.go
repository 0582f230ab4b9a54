package capacity

import "math"

// marginCap bounds a margin, so that a cliff, where a percentile changes a
// hundredfold, does not outweigh the other side of an interpolation.
const marginCap = 0.7

// margin says how far a judged level is from its limits: the smallest, over the
// conditions, of the logarithm of figure ÷ limit, or of limit ÷ figure where
// less is better, in [-marginCap, marginCap]. It is above 0 where the figures
// as observed meet the SLO, which is no verdict. It steers the search.
func (j Judgement) margin() float64 {
	m := marginCap
	for _, r := range j.Conds {
		m = min(m, r.margin())
	}
	return m
}

func (r CondResult) margin() float64 {
	x := r.Estimate.Center
	met := r.Cond.Op.holds(x, r.Cond.Limit)
	switch {
	case math.IsNaN(x) || r.Cond.Metric == ErrorRate && met:
		return marginCap
	case r.Cond.Limit == 0:
		return -marginCap
	}
	m := math.Log(x / r.Cond.Limit)
	if !r.Cond.Op.up() {
		m = -m
	}
	return max(-marginCap, min(m, marginCap))
}
