package cost

import (
	"fmt"
	"math"

	"github.com/capstan-bench/capstan/replay/stat"
)

// Unit is a capacity in one unit. Value is nil when there is no such figure, and
// Absent then says why; nothing absent is ever zero. Value.Hi may be +Inf, when
// no level failed.
type Unit struct {
	Value        *stat.Estimate
	Absent       string // why Value is nil
	Note         string // what the figure rests on, for a reader to see beside it; may be empty
	Extrapolated bool   // computed for a machine that was not measured
}

// Units is one capacity in every unit.
type Units struct {
	PerAccelerator  Unit // agents ÷ accelerators of the system, all of them
	PerKW           Unit // agents ÷ kW of the whole system, in its power class
	PerMW           Unit // 1000 × agents ÷ kW
	PerUSDHour      Unit // agents ÷ price of the whole system for one hour
	PerRack         Unit // agents of a full rack of such systems; extrapolated
	USDPerAgentHour Unit // price of the whole system for one hour ÷ agents
}

// Per divides a capacity by what the system is made of. The capacity is an
// estimate of agents: Center is L, the largest certified PASS, and the interval
// is [Lo, Hi] = [L, U-1], Hi being +Inf when no level failed.
//
// Every unit is f(agents) for a monotone f, so its estimate is f(L) and its
// interval holds f(Lo) and f(Hi) with the confidence of the capacity. The
// system's own figures count as exact: the interval is that of the capacity alone.
func Per(agents stat.Estimate, s System) Units {
	u := Units{PerAccelerator: scaled(agents, 1/float64(s.Accelerators.Count), "")}
	u.PerKW, u.PerMW = perPower(agents, s.Power)
	u.PerUSDHour, u.USDPerAgentHour = perPrice(agents, s)
	u.PerRack = perRack(agents, s)
	return u
}

// scaled multiplies an estimate of agents by factor, which is above 0.
func scaled(agents stat.Estimate, factor float64, note string) Unit {
	e := agents
	e.Center, e.Lo, e.Hi = agents.Center*factor, agents.Lo*factor, agents.Hi*factor
	return Unit{Value: &e, Note: note}
}

func perPower(agents stat.Estimate, p *Power) (kw, mw Unit) {
	if p == nil {
		none := Unit{Absent: "the manifest states no power"}
		return none, none
	}
	note := fmt.Sprintf("%s power, %s", p.Class, p.Source)
	return scaled(agents, 1/p.KW, note), scaled(agents, 1000/p.KW, note)
}

// perPrice gives agents per $/h and its inverse $/agent-hour, whose interval
// turns round: the most agents make the cheapest.
func perPrice(agents stat.Estimate, s System) (per, usd Unit) {
	price, ok := s.USDPerHour()
	if !ok {
		none := Unit{Absent: "the manifest states no price"}
		return none, none
	}
	note := s.priceNote(price)
	per = scaled(agents, 1/price, note)
	if agents.Center <= 0 {
		return per, Unit{Absent: "no agent was certified to share the price", Note: note}
	}
	e := agents
	e.Center, e.Lo, e.Hi = price/agents.Center, price/agents.Hi, price/agents.Lo
	return per, Unit{Value: &e, Note: note}
}

func (s *System) priceNote(price float64) string {
	if s.Price != nil {
		return fmt.Sprintf("$%.2f/h, %s, %s", price, s.Price.Source, s.Price.Date)
	}
	return fmt.Sprintf("$%.2f/h owned over %g years, %s, %s", price, s.Owned.Years, s.Owned.Source, s.Owned.Date)
}

// perRack is agents × n for a rack that holds n systems,
//
//	n = min(⌊rack accelerators ÷ system accelerators⌋, ⌊rack kW ÷ system kW⌋)
//
// the second bound only when both powers are stated. It assumes that systems in
// one rack don't slow each other down, which was not measured.
func perRack(agents stat.Estimate, s System) Unit {
	if s.Rack == nil {
		return Unit{Absent: "the manifest states no rack"}
	}
	n, note := s.systemsPerRack()
	if n == 0 {
		return Unit{Absent: "a rack holds less than one such system: " + note, Extrapolated: true}
	}
	u := scaled(agents, float64(n), fmt.Sprintf("extrapolated to %d × this system: %s", n, note))
	u.Extrapolated = true
	return u
}

// systemsPerRack also says which bound decided.
func (s *System) systemsPerRack() (n int, note string) {
	n = s.Rack.Accelerators / s.Accelerators.Count
	note = fmt.Sprintf("⌊%d ÷ %d⌋ accelerators", s.Rack.Accelerators, s.Accelerators.Count)
	switch {
	case s.Rack.KW == 0:
		return n, note + "; the rack's power limit is not stated and was not applied"
	case s.Power == nil:
		return n, note + "; the system's power is not stated, so the rack's limit was not applied"
	}
	byPower := wholes(s.Rack.KW, s.Power.KW)
	limit := fmt.Sprintf("⌊%g ÷ %g⌋ kW of %s power", s.Rack.KW, s.Power.KW, s.Power.Class)
	if byPower < n {
		note, n = fmt.Sprintf("bound by %s (accelerators alone: %d)", limit, n), byPower
	} else {
		note = fmt.Sprintf("bound by %s (%s: %d)", note, limit, byPower)
	}
	if s.Power.Class == Board {
		note += "; board power leaves out processors, network, fans and losses"
	}
	return n, note
}

// wholes is ⌊a ÷ b⌋ for decimal figures: 0.3 holds three times 0.1, though not
// in binary fractions.
func wholes(a, b float64) int {
	return int(math.Min(math.Floor(a/b*(1+1e-12)), 1e9))
}
