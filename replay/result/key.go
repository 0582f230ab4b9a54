package result

import (
	"fmt"
	"math"
	"strconv"
)

// Key is what two results must share to be set side by side: what was sent, and
// how. A capacity under a gap cap of 10 s and one under 300 s answer different
// questions, however alike they look.
type Key struct {
	Dataset       string  `json:"dataset"`            // SHA-256 of what was replayed
	MaxContext    int64   `json:"max_context_tokens"` // sessions were cut there; 0: nowhere
	CutShare      float64 `json:"cut_share"`          // of all calls, cut away for that
	MeanInput     float64 `json:"mean_input_tokens"`  // sent per call, by the plan
	Gaps          string  `json:"gaps"`               // "recorded", "recorded × 0.5", "none"
	GapCap        float64 `json:"gap_cap_s"`          // longest gap; 0: not capped
	Text          string  `json:"text"`               // "recorded" or "synthesised"
	Output        string  `json:"output"`             // "exact", "free", …
	Salts         string  `json:"salts"`              // "probe and play", "none"
	ToolStreaming string  `json:"tool_streaming"`     // tool calls arrive "streamed", "buffered", "unknown"
}

// Values that Key takes.
const (
	Recorded    = "recorded"    // Text: as the dataset holds it
	Synthesised = "synthesised" // Text: made up with the right sizes and sharing
	Streamed    = "streamed"    // ToolStreaming: in fragments as they are generated
	Buffered    = "buffered"    // ToolStreaming: at once, when whole
	Unknown     = "unknown"     // ToolStreaming: no call told
)

// Difference is one part of the key in which two results differ.
type Difference struct {
	Name string // as in result.json
	A, B string
}

// String reads "gap_cap_s: 300 and 10".
func (d Difference) String() string { return fmt.Sprintf("%s: %s and %s", d.Name, d.A, d.B) }

// Two plans of one dataset for two models cut and count slightly differently;
// below these bounds that doesn't move a capacity that is known to a few percent.
const (
	shareSlack = 0.01 // of CutShare, absolute
	inputSlack = 0.01 // of MeanInput, relative
)

// Comparable names the parts of the key in which a and b differ, in the order of
// the key; none means that the two can be set side by side. Shares cut may differ
// by 0.01 and mean inputs by 1%. The horizon belongs to the key too, unless a
// search did not end: then there is no capacity that it could define.
func Comparable(a, b *Result) []Difference {
	var ds []Difference
	for i, fa := range a.Run.Key.Fields() {
		fb := b.Run.Key.Fields()[i]
		if !fa.like(fb) {
			ds = append(ds, Difference{Name: fa.Name, A: fa.Value, B: fb.Value})
		}
	}
	if ha, hb := a.Search.Horizon, b.Search.Horizon; ha != hb && !a.Partial && !b.Partial {
		ds = append(ds, Difference{Name: "horizon_s", A: short(ha.Seconds()), B: short(hb.Seconds())})
	}
	return ds
}

// Field is one part of a key, for printing.
type Field struct {
	Name  string // as in result.json
	Value string
	slack func(a, b float64) bool // nil: texts must be equal
	num   float64
}

func (f Field) like(g Field) bool {
	if f.slack == nil {
		return f.Value == g.Value
	}
	return f.slack(f.num, g.num)
}

// Fields lists the parts of the key in a fixed order.
func (k Key) Fields() []Field {
	within := func(a, b float64) bool { return math.Abs(a-b) <= shareSlack }
	nearly := func(a, b float64) bool { return math.Abs(a-b) <= inputSlack*max(math.Abs(a), math.Abs(b)) }
	return []Field{
		{Name: "dataset", Value: k.Dataset},
		{Name: "max_context_tokens", Value: strconv.FormatInt(k.MaxContext, 10)},
		{Name: "cut_share", Value: short(k.CutShare), num: k.CutShare, slack: within},
		{Name: "mean_input_tokens", Value: short(k.MeanInput), num: k.MeanInput, slack: nearly},
		{Name: "gaps", Value: k.Gaps},
		{Name: "gap_cap_s", Value: short(k.GapCap)},
		{Name: "text", Value: k.Text},
		{Name: "output", Value: k.Output},
		{Name: "salts", Value: k.Salts},
		{Name: "tool_streaming", Value: k.ToolStreaming},
	}
}

func short(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

func (k Key) validate() error {
	for _, f := range k.Fields() {
		if f.Value == "" {
			return fmt.Errorf("run: comparability.%s is required", f.Name)
		}
	}
	for _, v := range []float64{k.CutShare, k.MeanInput, k.GapCap} {
		if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
			return fmt.Errorf("run: comparability: got %v, want finite numbers of at least 0", v)
		}
	}
	return nil
}
