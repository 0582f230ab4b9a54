package report

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNumber(t *testing.T) {
	f := func(v float64, want string) {
		t.Helper()
		if got := number(v); got != want {
			t.Errorf("number(%v) = %q, want %q", v, got, want)
		}
	}
	f(0, "0")
	f(57.5, "57.5")
	f(61354.4, "61,354")
	f(1234567, "1,234,567")
	f(999.6, "1,000")
	f(100, "100")
	f(99.96, "100.0")
	f(1, "1.00")
	f(0.0673684, "0.0674")
	f(1e-9, "0.00000000100")
	f(-1840, "-1,840")
	f(math.Inf(1), "∞")
	f(math.Inf(-1), "-∞")
	f(math.NaN(), "–")
}

func TestScale(t *testing.T) {
	f := func(values []float64, want scale, labels ...string) {
		t.Helper()
		got := newScale(values, 6)
		if got.log != want.log || math.Abs(got.lo-want.lo) > 1e-6 || math.Abs(got.hi-want.hi) > 1e-6 {
			t.Errorf("newScale(%v) = %+v, want %+v", values, got, want)
		}
		var at []string
		for _, tick := range got.Ticks(got.lo, got.hi) {
			at = append(at, tick.Label)
		}
		if d := cmp.Diff(labels, at); d != "" {
			t.Errorf("ticks of %v: -want +got\n%s", values, d)
		}
	}
	f(nil, scale{lo: 0, hi: 1}, "0", "0.2", "0.4", "0.6", "0.8", "1")
	f([]float64{0, 0}, scale{lo: 0, hi: 1}, "0", "0.2", "0.4", "0.6", "0.8", "1")
	f([]float64{10, 25, math.Inf(1), math.NaN(), -3}, scale{lo: 0, hi: 27}, "0", "10", "20")
	f([]float64{0, 1000}, scale{lo: 0, hi: 1080}, "0", "500", "1,000")
	f([]float64{1, 10000}, scale{lo: math.Pow(10, -0.24), hi: math.Pow(10, 4.24), log: true}, "1", "10", "100", "1,000", "10,000")
	f([]float64{10, 100}, scale{lo: math.Pow(10, 0.94), hi: math.Pow(10, 2.06), log: true}, "10", "20", "50", "100")
}
