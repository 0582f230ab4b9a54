package capacity

import (
	"context"
	"time"

	"github.com/capstan-bench/capstan/schema"
)

// Probe measures one level: live over HTTP, in virtual time, or on a fleet. It
// warms up, then measures until enough says so, Ask.Max has passed, or ctx ends
// (then it returns what it has with ctx's error). It calls enough every Ask.Look
// with what was measured so far; the window's samples are borrowed for the call.
type Probe func(ctx context.Context, a Ask, enough func(Window) bool) (Window, error)

// Ask is one probe to run. Times are on the run's clock (virtual or real).
type Ask struct {
	Index int           `json:"index"`       // of the probe within the search, from 0
	Level int           `json:"level"`       // concurrent agents, at least 1
	Seed  uint64        `json:"seed,string"` // of the population and the salts
	Warm  time.Duration `json:"warm_ns"`     // after every agent has completed a call
	Min   time.Duration `json:"min_ns"`      // enough is not asked before this much was measured
	Max   time.Duration `json:"max_ns"`      // longest window
	Look  time.Duration `json:"look_ns"`     // between two questions; 0 means Min
}

// Window is what a probe measured.
type Window struct {
	Ask      Ask
	From, To time.Duration   // the measured window on the probe's clock
	Samples  []schema.Sample // measured calls that were due in [From, To); those still open have Error unended
	Duty     float64         // mean calls in flight ÷ agents, over the window
	Expect   Means           // what the plan holds in the long run
	Sweep    time.Duration   // corpus time ÷ level: how long until the agents have covered every session once
	Settled  bool            // every agent completed a call before From
	Invalid  []string        // why the client, not the system, may have set the figures; empty: sound
	Warnings []string
}

// Means are per-call means.
type Means struct {
	Input    float64 `json:"input"`    // prompt tokens
	Uncached float64 `json:"uncached"` // prompt tokens that an infinite cache would not hold
	Output   float64 `json:"output"`   // output tokens
}
