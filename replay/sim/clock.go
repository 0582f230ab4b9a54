package sim

import (
	"math"
	"time"
)

// femto is femtoseconds per nanosecond.
const femto = 1_000_000

// instant is an exact time from the engine's start: ns + fs·10⁻⁶ nanoseconds,
// with fs in [0, femto). Costs are femtoseconds because sums over thousands of
// tokens of costs well below a nanosecond must not depend on how they are cut.
type instant struct{ ns, fs int64 }

func at(t time.Duration) instant { return instant{ns: int64(t)} }

// add is t plus femtoseconds, which must not be negative.
func (t instant) add(fs int64) instant {
	fs += t.fs
	return instant{t.ns + fs/femto, fs % femto}
}

func (t instant) before(u instant) bool {
	return t.ns < u.ns || t.ns == u.ns && t.fs < u.fs
}

// stamp is the first whole nanosecond at or after t.
func (t instant) stamp() time.Duration {
	if t.fs > 0 {
		return time.Duration(t.ns + 1)
	}
	return time.Duration(t.ns)
}

// until is the femtoseconds from t to u, at most most.
func (t instant) until(u instant, most int64) int64 {
	if u.ns-t.ns > most/femto {
		return most
	}
	return min((u.ns-t.ns)*femto+u.fs-t.fs, most)
}

// longestRun is the femtoseconds at which a run of iterations is cut, so that
// its sum, and one iteration more, fits 64 bits.
const longestRun = 1_000_000_000_000_000_000

// span is the femtoseconds of k iterations of which the first takes a and each
// later one g more than the one before: k·a + g·k·(k−1)/2.
func span(a, g, k int64) int64 { return k*a + g*(k*(k-1)/2) }

// steps is the smallest k in [1, most] whose span is at least least, or most
// where there is none. least is at most longestRun.
func steps(a, g, least, most int64) int64 {
	if float64(most)*float64(a)+float64(g)*float64(most)*float64(most-1)/2 < float64(longestRun)*2 && span(a, g, most) < least {
		return most
	}
	k := max(min(guess(float64(a), float64(g), float64(least)), most), 1)
	for k > 1 && span(a, g, k-1) >= least {
		k--
	}
	for k < most && span(a, g, k) < least {
		k++
	}
	return k
}

// guess solves g/2·k² + (a−g/2)·k = least for k, about, in the form that does not
// cancel.
func guess(a, g, least float64) int64 {
	b := a - g/2
	return int64(2 * least / (math.Sqrt(b*b+2*g*least) + b))
}
