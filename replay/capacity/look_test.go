package capacity

import (
	"testing"
	"time"

	"github.com/capstan-bench/capstan/schema"
)

// lookWindow is a window of so many minutes in which a share of 200 calls, 0 to
// 1, waits 20 s for its first token and the others 1 s.
func lookWindow(minutes, late float64) Window {
	w := Window{To: time.Duration(minutes * float64(time.Minute)), Settled: true, Expect: Means{Input: 100}}
	for i := range 200 {
		due := w.To.Microseconds() * int64(i) / 200
		first := due + 1e6
		if int(float64(i+1)*late) > int(float64(i)*late) {
			first = due + 20e6
		}
		w.Samples = append(w.Samples, schema.Sample{Agent: int32(i), DueUS: due, FirstTokenUS: &first, DoneUS: &first, PlannedInput: 100})
	}
	return w
}

// drifted is a window whose calls are not the plan's mix.
func drifted(w Window) Window {
	w.Expect.Input = 200
	return w
}

func lookSearch(t *testing.T) *search {
	slo, err := ParseSLO("p75(ttft)<=10s")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := SearchConfig{SLOs: []SLO{slo}}.resolve()
	if err != nil {
		t.Fatal(err)
	}
	return &search{cfg: cfg, tiers: []*tier{newTier(slo, cfg.Resolution)}}
}

// What is enough depends on what a probe is for. Of 200 calls, no late one
// passes, half of them fails, and 0.2 and 0.3 are either side of what cannot be
// told from a quarter.
func TestEnough(t *testing.T) {
	const pass, fail, good, bad = 0, 0.5, 0.2, 0.3
	s := lookSearch(t)
	f := func(phase Phase, name string, w Window, want bool) {
		t.Helper()
		if got := s.enough(goal{phase: phase, tiers: []int{0}}, newView(w)); got != want {
			t.Errorf("%s, %s after %v: enough is %v, want %v", phase, name, w.To, got, want)
		}
	}
	f(Ramp, "passed", lookWindow(3, pass), true)
	f(Ramp, "passed on another mix", drifted(lookWindow(3, pass)), true)
	f(Ramp, "failed", lookWindow(3, fail), true)
	f(Ramp, "failed on another mix", drifted(lookWindow(3, fail)), false)
	f(Ramp, "undecided, better than the limit", lookWindow(3, good), true)
	f(Ramp, "undecided, worse than the limit", lookWindow(3, bad), false)

	f(Narrow, "passed", lookWindow(3, pass), true)
	f(Narrow, "passed on another mix", drifted(lookWindow(3, pass)), false)
	f(Narrow, "failed", lookWindow(3, fail), true)
	f(Narrow, "failed on another mix", drifted(lookWindow(3, fail)), false)
	f(Narrow, "undecided", lookWindow(3, good), false)

	f(Confirm, "passed", lookWindow(59, pass), false)
	f(Confirm, "passed", lookWindow(60, pass), true)
	f(Confirm, "passed on another mix", drifted(lookWindow(60, pass)), true)
	f(Confirm, "failed", lookWindow(3, fail), true)
	f(Confirm, "failed on another mix", drifted(lookWindow(3, fail)), false)
	f(Confirm, "failed on another mix", drifted(lookWindow(60, fail)), true)
	f(Confirm, "undecided", lookWindow(60, good), false)

	unsettled := drifted(lookWindow(3, good))
	unsettled.Settled = false
	f(Narrow, "not settled", unsettled, true)
}

// A window is judged when it has grown by half since it was judged last, and at
// the horizon of a confirming probe.
func TestLook(t *testing.T) {
	s := lookSearch(t)
	f := func(phase Phase, first, at float64, want bool) {
		t.Helper()
		look := s.look(goal{phase: phase, tiers: []int{0}}, Ask{})
		if look(lookWindow(first, 0.2)) {
			t.Fatalf("%s: an undecided window of %v min is enough", phase, first)
		}
		if got := look(lookWindow(at, 0)); got != want {
			t.Errorf("%s: judged at %v min and passed at %v: enough is %v, want %v", phase, first, at, got, want)
		}
	}
	f(Narrow, 4, 5.9, false)
	f(Narrow, 4, 6, true)
	f(Confirm, 50, 59.9, false)
	f(Confirm, 50, 60, true)
	f(Confirm, 60, 89, false)
	f(Confirm, 60, 90, true)
	invalid := lookWindow(3, 0)
	if invalid.Invalid = []string{"late"}; s.look(goal{phase: Narrow, tiers: []int{0}}, Ask{})(invalid) {
		t.Error("an invalid window is enough")
	}
}

// A FAIL stands until a probe that was run to try it again overrules it.
func TestTierNote(t *testing.T) {
	type news struct {
		verdict Verdict
		phase   Phase
		meant   bool
	}
	f := func(name string, want Verdict, all ...news) {
		t.Helper()
		tier := newTier(SLO{}, 0.05)
		for i, n := range all {
			tier.note(Judgement{Level: 8, Probe: i, Verdict: n.verdict}, n.phase, n.meant)
		}
		if got := tier.states[8]; got != want {
			t.Errorf("%s: level is %q, want %q", name, got, want)
		}
	}
	f("undecided in the ramp says nothing", "", news{Undecided, Ramp, true})
	f("undecided in another tier's probe says nothing", "", news{Undecided, Narrow, false})
	f("undecided in its own", Undecided, news{Undecided, Narrow, true})
	f("a PASS after a FAIL", Fail, news{Fail, Ramp, true}, news{Pass, Narrow, true})
	f("a PASS in another tier's confirmation", Fail, news{Fail, Ramp, true}, news{Pass, Confirm, false})
	f("a PASS in its own", Pass, news{Fail, Ramp, true}, news{Pass, Confirm, true})
	f("undecided in its own", Undecided, news{Fail, Ramp, true}, news{Undecided, Confirm, true})
	f("a FAIL after a PASS", Fail, news{Pass, Narrow, true}, news{Fail, Narrow, false})
	f("undecided in another tier's confirmation", Pass, news{Pass, Ramp, true}, news{Undecided, Confirm, false})
	f("undecided in its own", Undecided, news{Pass, Ramp, true}, news{Undecided, Confirm, true})
}
