package stat

import (
	"encoding/json"
	"fmt"
	"math"
)

// Estimate is a figure and how sure it is. Lo is -Inf or Hi is +Inf where the
// observations say nothing about that side; a share has the ends 0 and 1
// instead. Center is NaN where there was nothing to observe.
//
// In JSON, an infinite end and a Center that is no number are null.
type Estimate struct {
	Center     float64  // the figure itself
	Lo, Hi     float64  // the interval that holds it
	Confidence float64  // that [Lo, Hi] holds the true figure, in (0,1); each end errs with half the rest
	N          int      // observations
	Warnings   []string // why a reader should be careful; nil: none known
}

// None is the estimate of a figure that nothing was observed of.
func None(confidence float64, warnings ...string) Estimate {
	return Estimate{math.NaN(), math.Inf(-1), math.Inf(1), confidence, 0, warnings}
}

// String is the figure and its interval with four digits: "20.1 [19.8, 20.4]".
func (e Estimate) String() string {
	return fmt.Sprintf("%.4g [%.4g, %.4g]", e.Center, e.Lo, e.Hi)
}

// estimateJSON is the form that is kept in files.
type estimateJSON struct {
	Center     *float64 `json:"center"`
	Lo         *float64 `json:"lo"`
	Hi         *float64 `json:"hi"`
	Confidence float64  `json:"confidence"`
	N          int      `json:"n"`
	Warnings   []string `json:"warnings,omitempty"`
}

// MarshalJSON writes the fields in lower case; see [Estimate] for null.
func (e Estimate) MarshalJSON() ([]byte, error) {
	return json.Marshal(estimateJSON{finite(e.Center), finite(e.Lo), finite(e.Hi), e.Confidence, e.N, e.Warnings})
}

// UnmarshalJSON reads what MarshalJSON wrote. A figure that was infinite itself
// comes back as NaN.
func (e *Estimate) UnmarshalJSON(data []byte) error {
	var j estimateJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return fmt.Errorf("read estimate: %w", err)
	}
	*e = Estimate{orElse(j.Center, math.NaN()), orElse(j.Lo, math.Inf(-1)), orElse(j.Hi, math.Inf(1)),
		j.Confidence, j.N, j.Warnings}
	return nil
}

func finite(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

func orElse(x *float64, other float64) float64 {
	if x == nil {
		return other
	}
	return *x
}
