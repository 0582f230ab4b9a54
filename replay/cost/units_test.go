package cost_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/replay/cost"
	"github.com/capstan-bench/capstan/replay/stat"
)

func load(t testing.TB, name string) cost.System {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	s, err := cost.ParseSystem(name, text, time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func capacity(l, hi float64) stat.Estimate {
	return stat.Estimate{Center: l, Lo: l, Hi: hi, Confidence: 0.95, N: 1000, Warnings: []string{"w"}}
}

func near(t *testing.T, what string, u cost.Unit, center, lo, hi float64) {
	t.Helper()
	if u.Value == nil {
		t.Errorf("%s is absent (%s), want %v", what, u.Absent, center)
		return
	}
	for _, p := range [][2]float64{{u.Value.Center, center}, {u.Value.Lo, lo}, {u.Value.Hi, hi}} {
		if p[0] != p[1] && !(math.Abs(p[0]-p[1]) <= 1e-6*math.Abs(p[1])) {
			t.Errorf("%s = %v [%v, %v], want %v [%v, %v]", what, u.Value.Center, u.Value.Lo, u.Value.Hi, center, lo, hi)
			return
		}
	}
	if u.Value.N != 1000 || u.Value.Confidence != 0.95 || len(u.Value.Warnings) != 1 {
		t.Errorf("%s lost n, confidence or warnings of the capacity: %+v", what, *u.Value)
	}
}

func absent(t *testing.T, what string, u cost.Unit, reason string) {
	t.Helper()
	if u.Value != nil || !strings.Contains(u.Absent, reason) {
		t.Errorf("%s = %+v (absent: %q), want absent because %q", what, u.Value, u.Absent, reason)
	}
}

// The figures published for 1,840 agents on 32 accelerators at 937 W each.
func TestPublishedArithmetic(t *testing.T) {
	u := cost.Per(capacity(1840, 1900), load(t, "nvl32.yaml"))
	near(t, "per accelerator", u.PerAccelerator, 57.5, 57.5, 59.375)
	if got := math.Round(u.PerMW.Value.Center); got != 61354 {
		t.Errorf("per MW = %v, want 61354", got)
	}
	near(t, "per kW", u.PerKW, 1840/29.99, 1840/29.99, 1900/29.99)
	near(t, "per rack", u.PerRack, 3680, 3680, 3800)
	if !u.PerRack.Extrapolated || !strings.Contains(u.PerRack.Note, "bound by ⌊72 ÷ 32⌋ accelerators") || !strings.Contains(u.PerRack.Note, "board power leaves out") {
		t.Errorf("per rack: %+v, want it marked, with its bound and what board power leaves out", u.PerRack)
	}
	if !strings.HasPrefix(u.PerKW.Note, "board power, measured") {
		t.Errorf("per kW is noted %q, want its power class and source", u.PerKW.Note)
	}
	absent(t, "per $/h", u.PerUSDHour, "no price")
	absent(t, "$/agent-hour", u.USDPerAgentHour, "no price")
}

func TestOwned(t *testing.T) {
	s := load(t, "sram.yaml")
	usd, ok := s.USDPerHour()
	if want := 100.0 + 10 + 46*1.25*0.10; !ok || math.Abs(usd-want) > 1e-9 {
		t.Fatalf("USDPerHour() = %v, %v, want %v", usd, ok, want)
	}
	u := cost.Per(capacity(100, 110), s)
	near(t, "per $/h", u.PerUSDHour, 100/usd, 100/usd, 110/usd)
	near(t, "$/agent-hour", u.USDPerAgentHour, usd/100, usd/110, usd/100)
	absent(t, "per rack", u.PerRack, "less than one such system: bound by ⌊40 ÷ 46⌋ kW")
	if !u.PerRack.Extrapolated {
		t.Error("per rack is not marked as extrapolated")
	}
}

func TestNothingStated(t *testing.T) {
	u := cost.Per(capacity(3, 3), load(t, "minimal.yaml"))
	near(t, "per accelerator", u.PerAccelerator, 3, 3, 3)
	absent(t, "per kW", u.PerKW, "no power")
	absent(t, "per MW", u.PerMW, "no power")
	absent(t, "per $/h", u.PerUSDHour, "no price")
	absent(t, "per rack", u.PerRack, "no rack")
}

func TestEndsOfTheScale(t *testing.T) {
	s := load(t, "sram.yaml")
	usd, _ := s.USDPerHour()
	open := cost.Per(capacity(8, math.Inf(1)), s)
	near(t, "per accelerator", open.PerAccelerator, 4, 4, math.Inf(1))
	near(t, "$/agent-hour", open.USDPerAgentHour, usd/8, 0, usd/8)
	none := cost.Per(capacity(0, 0), s)
	near(t, "per accelerator", none.PerAccelerator, 0, 0, 0)
	absent(t, "$/agent-hour", none.USDPerAgentHour, "no agent was certified")
}

func TestRackBounds(t *testing.T) {
	f := func(places int, rackKW, kw float64, want float64, note string) {
		t.Helper()
		s := load(t, "nvl32.yaml")
		s.Accelerators.Count = 8
		s.Rack = &cost.Rack{Accelerators: places, KW: rackKW}
		s.Power = nil
		if kw > 0 {
			s.Power = &cost.Power{KW: kw, Class: cost.PDU, Source: "meter"}
		}
		u := cost.Per(capacity(10, 12), s).PerRack
		near(t, note, u, 10*want, 10*want, 12*want)
		if !strings.Contains(u.Note, note) {
			t.Errorf("rack of %d and %v kW: note %q, want %q in it", places, rackKW, u.Note, note)
		}
	}
	f(72, 120, 10, 9, "bound by ⌊72 ÷ 8⌋ accelerators (⌊120 ÷ 10⌋ kW of pdu power: 12)")
	f(72, 40, 10, 4, "bound by ⌊40 ÷ 10⌋ kW of pdu power (accelerators alone: 9)")
	f(71, 0, 10, 8, "the rack's power limit is not stated")
	f(71, 40, 0, 8, "the system's power is not stated")
	f(72, 0.3, 0.1, 3, "⌊0.3 ÷ 0.1⌋") // three, though not in binary
}
