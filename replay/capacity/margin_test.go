package capacity

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/capstan-bench/capstan/replay/stat"
	"github.com/capstan-bench/capstan/schema"
)

func TestMargin(t *testing.T) {
	f := func(text string, center, want float64) {
		t.Helper()
		s, err := ParseSLO(text)
		if err != nil {
			t.Fatal(err)
		}
		r := CondResult{Cond: s.Conds[0], Estimate: stat.Estimate{Center: center}}
		if got := r.margin(); math.Abs(got-want) > 1e-9 {
			t.Errorf("margin of %s at %v = %v, want %v", text, center, got, want)
		}
	}
	f("p25(speed)>=20", 20, 0)
	f("p25(speed)>=20", 25, math.Log(1.25))
	f("p25(speed)>=20", 16, -math.Log(1.25))
	f("p25(speed)>=20", 1000, marginCap)
	f("p25(speed)>=20", 0, -marginCap)
	f("p25(speed)>=20", math.NaN(), marginCap)
	f("p95(ttft)<=10s", 8, math.Log(1.25))
	f("p95(ttft)<=10s", 12.5, -math.Log(1.25))
	f("p95(ttft)<=10s", math.Inf(1), -marginCap)
	f("p95(ttft)<=10s", 0, marginCap)
	f("error_rate<=1%", 0.009, marginCap)
	f("error_rate<=1%", 0.012, -math.Log(1.2))
	f("error_rate<=0%", 0.001, -marginCap)
	f("error_rate<=0%", 0, marginCap)

	j := Judgement{Conds: []CondResult{
		{Cond: Cond{"p25", Speed, AtLeast, 20}, Estimate: stat.Estimate{Center: 25}},
		{Cond: Cond{"p95", TTFT, AtMost, 10}, Estimate: stat.Estimate{Center: 11}},
	}}
	if got, want := j.margin(), -math.Log(1.1); math.Abs(got-want) > 1e-9 {
		t.Errorf("margin of two conditions = %v, want that of the worse, %v", got, want)
	}
}

func TestTierTurn(t *testing.T) {
	f := func(name string, lo, hi int, want float64, sightings ...sighting) {
		t.Helper()
		tier := newTier(SLO{}, 0.05)
		tier.sightings = sightings
		if got := tier.turn(lo, hi); math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: turn(%d, %d) = %v, want %v", name, lo, hi, got, want)
		}
	}
	f("nothing known: the middle of the logarithms", 16, 64, 32)
	f("alike on both sides", 16, 64, 32, sighting{16, 0.2}, sighting{64, -0.2})
	f("nearer to what failed", 16, 64, 16*math.Pow(4, 0.75), sighting{16, 0.3}, sighting{64, -0.1})
	f("between the nearest sightings", 16, 64, 32*math.Pow(48.0/32, 0.5), sighting{16, 0.3}, sighting{32, 0.1}, sighting{48, -0.1}, sighting{64, -0.4})
	f("never at an end", 16, 64, 16*math.Pow(4, 0.9), sighting{16, 0.7}, sighting{64, -0.001})
	f("no agent counts as half of one", 0, 8, 2)
}

// An interval that shrinks slowly is halved instead.
func TestTierTurnHalves(t *testing.T) {
	tier := newTier(SLO{}, 0.05)
	tier.sightings = []sighting{{16, 0.7}, {24, -0.01}, {64, -0.01}}
	first := tier.turn(16, 64)
	if again := tier.turn(16, 64); again != first {
		t.Errorf("asked twice: %v, then %v", first, again)
	}
	if got, want := tier.turn(16, 60), math.Sqrt(16*60); math.Abs(got-want) > 1e-9 {
		t.Errorf("after [16, 64], turn(16, 60) = %v, want the middle, %v", got, want)
	}
	if got, middle := tier.turn(16, 24), math.Sqrt(16*24); math.Abs(got-middle) < 1 {
		t.Errorf("after [16, 60], turn(16, 24) = %v, which is the middle", got)
	}
}

// Past levels that stayed undecided, the interval widens: further with every
// one, and not past what is known.
func TestTierSides(t *testing.T) {
	f := func(name string, lo, hi, low, high int, undecided ...int) {
		t.Helper()
		tier := newTier(SLO{}, 0.05)
		for _, level := range undecided {
			tier.states[level] = Undecided
		}
		if gotLow, gotHigh := tier.sides(lo, hi); gotLow != low || gotHigh != high {
			t.Errorf("%s: sides(%d, %d) = %d, %d, want %d, %d", name, lo, hi, gotLow, gotHigh, low, high)
		}
	}
	f("wide: 5% from the middle, 204.9", 100, 420, 194, 216)
	f("narrow: 2.2% from the middle, 212.1", 200, 225, 207, 217)
	f("two apart: the one between", 7, 9, 8, 8)
	f("no agent or two: one", 0, 2, 1, 1)
	f("one undecided: 3% beside it", 100, 400, 194, 206, 200)
	f("three undecided: 6% beside them", 100, 400, 179, 223, 190, 200, 210)
	f("at the ends: nothing left", 199, 201, 199, 201, 200)
	f("one undecided among few", 0, 4, 1, 3, 2)
}

// Nothing is known of a capacity of 0 unless one agent was certified to fail.
func TestKnown(t *testing.T) {
	f := func(l, u int, want bool) {
		t.Helper()
		if got := (Answer{L: l, U: u}).Known(); got != want {
			t.Errorf("Known with L %d and U %d = %v, want %v", l, u, got, want)
		}
	}
	f(0, 0, false)
	f(0, 1, true)
	f(0, 23, false)
	f(3, 5, true)
	f(3, 0, true)
}

// An endpoint that counts far other prompts than the plan's is pointed out.
func TestInputsOffPlan(t *testing.T) {
	f := func(counted *int64, want bool) {
		t.Helper()
		w := Window{To: 1e9, Settled: true}
		for range 100 {
			w.Samples = append(w.Samples, schema.Sample{PlannedInput: 1000, InputTokens: counted})
		}
		got := slices.ContainsFunc(newView(w).remarks(), func(r string) bool { return strings.Contains(r, "input tokens a call, the plan 1000") })
		if got != want {
			t.Errorf("warned %v, want %v", got, want)
		}
	}
	n := func(v int64) *int64 { return &v }
	f(nil, false)
	f(n(800), false)
	f(n(700), true)
	f(n(1200), false)
	f(n(1300), true)
}
