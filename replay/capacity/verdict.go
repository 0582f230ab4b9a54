package capacity

import (
	"fmt"

	"github.com/capstan-bench/capstan/replay/stat"
)

// Verdict says whether a level meets an SLO.
type Verdict string

// Verdicts.
const (
	Pass      Verdict = "PASS"      // met, with confidence
	Fail      Verdict = "FAIL"      // not met, with confidence
	Undecided Verdict = "UNDECIDED" // the window cannot tell
)

// UnmarshalText reads a verdict and refuses any other word.
func (v *Verdict) UnmarshalText(text []byte) error {
	switch w := Verdict(text); w {
	case Pass, Fail, Undecided:
		*v = w
		return nil
	}
	return fmt.Errorf("read verdict: got %q, want PASS, FAIL or UNDECIDED", text)
}

// CondResult is what a window says about one condition.
type CondResult struct {
	Cond    Cond    `json:"cond"`
	Verdict Verdict `json:"verdict"`
	// Estimate is the statistic itself, in tok/s, seconds or as a share.
	Estimate stat.Estimate `json:"estimate"`
	// Share is the share of calls that miss the limit; a percentile is judged
	// by it. Its N are the calls that count for the metric.
	Share stat.Estimate `json:"share"`
	// Allowed is the Share that still passes.
	Allowed float64 `json:"allowed"`
	// BySession is Share with sessions for clusters instead of plays: how far it
	// holds for sessions like these, not only for these.
	BySession stat.Estimate `json:"by_session"`
	Warnings  []string      `json:"warnings,omitempty"`
}

// Judgement is what a window says about one SLO.
type Judgement struct {
	SLO      SLO          `json:"slo"`
	Level    int          `json:"level"`
	Probe    int          `json:"probe"` // Ask.Index
	Verdict  Verdict      `json:"verdict"`
	Conds    []CondResult `json:"conds"` // of SLO.All, in its order
	N        int          `json:"n"`     // measured calls in the window
	Warnings []string     `json:"warnings,omitempty"`
}
