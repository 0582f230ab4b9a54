package capacity

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Metric is what a condition is about.
type Metric string

// Metrics; sample.go has their formulas.
const (
	Speed     Metric = "speed"      // output tokens per second
	TTFT      Metric = "ttft"       // time to the first token, from when the call was due
	E2E       Metric = "e2e"        // time to the end of the answer, from when the call was due
	ITL       Metric = "itl"        // mean time between tokens of one answer
	ErrorRate Metric = "error_rate" // share of calls that failed
)

// Stat is what a condition makes of the calls' figures: mean, min, max or a
// percentile such as p25 or p99.9. It is empty for ErrorRate.
type Stat string

// Stats that are no percentiles.
const (
	Mean Stat = "mean"
	Min  Stat = "min"
	Max  Stat = "max"
)

// Percentile is 25 for p25; ok is false for other statistics.
func (s Stat) Percentile() (p float64, ok bool) {
	digits, ok := strings.CutPrefix(string(s), "p")
	if !ok {
		return 0, false
	}
	p, err := strconv.ParseFloat(digits, 64)
	return p, err == nil && p > 0 && p < 100
}

// Op compares a statistic with a limit.
type Op string

// Comparisons.
const (
	AtLeast Op = ">="
	AtMost  Op = "<="
	Above   Op = ">"
	Below   Op = "<"
)

// holds tells whether x Op limit.
func (o Op) holds(x, limit float64) bool {
	switch o {
	case AtLeast:
		return x >= limit
	case AtMost:
		return x <= limit
	case Above:
		return x > limit
	default:
		return x < limit
	}
}

// up tells whether more is better under the comparison.
func (o Op) up() bool { return o == AtLeast || o == Above }

// Cond is one condition of an SLO.
type Cond struct {
	Stat   Stat
	Metric Metric
	Op     Op
	Limit  float64 // tok/s for Speed, a share in [0,1] for ErrorRate, else seconds
}

// String is the condition in the grammar of [ParseSLO].
func (c Cond) String() string {
	if c.Metric == ErrorRate {
		return string(c.Metric) + string(c.Op) + percent(c.Limit)
	}
	value := strconv.FormatFloat(c.Limit, 'f', -1, 64)
	if c.Metric != Speed {
		value = time.Duration(math.Round(c.Limit * 1e9)).String()
	}
	return fmt.Sprintf("%s(%s)%s%s", c.Stat, c.Metric, c.Op, value)
}

// percent writes a share that has at most rateDecimals decimals in percent.
func percent(share float64) string {
	v := math.Round(share*100*rateScale) / rateScale
	return strconv.FormatFloat(v, 'f', -1, 64) + "%"
}

// MarshalText writes the condition as String does.
func (c Cond) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads one condition.
func (c *Cond) UnmarshalText(text []byte) error {
	s, err := ParseSLO(string(text))
	if err != nil {
		return err
	}
	if len(s.Conds) != 1 {
		return fmt.Errorf("parse condition %q: got %d conditions, want 1", text, len(s.Conds))
	}
	*c = s.Conds[0]
	return nil
}

// SLO is a service level: conditions that must all hold.
type SLO struct {
	Conds []Cond // as written, at least one
}

// impliedErrors is the condition of every SLO that says nothing about errors.
var impliedErrors = Cond{Metric: ErrorRate, Op: AtMost, Limit: 0.01}

// All is every condition that is judged: those written, and error_rate<=1%
// where none of them is about the error rate.
func (s SLO) All() []Cond {
	if slices.ContainsFunc(s.Conds, func(c Cond) bool { return c.Metric == ErrorRate }) {
		return s.Conds
	}
	return append(slices.Clone(s.Conds), impliedErrors)
}

// String is the SLO in the grammar of [ParseSLO], which reads it back as it is.
func (s SLO) String() string {
	parts := make([]string, len(s.Conds))
	for i, c := range s.Conds {
		parts[i] = c.String()
	}
	return strings.Join(parts, " & ")
}

// MarshalText writes the SLO as String does.
func (s SLO) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what ParseSLO reads.
func (s *SLO) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSLO(string(text))
	return err
}
