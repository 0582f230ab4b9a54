package stats

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/capstan-bench/capstan/schema"
)

// Timeline is one session, call by call in order of their start.
type Timeline struct {
	Session string   `json:"session"`
	Lanes   []string `json:"trajectories"`
	Rows    []Row    `json:"calls"`
}

// Row is one call of a timeline. Nulls were not recorded.
type Row struct {
	Lane    int      `json:"trajectory"` // index
	Call    int32    `json:"call_index"`
	Start   *float64 `json:"start_s"` // since the session's first call
	Gap     *float64 `json:"gap_s"`   // since the end of the call before it in its trajectory
	Took    *float64 `json:"took_s"`
	Input   *int64   `json:"input_tokens"`
	Ideal   float64  `json:"ideal_hit"` // share of the input that an earlier call of the session began with
	Output  *int64   `json:"output_tokens"`
	Trigger string   `json:"trigger"`
	Finish  string   `json:"finish"` // finish reason, or the error's type
	Tools   []string `json:"tools"`  // that the answer called
}

// NewTimeline lays out a session.
func NewTimeline(s *schema.Session) (Timeline, error) {
	all, err := prompts(s)
	if err != nil {
		return Timeline{}, err
	}
	t := Timeline{Session: s.ID}
	lanes := map[string]int{}
	for i := range s.Trajectories {
		lanes[s.Trajectories[i].TrajectoryID] = i
		t.Lanes = append(t.Lanes, s.Trajectories[i].TrajectoryID)
	}
	order := byStart(s)
	seen := cache{}
	var first *time.Time
	for _, i := range order {
		c := &s.Calls[i]
		r := newRow(s, c, lanes[c.TrajectoryID])
		if all[i] != nil {
			r.Ideal = seen.take(*all[i])
		}
		if first == nil {
			first = c.StartedAt
		}
		if c.StartedAt != nil {
			since := c.StartedAt.Sub(*first).Seconds()
			r.Start = &since
		}
		t.Rows = append(t.Rows, r)
	}
	return t, nil
}

// byStart orders calls by their start. One without a start goes with the call
// before it in its trajectory.
func byStart(s *schema.Session) []int {
	order := make([]int, len(s.Calls))
	at := make([]time.Time, len(s.Calls))
	for i := range order {
		order[i] = i
		switch c := &s.Calls[i]; {
		case c.StartedAt != nil:
			at[i] = *c.StartedAt
		case i > 0 && s.Calls[i-1].TrajectoryID == c.TrajectoryID:
			at[i] = at[i-1]
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return at[a].Compare(at[b]) })
	return order
}

func newRow(s *schema.Session, c *schema.Call, lane int) Row {
	r := Row{Lane: lane, Call: c.CallIndex, Gap: scaled(c.GapUS), Took: scaled(c.CompletedUS),
		Input: c.InputTokens, Output: c.OutputTokens, Trigger: c.Trigger, Tools: []string{}}
	switch {
	case c.ErrorType != nil:
		r.Finish = *c.ErrorType
	case c.FinishReason != nil:
		r.Finish = *c.FinishReason
	}
	for i := range s.ToolCalls {
		if t := &s.ToolCalls[i]; t.TrajectoryID == c.TrajectoryID && t.CallIndex == c.CallIndex && t.ToolName != nil {
			r.Tools = append(r.Tools, *t.ToolName)
		}
	}
	return r
}

func scaled(us *int64) *float64 {
	if us == nil {
		return nil
	}
	s := seconds(*us)
	return &s
}

// Text writes the timeline for people, one line a call.
func (t *Timeline) Text(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "session %s\n", printable(t.Session))
	for i, lane := range t.Lanes {
		fmt.Fprintf(&b, "  trajectory %d: %s\n", i, printable(lane))
	}
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "start\ttrajectory\tcall\tgap s\ttook s\tinput\tideal hit\toutput\ttrigger\tfinish\t  tools")
	for _, r := range t.Rows {
		fmt.Fprintf(tw, "%s\t%d\t%d\t%s\t%s\t%s\t%.1f%%\t%s\t%s\t%s\t  %s\n", clock(r.Start), r.Lane, r.Call, optional(r.Gap), optional(r.Took),
			count(r.Input), 100*r.Ideal, count(r.Output), r.Trigger, printable(r.Finish), printable(strings.Join(r.Tools, " ")))
	}
	tw.Flush()
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write timeline: %w", err)
	}
	return nil
}

func clock(s *float64) string {
	if s == nil {
		return "–"
	}
	return time.Duration(*s * float64(time.Second)).Round(100 * time.Millisecond).String()
}

func optional(s *float64) string {
	if s == nil {
		return "–"
	}
	return figure(*s)
}

func count(n *int64) string {
	if n == nil {
		return "–"
	}
	return fmt.Sprint(*n)
}
