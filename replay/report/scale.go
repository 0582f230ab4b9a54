package report

import (
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
)

// scale is the range of one axis and where its ticks stand. It is logarithmic
// where the values span more than a factor, and begins at 0 where they do not.
type scale struct {
	lo, hi float64
	log    bool
}

// newScale fits a scale round values; it is logarithmic when they are all above
// 0 and the largest is more than factor times the smallest.
func newScale(values []float64, factor float64) scale {
	values = slices.DeleteFunc(slices.Clone(values), func(v float64) bool {
		return math.IsNaN(v) || math.IsInf(v, 0) || v < 0
	})
	if len(values) == 0 {
		return scale{lo: 0, hi: 1}
	}
	lo, hi := slices.Min(values), slices.Max(values)
	if hi <= 0 {
		return scale{lo: 0, hi: 1}
	}
	if lo > 0 && hi > factor*lo {
		margin := math.Pow(hi/lo, 0.06)
		return scale{lo: lo / margin, hi: hi * margin, log: true}
	}
	return scale{lo: 0, hi: hi * 1.08}
}

func (s scale) clamp(v float64) float64 { return min(max(v, s.lo), s.hi) }

var _ plot.Ticker = scale{}

// Ticks marks round values: 1, 2 and 5 times powers of ten on a logarithmic
// axis (powers alone over a long one), about five steps on a linear one.
func (s scale) Ticks(lo, hi float64) []plot.Tick {
	var ticks []plot.Tick
	if s.log {
		steps := []float64{1, 2, 5}
		if hi/lo > 1e4 {
			steps = steps[:1]
		}
		for e := math.Floor(math.Log10(lo)); e <= math.Log10(hi); e++ {
			for _, m := range steps {
				if v := m * math.Pow(10, e); v >= lo && v <= hi {
					ticks = append(ticks, plot.Tick{Value: v, Label: tickLabel(v)})
				}
			}
		}
		return ticks
	}
	step := roundStep((hi - lo) / 5)
	for i := math.Ceil(lo / step); i*step <= hi; i++ {
		ticks = append(ticks, plot.Tick{Value: i * step, Label: tickLabel(i * step)})
	}
	return ticks
}

// roundStep is the smallest of 1, 2 and 5 times a power of ten that is at least v.
func roundStep(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if v <= m*power*(1+1e-9) {
			return m * power
		}
	}
	return 10 * power
}

func tickLabel(v float64) string {
	if v >= 1000 {
		return grouped(strconv.FormatFloat(v, 'f', 0, 64))
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
