package capacity

import (
	"math"

	"github.com/capstan-bench/capstan/replay/stat"
)

// Measure estimates a statistic of a metric over a window, with the window's
// calls clustered as [Judge] does. Percentiles, the mean and, for the error
// rate, the share of failed calls are estimated; an extreme is as observed. It
// is without a value where no call counts for the metric.
func Measure(w Window, m Metric, s Stat) stat.Estimate {
	v := newView(w)
	c := Cond{Metric: m, Stat: s, Op: AtMost, Limit: math.Inf(1)}
	if m == Speed {
		c.Op, c.Limit = AtLeast, 0
	}
	seen := v.sights(c, true)
	if len(seen.miss) == 0 {
		return stat.None(2*confidence-1, "no call counts for "+string(m))
	}
	d := v.design(seen, confidence)
	if p, ok := s.Percentile(); ok {
		return stat.Quantile(seen.values, p/100, d)
	}
	switch {
	case m == ErrorRate:
		return stat.Share(seen.miss, d)
	case s == Mean:
		return mean(seen.values, d)
	}
	return extreme(s, seen.values)
}
