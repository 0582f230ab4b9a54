package stats

import "slices"

// Quantiles describe the values that were found. All are 0 where N is 0.
type Quantiles struct {
	N   int     `json:"n"`
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// quantiles takes the smallest value at or below which at least the share p of
// the values lies. It sorts values.
func quantiles(values []float64) Quantiles {
	n := len(values)
	if n == 0 {
		return Quantiles{}
	}
	slices.Sort(values)
	at := func(percent int) float64 { return values[(n*percent+99)/100-1] }
	return Quantiles{N: n, P50: at(50), P90: at(90), P99: at(99), Max: values[n-1]}
}
