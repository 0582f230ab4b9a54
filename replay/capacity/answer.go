package capacity

import (
	"math"
	"time"

	"github.com/capstan-bench/capstan/replay/stat"
)

// Phase of a search.
type Phase string

// Phases.
const (
	Ramp    Phase = "ramp"    // doubling until every tier has failed
	Narrow  Phase = "narrow"  // between a level that passed and one that failed
	Confirm Phase = "confirm" // L or U again: L for the horizon, U until it failed
)

// Answer is the capacity at one tier. The true capacity, over the horizon, lies
// in [Lo, Hi].
type Answer struct {
	SLO       SLO      `json:"slo"`
	L         int      `json:"l"`         // largest level that was probed and certified to PASS; 0: not even one agent
	U         int      `json:"u"`         // smallest level that was probed and certified to FAIL, as a rule twice; 0: none did
	Lo        int      `json:"lo"`        // = L
	Hi        int      `json:"hi"`        // = U-1; 0 with U = 0: not bounded above
	Point     float64  `json:"point"`     // interpolated between levels; secondary to L
	Confirmed bool     `json:"confirmed"` // L passed again over the horizon, on a fresh seed
	Confirms  []int    `json:"confirms"`  // indices of the probes that confirmed L
	Warnings  []string `json:"warnings,omitempty"`
}

// Agents is the answer as an estimate of concurrent agents: Center and Lo are
// L, Hi is U-1, or +Inf where no level failed. Its confidence is what searches
// of this kind are tested to reach, see METHOD.md, "Search"; its N is 1.
func (a Answer) Agents() stat.Estimate {
	hi := float64(a.Hi)
	if a.U == 0 {
		hi = math.Inf(1)
	}
	return stat.Estimate{Center: float64(a.L), Lo: float64(a.Lo), Hi: hi,
		Confidence: 0.95, N: 1, Warnings: a.Warnings}
}

// Known reports whether some level was certified to pass, or the lowest to fail.
// Otherwise L is 0 because nothing was certified, not because nothing holds.
func (a Answer) Known() bool { return a.L > 0 || a.U == 1 }

// ProbeRecord is what the search keeps of one probe.
type ProbeRecord struct {
	Ask        Ask           `json:"ask"`
	Phase      Phase         `json:"phase"`
	From       time.Duration `json:"from_ns"` // of the measured window, on the probe's clock
	To         time.Duration `json:"to_ns"`
	Duty       float64       `json:"duty"`  // mean calls in flight ÷ agents
	Calls      int           `json:"calls"` // measured calls due in the window
	Plays      int           `json:"plays"` // plays that these belong to
	Sessions   int           `json:"sessions"`
	Expect     Means         `json:"expect"`
	Sweep      time.Duration `json:"sweep_ns"`
	Settled    bool          `json:"settled"`
	Invalid    []string      `json:"invalid,omitempty"`
	Warnings   []string      `json:"warnings,omitempty"`
	Judgements []Judgement   `json:"judgements"` // one for each tier, in order
}

// Point is what one probe adds to the curve of a system.
type Point struct {
	Probe int           `json:"probe"`
	Level int           `json:"level"`
	Speed stat.Estimate `json:"speed_p25"` // tok/s
	TTFT  stat.Estimate `json:"ttft_p95"`  // seconds
}

// Result is what a search found.
type Result struct {
	Answers  []Answer      `json:"answers"` // one for each tier, in order
	Probes   []ProbeRecord `json:"probes"`  // in the order in which they ran
	Curve    []Point       `json:"curve"`   // by level, then by probe
	Horizon  time.Duration `json:"horizon_ns"`
	Warnings []string      `json:"warnings,omitempty"`
}
