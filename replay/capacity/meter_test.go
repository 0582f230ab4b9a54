package capacity_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/schema"
)

// meter drives a Meter of two agents in seconds.
type meter struct {
	*capacity.Meter
	t    *testing.T
	keys map[int64]schema.Sample
}

func sec(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func newMeter(t *testing.T, a capacity.Ask, enough func(capacity.Window) bool) *meter {
	return &meter{capacity.NewMeter(a, capacity.Means{Input: 1}, time.Hour, 2, enough), t, map[int64]schema.Sample{}}
}

// begin has a call become due.
func (m *meter) begin(key int64, agent int32, due float64) {
	s := schema.Sample{Agent: agent, Role: schema.RoleMeasured, DueUS: sec(due).Microseconds()}
	m.keys[key] = s
	m.Begin(key, s)
}

// end has it end, with a first token unless first is 0.
func (m *meter) end(key int64, first, done float64) { m.endAs(key, first, done, "") }

func (m *meter) endAs(key int64, first, done float64, class string) {
	s := m.keys[key]
	if class != "" {
		s.Error = &class
	}
	us := sec(done).Microseconds()
	if s.DoneUS = &us; first > 0 {
		f := sec(first).Microseconds()
		s.FirstTokenUS = &f
	}
	m.End(key, s)
}

func (m *meter) wantNext(want float64) {
	m.t.Helper()
	if got := m.Next(); got != sec(want) {
		m.t.Errorf("Next = %v, want %vs", got, want)
	}
}

func (m *meter) wantTick(at float64, want bool) {
	m.t.Helper()
	if got := m.Tick(sec(at)); got != want {
		m.t.Errorf("Tick(%vs) = %v, want %v", at, got, want)
	}
}

// describe lists the samples of a window: due, first token, end.
func describe(w capacity.Window) string {
	var all []string
	for _, s := range w.Samples {
		text := fmt.Sprintf("%g", float64(s.DueUS)/1e6)
		if s.FirstTokenUS != nil {
			text += fmt.Sprintf(" first %g", float64(*s.FirstTokenUS)/1e6)
		}
		if s.DoneUS != nil {
			text += fmt.Sprintf(" done %g", float64(*s.DoneUS)/1e6)
		}
		if s.Error != nil {
			text += " " + *s.Error
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

func (m *meter) wantWindow(at, from, to float64, duty float64, want string) {
	m.t.Helper()
	w := m.Window(sec(at))
	if w.From != sec(from) || w.To != sec(to) || math.Abs(w.Duty-duty) > 1e-9 || describe(w) != want {
		m.t.Errorf("Window(%vs) = [%v, %v) duty %v: %s\nwant [%vs, %vs) duty %v: %s", at, w.From, w.To, w.Duty, describe(w), from, to, duty, want)
	}
}

var meterAsk = capacity.Ask{Level: 2, Warm: 10 * time.Second, Min: 20 * time.Second, Max: 60 * time.Second, Look: 15 * time.Second}

// The window opens Warm after every agent has completed a call, holds the calls
// that were due in it, and closes when enough says so.
func TestMeter(t *testing.T) {
	var looks []float64
	m := newMeter(t, meterAsk, func(w capacity.Window) bool {
		looks = append(looks, (w.To - w.From).Seconds())
		return w.To-w.From >= sec(35)
	})
	m.wantNext(240) // 4×Max
	m.begin(1, 0, 0)
	m.begin(2, 1, 0)
	m.end(1, 1, 2)
	m.begin(3, 0, 3)
	m.end(3, 4, 5) // agent 0 again: agent 1 is still out
	m.wantNext(240)
	m.begin(4, 0, 6)
	m.wantWindow(7, 7, 7, 0, "")
	m.end(2, 4, 8) // opens at 18
	m.wantNext(38)
	m.begin(5, 1, 12)
	m.end(5, 13, 14) // all of it in the warm-up
	m.wantTick(17, false)
	m.wantWindow(17, 17, 17, 0, "")
	m.begin(6, 1, 17)
	m.end(4, 7, 22) // due before the window: 4 s of it count as busy only
	m.begin(7, 0, 18)
	m.end(6, 20, 24) // 6 s likewise
	m.end(7, 19, 28)
	m.wantWindow(28, 18, 28, (4+6+10)/10.0/2, "18 first 19 done 28")
	m.begin(8, 0, 30)
	m.begin(9, 1, 30)
	m.First(8, sec(31))
	m.wantTick(37.9, false)
	m.wantTick(38, false) // 20 s: not enough; next at 53
	m.wantNext(53)
	m.wantWindow(38, 18, 38, (4+6+10+8+8)/20.0/2, "18 first 19 done 28; 30 first 31 unended; 30 unended")
	m.end(8, 31, 48)
	m.begin(10, 0, 50)
	m.wantTick(53, true)
	if !slices.Equal(looks, []float64{20, 35}) {
		t.Errorf("looked at windows of %v s, want 20 and 35", looks)
	}
	const open = "18 first 19 done 28; 30 first 31 done 48; 30 unended; 50 unended"
	m.wantWindow(53, 18, 53, (4+6+10+18+23+3)/35.0/2, open)
	if w := m.Window(0); !w.Settled || w.Ask != meterAsk || w.Expect.Input != 1 || w.Sweep != time.Hour {
		t.Errorf("window %+v lost what it was told", w)
	}

	// Afterwards nothing changes but what is known of open calls.
	m.begin(11, 0, 54)
	m.end(11, 55, 56)
	m.First(10, sec(54)) // too late
	m.wantTick(99, true)
	m.wantWindow(99, 18, 53, (4+6+10+18+23+3)/35.0/2, open)
	m.end(9, 40, 60) // its first token came within
	m.end(10, 54, 55)
	m.wantWindow(99, 18, 53, (4+6+10+18+23+3)/35.0/2, "18 first 19 done 28; 30 first 31 done 48; 30 first 40 unended; 50 unended")
}

// What was done before the window closed counts, though it is told afterwards.
func TestMeterLateNews(t *testing.T) {
	m := newMeter(t, meterAsk, func(capacity.Window) bool { return true })
	m.begin(1, 0, 0)
	m.begin(2, 1, 0)
	m.end(1, 1, 1)
	m.end(2, 1, 1)
	m.begin(3, 0, 20)
	m.begin(4, 1, 30)
	m.begin(5, 0, 32) // due after the window
	m.wantTick(31, true)
	m.endAs(3, 21, 25, "")
	m.endAs(4, 0, 30.5, schema.ErrStatus)
	m.endAs(5, 0, 30.9, schema.ErrStatus)
	m.wantWindow(40, 11, 31, (5+0.5)/20/2, "20 first 21 done 25; 30 done 30.5 status")
}

// Primes are load, and nothing else: they settle nobody and are no samples.
func TestMeterPrimes(t *testing.T) {
	m := newMeter(t, meterAsk, nil)
	prime := func(key int64, agent int32, due, done float64) {
		s := schema.Sample{Agent: agent, Role: schema.RolePrime, DueUS: sec(due).Microseconds()}
		m.keys[key] = s
		if m.Begin(key, s); done > 0 {
			m.end(key, due+1, done)
		}
	}
	prime(1, 0, 0, 2)
	prime(2, 1, 0, 2)
	m.wantNext(240)
	m.begin(3, 0, 3)
	m.end(3, 4, 5)
	m.begin(4, 1, 3)
	m.endAs(4, 0, 5, schema.ErrTimeout) // a failed call is a completed one
	m.wantNext(35)
	prime(5, 0, 16, 20)
	prime(6, 1, 20, 0)
	m.wantWindow(25, 15, 25, (4+5)/10.0/2, "")
}

// A level where an agent completes nothing is measured all the same after 4×Max,
// and is not settled.
func TestMeterUnsettled(t *testing.T) {
	m := newMeter(t, meterAsk, nil)
	m.begin(1, 0, 0)
	m.end(1, 1, 2)
	m.begin(2, 1, 0)
	m.wantTick(239, false)
	m.wantTick(240, false)
	m.wantNext(260)
	m.begin(3, 0, 250)
	m.end(2, 1, 255) // too late to settle
	m.wantTick(260, false)
	m.wantNext(275)
	m.wantTick(300, true)
	m.wantWindow(300, 240, 300, (15+50)/60.0/2, "250 unended")
	if m.Window(0).Settled {
		t.Error("the window counts as settled")
	}
}

// Without an answer, the window ends at Max, to the microsecond; a late tick
// does not stretch it, and looks that were missed are not made up for.
func TestMeterMax(t *testing.T) {
	looks := 0
	m := newMeter(t, meterAsk, func(capacity.Window) bool { looks++; return false })
	for i := range int32(2) {
		m.begin(int64(i), i, 0)
		m.end(int64(i), 1, 1)
	}
	m.wantTick(50, false) // looks at 31 and 46 in one
	m.wantNext(61)
	m.begin(7, 0, 70.999999)
	m.begin(8, 0, 71)
	m.wantTick(61, false)
	m.wantNext(71) // not 76
	m.wantTick(80, true)
	m.wantWindow(80, 11, 71, 1e-6/60/2, "70.999999 unended")
	if looks != 2 {
		t.Errorf("%d looks, want 2", looks)
	}
}

func TestMeterNoWarmNoLook(t *testing.T) {
	m := newMeter(t, capacity.Ask{Level: 2, Min: sec(5), Max: sec(20)}, nil)
	m.begin(1, 0, 0)
	m.begin(2, 1, 0)
	m.end(1, 1, 1)
	m.begin(3, 0, 2)
	m.end(2, 1, 2) // opens at 2, with the call that is due then
	m.wantNext(7)
	m.begin(4, 1, 7)
	m.wantWindow(7, 2, 7, 5/5.0/2, "2 unended") // without the call that is due right then
	m.end(4, 0, 7)
	m.wantTick(7, false)
	m.wantNext(12) // every Min
	m.wantTick(22, true)
	const all = "7 done 7; 2 unended"
	m.wantWindow(22, 2, 22, 20/20.0/2, all)
	m.End(99, schema.Sample{}) // never begun
	m.wantWindow(22, 2, 22, 20/20.0/2, all)
}

// The window's samples are borrowed: open calls of one look are not left among
// those of the next.
func TestMeterBorrowed(t *testing.T) {
	m := newMeter(t, capacity.Ask{Level: 2, Min: sec(5), Max: sec(50)}, nil)
	for i := range int32(2) {
		m.begin(int64(i), i, 0)
		m.end(int64(i), 1, 1)
	}
	for i := range int64(5) {
		m.begin(10+i, 0, 2)
	}
	m.wantWindow(3, 1, 3, 5*1/2.0/2, "2 unended; 2 unended; 2 unended; 2 unended; 2 unended")
	m.end(12, 2.5, 4)
	m.end(10, 2.5, 5)
	m.wantWindow(6, 1, 6, (2+3+3*4)/5.0/2, "2 first 2.5 done 4; 2 first 2.5 done 5; 2 unended; 2 unended; 2 unended")
}
