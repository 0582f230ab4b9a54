package capacity

import (
	"fmt"
	"time"
)

// Defaults of SearchConfig.
const (
	DefaultMin        = 3 * time.Minute
	DefaultMax        = time.Hour
	DefaultLook       = 30 * time.Second
	DefaultWarm       = time.Minute
	DefaultHorizon    = time.Hour
	DefaultResolution = 0.05
	DefaultMaxProbes  = 64
	DefaultMaxLevel   = 1 << 20
)

// SearchConfig says what to search and how long it may take.
type SearchConfig struct {
	SLOs       []SLO         // the tiers; required
	Start      int           // first level of the ramp; 0 means 1
	MaxLevel   int           // highest level to probe; 0 means DefaultMaxLevel
	Min        time.Duration // shortest window; 0 means DefaultMin
	Max        time.Duration // longest window of a probe that is undecided; 0 means DefaultMax, or Min if that is longer
	Look       time.Duration // how often a window is looked at; 0 means DefaultLook, or Min if that is shorter
	Warm       time.Duration // warm-up after every agent has completed a call; 0 means DefaultWarm, negative means none
	Horizon    time.Duration // for how long L must hold; 0 means DefaultHorizon, or Max if that is longer
	Resolution float64       // U/L-1 that is narrow enough; 0 means DefaultResolution
	MaxProbes  int           // 0 means DefaultMaxProbes
	Seed       uint64        // every probe has a seed of its own, drawn from this one

	OnLook   func(Window)      // sees each window as it grows, samples borrowed; nil: nobody does
	OnWindow func(Window)      // sees each finished window, before it is judged; nil: nobody does
	OnProbe  func(ProbeRecord) // sees each finished probe; nil: nobody does
}

// resolve fills in the defaults and checks the rest.
func (c SearchConfig) resolve() (SearchConfig, error) {
	c.Start = orDefault(c.Start, 1)
	c.MaxLevel = orDefault(c.MaxLevel, DefaultMaxLevel)
	c.Min = orDefault(c.Min, DefaultMin)
	c.Max = orDefault(c.Max, max(DefaultMax, c.Min))
	c.Look = orDefault(c.Look, min(DefaultLook, c.Min))
	c.Warm = max(0, orDefault(c.Warm, DefaultWarm))
	c.Horizon = orDefault(c.Horizon, max(DefaultHorizon, c.Max))
	c.Resolution = orDefault(c.Resolution, DefaultResolution)
	c.MaxProbes = orDefault(c.MaxProbes, DefaultMaxProbes)
	return c, c.check()
}

func orDefault[T comparable](v, other T) T {
	var zero T
	if v == zero {
		return other
	}
	return v
}

func (c SearchConfig) check() error {
	switch {
	case len(c.SLOs) == 0:
		return fmt.Errorf("check search: SLOs is required")
	case c.Start < 1 || c.Start > c.MaxLevel:
		return fmt.Errorf("check search: Start: got %d, want 1 to MaxLevel, which is %d", c.Start, c.MaxLevel)
	case c.Min <= 0 || c.Max < c.Min:
		return fmt.Errorf("check search: Min and Max: got %v and %v, want 0 < Min <= Max", c.Min, c.Max)
	case c.Look < 0 || c.Horizon < 0:
		return fmt.Errorf("check search: Look and Horizon: got %v and %v, want nothing negative", c.Look, c.Horizon)
	case !(c.Resolution > 0 && c.Resolution < 1):
		return fmt.Errorf("check search: Resolution: got %v, want a share between 0 and 1", c.Resolution)
	case c.MaxProbes < 1:
		return fmt.Errorf("check search: MaxProbes: got %d, want at least 1", c.MaxProbes)
	}
	for i, s := range c.SLOs {
		if len(s.Conds) == 0 {
			return fmt.Errorf("check search: SLOs[%d] has no condition", i)
		}
	}
	return nil
}
