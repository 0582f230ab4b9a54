package stat

import "math"

// Mean estimates the mean of values, all finite: mean ± t(df)·se/n, with se of
// [Design].
func Mean(values []float64, d Design) Estimate {
	r := append([]float64(nil), values...)
	if len(r) == 0 {
		return None(d.confidence(), few(0, 2, "observations"))
	}
	return d.around(center(r), r, float64(len(r)))
}

// Ratio estimates Σ num ÷ Σ den of pairs, den being at least 0 and not all 0,
// as the mean of one thing for each of another: R ± t(df)·se/Σden with the
// residuals num_i - R·den_i (Cochran, Sampling Techniques, 3rd ed., 6.4).
func Ratio(num, den []float64, d Design) Estimate {
	var a, b float64
	for i := range num {
		a += num[i]
		b += den[i]
	}
	if len(num) == 0 || b <= 0 {
		return None(d.confidence(), few(0, 2, "observations"))
	}
	r := make([]float64, len(num))
	for i := range num {
		r[i] = num[i] - a/b*den[i]
	}
	return d.around(a/b, r, b)
}

// around is an estimate with a symmetrical interval, from the residuals of a
// total that is divided by by.
func (d Design) around(center float64, r []float64, by float64) Estimate {
	e := Estimate{center, math.Inf(-1), math.Inf(1), d.confidence(), len(r), nil}
	s := d.spread(r)
	switch {
	case len(r) < 2:
		e.Warnings = []string{few(len(r), 2, "observations")}
	case s.df < 1:
		e.Warnings = []string{few(s.df+1, 2, "time blocks with observations")}
	default:
		half := d.t(s.df) * s.se / by
		e.Lo, e.Hi = center-half, center+half
	}
	return e
}
