package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/stat"
	"github.com/capstan-bench/capstan/schema"
)

// Level is one measured level, for people and for programs.
type Level struct {
	Agents     int                  `json:"agents"`
	Seconds    float64              `json:"window_s"`
	Calls      int                  `json:"calls"`  // due in the window
	Errors     map[string]int       `json:"errors"` // by class; calls that the end cut off are "unended"
	Causes     map[string]string    `json:"causes"` // by class of error, what the first such call says
	Duty       float64              `json:"duty"`   // mean calls in flight ÷ agents
	Figures    []Figure             `json:"figures"`
	Input      int64                `json:"input_tokens"`  // planned, of calls without error
	Ideal      float64              `json:"ideal_cached"`  // share of Input that an infinite cache holds
	Cached     *float64             `json:"cached"`        // share of the input as the system counts it; null: it did not say
	Output     int64                `json:"output_tokens"` // as the system counts them
	Planned    int64                `json:"planned_output_tokens"`
	Judgements []capacity.Judgement `json:"judgements"`
	Warnings   []string             `json:"warnings"`
}

// Figure is one statistic of a level.
type Figure struct {
	Name  string        `json:"name"` // such as "p95(ttft)"
	Unit  string        `json:"unit"`
	Value stat.Estimate `json:"value"`
}

// NewLevel sums up a window.
func NewLevel(w capacity.Window, judgements []capacity.Judgement) *Level {
	l := &Level{
		Agents: w.Ask.Level, Seconds: (w.To - w.From).Seconds(), Calls: len(w.Samples), Duty: w.Duty,
		Errors: map[string]int{}, Causes: map[string]string{}, Judgements: list(judgements), Warnings: []string{},
	}
	l.count(w.Samples)
	for _, f := range []struct {
		m    capacity.Metric
		s    capacity.Stat
		unit string
	}{
		{capacity.TTFT, "p50", "s"}, {capacity.TTFT, "p95", "s"}, {capacity.Speed, "p50", "tok/s"}, {capacity.Speed, "p25", "tok/s"},
		{capacity.E2E, "p50", "s"}, {capacity.E2E, "p95", "s"}, {capacity.ErrorRate, "", "share"},
	} {
		name := string(f.m)
		if f.s != "" {
			name = fmt.Sprintf("%s(%s)", f.s, f.m)
		}
		l.Figures = append(l.Figures, Figure{Name: name, Unit: f.unit, Value: capacity.Measure(w, f.m, f.s)})
	}
	l.warn(w)
	return l
}

// count adds up the samples.
func (l *Level) count(samples []schema.Sample) {
	var ideal, input, cached int64
	told := false
	for i := range samples {
		s := &samples[i]
		if s.Error != nil {
			l.fail(*s.Error, s.ErrorText)
			continue
		}
		l.Input += s.PlannedInput
		ideal += s.IdealCached
		l.Planned += s.PlannedOutput
		if s.OutputTokens != nil {
			l.Output += *s.OutputTokens
		}
		if s.InputTokens != nil && s.CachedTokens != nil {
			told = true
			input += *s.InputTokens
			cached += *s.CachedTokens
		}
	}
	if l.Input > 0 {
		l.Ideal = float64(ideal) / float64(l.Input)
	}
	if told && input > 0 {
		share := float64(cached) / float64(input)
		l.Cached = &share
	}
}

func (l *Level) fail(class string, text *string) {
	l.Errors[class]++
	if _, told := l.Causes[class]; !told && text != nil {
		l.Causes[class] = *text
	}
}

// warn collects every warning once, in the order in which they come up.
func (l *Level) warn(w capacity.Window) {
	add := func(all []string) {
		for _, s := range all {
			if !slices.Contains(l.Warnings, s) {
				l.Warnings = append(l.Warnings, s)
			}
		}
	}
	if !w.Settled {
		add([]string{"did not settle: an agent completed no call before the window opened"})
	}
	for _, why := range w.Invalid {
		add([]string{"invalid: " + why})
	}
	add(w.Warnings)
	for _, f := range l.Figures {
		for _, s := range f.Value.Warnings {
			add([]string{f.Name + ": " + s})
		}
	}
	for _, j := range l.Judgements {
		add(j.Warnings)
		for _, c := range j.Conds {
			for _, s := range c.Warnings {
				add([]string{c.Cond.String() + ": " + s})
			}
		}
	}
}

// Text writes the level for people.
func (l *Level) Text(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "agents   %d, of which %s in a call on average\n", l.Agents, number(l.Duty*float64(l.Agents)))
	fmt.Fprintf(&b, "window   %s, %s\n", time.Duration(l.Seconds*float64(time.Second)).Round(time.Millisecond), counted(l.Calls, "call"))
	for _, f := range l.Figures {
		f.Value.Lo = max(0, f.Value.Lo) // no figure can be negative
		fmt.Fprintf(&b, "%-12s %8s %s  %s  n %d\n", f.Name, number(f.Value.Center), f.Unit, interval(f.Value, number), f.Value.N)
	}
	cached := "unknown"
	if l.Cached != nil {
		cached = percent(*l.Cached)
	}
	fmt.Fprintf(&b, "cache    %s of the input found, %s with an infinite cache\n", cached, percent(l.Ideal))
	fmt.Fprintf(&b, "output   %s tokens, %s planned\n", whole(float64(l.Output)), whole(float64(l.Planned)))
	for _, class := range sortedKeys(l.Errors) {
		fmt.Fprintf(&b, "error    %s: %d", clean(class), l.Errors[class])
		if cause := l.Causes[class]; cause != "" {
			fmt.Fprintf(&b, " (%s)", clean(cause))
		}
		b.WriteString("\n")
	}
	for _, j := range l.Judgements {
		fmt.Fprintf(&b, "%-9s %s\n", j.Verdict, clean(j.SLO.String()))
	}
	for _, s := range l.Warnings {
		fmt.Fprintf(&b, "warning  %s\n", clean(s))
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write level: %w", err)
	}
	return nil
}

func sortedKeys(m map[string]int) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
