package stats

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// maxTools is how many tools Text lists.
const maxTools = 12

// Text writes the summary for people.
func (s *Summary) Text(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d sessions, %d sub-agents, %d calls (%d failed), %d tool calls\n", s.Sessions, s.SubAgents, s.Calls, s.Failed, s.ToolCalls)
	fmt.Fprintf(&b, "%d tokens of input, %d of output\n", s.InputTotal, s.OutputTotal)
	fmt.Fprintf(&b, "%s on disk", bytes(s.StoredBytes))
	if s.LogicalBytes > 0 {
		fmt.Fprintf(&b, " for %s of request bodies (1:%.0f)", bytes(s.LogicalBytes), float64(s.LogicalBytes)/float64(max(1, s.StoredBytes)))
	}
	fmt.Fprintf(&b, "\nideal cache hits: %s of the input within a session, %s across sessions\n", share(s.IdealWithin), share(s.IdealAcross))
	fmt.Fprintf(&b, "duty: %s calls in flight per agent, gaps capped at %s\n\n", ratio(s.Duty), GapCap)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tn\tp50\tp90\tp99\tmax\t")
	for _, r := range []struct {
		name string
		q    Quantiles
		f    func(float64) string
	}{
		{"turns a session", s.Turns, plain}, {"longest context, tokens", s.Longest, plain}, {"input, tokens", s.Input, plain},
		{"output, tokens", s.Output, plain}, {"call, s", s.Took, figure}, {"gap after tools, s", s.ToolGap, figure},
		{"gap after people, s", s.UserGap, figure},
	} {
		row(t, r.name, r.q, r.f)
	}
	for _, g := range s.Growth {
		row(t, fmt.Sprintf("input at turn %d", g.Turn), g.Input, plain)
	}
	for i, tool := range s.Tools {
		if i == maxTools {
			fmt.Fprintf(t, "(%d more tools)\t\n", len(s.Tools)-i)
			break
		}
		row(t, printable(tool.Name)+", s", tool.Wall, figure)
	}
	t.Flush()
	b.WriteString("\nsessions: " + printable(strings.Join(s.SessionIDs, " ")) + "\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	return nil
}

func row(w io.Writer, name string, q Quantiles, f func(float64) string) {
	if q.N == 0 {
		fmt.Fprintf(w, "%s\t0\t–\t–\t–\t–\t\n", name)
		return
	}
	fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t\n", name, q.N, f(q.P50), f(q.P90), f(q.P99), f(q.Max))
}

// plain writes what is whole.
func plain(v float64) string { return fmt.Sprintf("%.0f", v) }

// figure writes three significant digits, or all of a larger whole part.
func figure(v float64) string {
	switch {
	case v >= 100 || v == 0:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func share(v *float64) string {
	if v == nil {
		return "unknown"
	}
	return fmt.Sprintf("%.1f%%", 100**v)
}

func ratio(v *float64) string {
	if v == nil {
		return "unknown"
	}
	return fmt.Sprintf("%.2f", *v)
}

func bytes(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f kB", float64(n)/1e3)
}

// printable keeps the text of strangers from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '\uFFFD'
		}
		return r
	}, s)
}
