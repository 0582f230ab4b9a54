package plan

import (
	"fmt"
	"math"
	"time"
)

// Output policies.
const (
	OutputExact = "exact" // each answer is as long as the recorded one
	OutputFree  = "free"  // the system ends its answers itself, up to a cap
)

// Defaults of Config.
const (
	DefaultGapCap  = 300 * time.Second
	DefaultFreeCap = 16384
)

// Config says how sessions become scripts.
type Config struct {
	Model      string        // the model to ask the target for; required
	GapScale   float64       // recorded gaps are multiplied by it; 0 means 1, must not be negative
	GapCap     time.Duration // longest gap after scaling; 0 means DefaultGapCap, negative means no cap
	NoGaps     bool          // every gap is zero
	MaxContext int64         // tokens of prompt and answer that the model can take; 0 means any
	Output     string        // OutputExact or OutputFree; empty means OutputExact
	FreeCap    int           // longest answer with OutputFree; 0 means DefaultFreeCap
	NoSalt     bool          // bodies carry no salts: plays and probes warm each other's caches
	Verbatim   bool          // keep cache marks, cache and routing ids and unknown fields of recorded requests
	Tokenizer  string        // for sessions without text; empty means the one that the session names
}

// resolve fills in the defaults and checks the rest.
func (c Config) resolve() (Config, error) {
	if c.GapScale == 0 {
		c.GapScale = 1
	}
	if c.GapCap == 0 {
		c.GapCap = DefaultGapCap
	}
	if c.Output == "" {
		c.Output = OutputExact
	}
	if c.FreeCap == 0 {
		c.FreeCap = DefaultFreeCap
	}
	return c, c.check()
}

func (c Config) check() error {
	switch {
	case c.Model == "":
		return fmt.Errorf("check config: Model is required")
	case !(c.GapScale >= 0) || math.IsInf(c.GapScale, 0):
		return fmt.Errorf("check config: GapScale: got %v, want a number that is not negative", c.GapScale)
	case c.MaxContext < 0:
		return fmt.Errorf("check config: MaxContext: got %d, want at least 0", c.MaxContext)
	case c.Output != OutputExact && c.Output != OutputFree:
		return fmt.Errorf("check config: Output: got %q, want %q or %q", c.Output, OutputExact, OutputFree)
	case c.FreeCap < 1 || c.FreeCap > math.MaxInt32:
		return fmt.Errorf("check config: FreeCap: got %d, want at least 1", c.FreeCap)
	}
	return nil
}

// longest bounds every single time in a script, so that sums cannot overflow.
const longest = 1 << 59 // ns, about 18 years

// gap is what a recorded gap becomes: min(gap × GapScale, GapCap), or 0 with
// NoGaps. A negative gap counts as 0.
func (c Config) gap(us int64) time.Duration {
	if c.NoGaps || us <= 0 {
		return 0
	}
	ns := float64(us) * 1e3 * c.GapScale
	if c.GapCap > 0 && ns > float64(c.GapCap) {
		return c.GapCap
	}
	return time.Duration(min(ns, longest))
}

// later adds a wait to a time, both at most longest, without passing it.
func later(t, wait time.Duration) time.Duration { return min(t+wait, longest) }
