package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/capstan-bench/capstan/schema"
)

// TestSamples takes real recordings along the whole line, through the program as
// a user runs it: import, verify, inspect, replay over HTTP, capacity in virtual
// time, verify and report of the result. What inspect says is held against a
// count of the sources that shares no code with it.
func TestSamples(t *testing.T) {
	root := os.Getenv("CAPSTAN_SAMPLES")
	if root == "" {
		t.Skip("CAPSTAN_SAMPLES is not set: no real recordings to take along the line")
	}
	t.Run("pi", func(t *testing.T) {
		source := filepath.Join(root, "pi-mono", "large-session.jsonl")
		alongTheLine(t, "pi", source, countPi(t, source))
	})
	t.Run("weka", func(t *testing.T) {
		source := filepath.Join(root, "kv-cache-tester", "traces")
		alongTheLine(t, "weka", source, countWeka(t, source))
	})
}

func alongTheLine(t *testing.T, format, source string, want counted) {
	dir := filepath.Join(t.TempDir(), "dataset")
	out := capstan(t, 0, "import", format, source, "-o", dir)
	if line := fmt.Sprintf("%s: %d sessions, %d calls\n", dir, len(want.sessions), want.calls()); out != line {
		t.Errorf("import printed %q, want %q", out, line)
	}
	checkVerified(t, dir, want)
	checkSummary(t, dir, want)
	for _, s := range want.sessions {
		checkTimeline(t, dir, s)
	}
	replayed(t, dir, want.extends)
	result := searched(t, dir)
	capstan(t, 0, "verify", result)
	checkReports(t, result)
}

// capstan runs the program and returns what it wrote to stdout.
func capstan(t *testing.T, want int, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if got := run(t.Context(), append([]string{"capstan"}, args...), &stdout, &stderr); got != want {
		t.Fatalf("capstan %s: exit status %d, want %d\n%s%s", strings.Join(args, " "), got, want, stdout.String(), stderr.String())
	}
	return stdout.String()
}

// asked is capstan with --json, decoded.
func asked[T any](t *testing.T, args ...string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(capstan(t, 0, append(args, "--json")...)), &v); err != nil {
		t.Fatalf("capstan %s --json: %v", strings.Join(args, " "), err)
	}
	return v
}

func checkVerified(t *testing.T, dir string, want counted) {
	t.Helper()
	got := asked[struct {
		Sessions, Calls, Bodies int
		Logical                 int64 `json:"logical_bytes"`
		Stored                  int64 `json:"stored_bytes"`
	}](t, "verify", dir)
	if got.Sessions != len(want.sessions) || got.Calls != want.calls() || got.Bodies != want.verified {
		t.Errorf("verify = %+v, want %d sessions, %d calls, %d bodies", got, len(want.sessions), want.calls(), want.verified)
	}
	// A token of code is three to five bytes; tools and system text are added.
	if per := float64(got.Logical) / float64(want.input()); want.verified > 0 && (per < 3 || per > 5) {
		t.Errorf("verify: %d bytes of bodies for %d tokens of input, %.1f a token", got.Logical, want.input(), per)
	}
	if got.Stored <= 0 || got.Stored > 1<<20 {
		t.Errorf("verify: %d bytes on disk", got.Stored)
	}
}

// found is a distribution as inspect tells it.
type found struct {
	N                  int
	P50, P90, P99, Max float64
}

// spread is the distribution of values, told apart from inspect's own code: the
// smallest value that has the share p of all at or below it.
func spread(values []int64) found {
	slices.Sort(values)
	at := func(p float64) float64 {
		for i, v := range values {
			if float64(i+1) >= p*float64(len(values)) {
				return float64(v)
			}
		}
		return 0
	}
	return found{len(values), at(0.5), at(0.9), at(0.99), at(1)}
}

func checkSummary(t *testing.T, dir string, want counted) {
	t.Helper()
	got := asked[struct {
		Sessions  int
		SubAgents int `json:"sub_agents"`
		Calls     int
		Failed    int   `json:"failed_calls"`
		Tools     int   `json:"tool_calls"`
		In        int64 `json:"input_total"`
		Out       int64 `json:"output_total"`
		Turns     found `json:"turns"`
		Longest   found `json:"max_context"`
		Input     found `json:"input_tokens"`
		Output    found `json:"output_tokens"`
		Growth    []struct {
			Turn  int
			Input found `json:"input_tokens"`
		}
		Within float64 `json:"ideal_hit_within_sessions"`
		Across float64 `json:"ideal_hit_across_sessions"`
		Duty   float64
	}](t, "inspect", dir)
	f := func(what string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("inspect: %s = %v, want %v", what, got, want)
		}
	}
	f("sessions", got.Sessions, len(want.sessions))
	f("sub-agents", got.SubAgents, want.subAgents)
	f("calls", got.Calls, want.calls())
	f("failed calls", got.Failed, want.failed)
	f("tool calls", got.Tools, want.tools)
	f("tokens of input", got.In, want.input())
	f("tokens of output", got.Out, want.output())
	var turns, longest, input, output []int64
	at := map[int][]int64{}
	for _, s := range want.sessions {
		turns, longest = append(turns, int64(s.turns)), append(longest, s.longest())
		for _, c := range s.calls {
			if output = append(output, c.output); c.input > 0 {
				input = append(input, c.input)
				at[c.turn] = append(at[c.turn], c.input)
			}
		}
	}
	f("turns", got.Turns, spread(turns))
	f("longest context", got.Longest, spread(longest))
	f("input tokens", got.Input, spread(input))
	f("output tokens", got.Output, spread(output))
	for _, g := range got.Growth {
		f(fmt.Sprint("input at turn ", g.Turn), g.Input, spread(at[g.Turn]))
	}
	if len(got.Growth) < 8 || got.Within < 0.9 || got.Within > 1 || got.Across < got.Within || got.Duty < 0.1 || got.Duty > 0.6 {
		t.Errorf("inspect: %d turns of growth, ideal hits %v and %v, duty %v", len(got.Growth), got.Within, got.Across, got.Duty)
	}
	text := capstan(t, 0, "inspect", dir)
	first := fmt.Sprintf("%d sessions, %d sub-agents, %d calls (%d failed), %d tool calls\n", len(want.sessions), want.subAgents, want.calls(), want.failed, want.tools)
	if !strings.HasPrefix(text, first) || strings.Contains(text, "NaN") || strings.Contains(text, "∞") {
		t.Errorf("inspect prints\n%s\nwant it to begin with %s", text, first)
	}
}

func checkTimeline(t *testing.T, dir string, want session) {
	t.Helper()
	got := asked[struct {
		Session string
		Calls   []struct {
			Trajectory int
			Start      *float64 `json:"start_s"`
			Input      *int64   `json:"input_tokens"`
			Output     *int64   `json:"output_tokens"`
			Hit        *float64 `json:"ideal_hit"`
		}
	}](t, "inspect", dir, want.id)
	if got.Session != want.id || len(got.Calls) != len(want.calls) {
		t.Fatalf("inspect: session %q has %d calls, want %q with %d", got.Session, len(got.Calls), want.id, len(want.calls))
	}
	var input, output int64
	last := 0.0
	for i, c := range got.Calls {
		if c.Input != nil {
			input += *c.Input
		}
		if c.Output != nil {
			output += *c.Output
		}
		if c.Start == nil || *c.Start < last || c.Hit == nil || *c.Hit < 0 || *c.Hit > 1 {
			t.Fatalf("inspect %s: line %d is out of order or off: %+v", want.id, i, c)
		}
		last = *c.Start
	}
	if input != want.input || output != want.output {
		t.Errorf("inspect %s: %d tokens in and %d out, want %d and %d", want.id, input, output, want.input, want.output)
	}
	text := capstan(t, 0, "inspect", dir, want.id)
	if lines := strings.Count(text, "\n"); lines < len(want.calls)+3 {
		t.Errorf("inspect %s prints %d lines for %d calls", want.id, lines, len(want.calls))
	}
}

// simulated serves the large engine 100 times as fast, through the program.
func simulated(t *testing.T) (target string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r, w := io.Pipe()
	var stderr bytes.Buffer
	ended := make(chan int)
	go func() {
		code := run(ctx, []string{"capstan", "simulate", "large", "--listen", "127.0.0.1:0", "--speed", "100"}, w, &stderr)
		w.Close()
		ended <- code
	}()
	t.Cleanup(func() {
		stop()
		if code := <-ended; code != 0 {
			t.Errorf("simulate: exit status %d: %s", code, stderr.String())
		}
	})
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("simulate said no address: %v", err)
	}
	return strings.TrimSpace(line)
}

// replayed plays a dataset over HTTP, and holds what the server counted against
// what was recorded.
func replayed(t *testing.T, dir string, extends bool) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "samples.parquet")
	level := asked[struct {
		Agents, Calls   int
		Errors          map[string]int
		Cached          float64
		Ideal           float64 `json:"ideal_cached"`
		Output, Planned int64
	}](t, "replay", dir, "--target", simulated(t), "--model", "m", "--agents", "2", "--duration", "3s", "--warm-up", "0s",
		"--gap-scale", "0.001", "--gap-cap", "50ms", "--max-context", "200000", "-o", file)
	delete(level.Errors, schema.ErrUnended)
	if level.Agents != 2 || level.Calls < 20 || len(level.Errors) > 0 || level.Cached < 0.8 || level.Cached > level.Ideal+0.01 {
		t.Errorf("replay = %+v, want 20 calls or more, all well, and the cache to find what there is to be found", level)
	}
	var samples []schema.Sample
	for s, err := range schema.Read[schema.Sample](file) {
		if err != nil {
			t.Fatal(err)
		}
		samples = append(samples, s)
	}
	if len(samples) != level.Calls {
		t.Errorf("replay wrote %d samples of %d calls", len(samples), level.Calls)
	}
	checkGrowth(t, samples, extends)
}

// checkGrowth makes sure that inputs grow from turn to turn on the server as they
// did when they were recorded. Its tokens are not the recorded ones, but those of
// a play keep the same relation. Where every context extends the one before, that
// is so on the server even where a change of the model made recorded inputs
// shrink.
func checkGrowth(t *testing.T, samples []schema.Sample, extends bool) {
	t.Helper()
	slices.SortStableFunc(samples, func(a, b schema.Sample) int {
		return cmp.Or(cmp.Compare(a.Agent, b.Agent), cmp.Compare(a.Play, b.Play), cmp.Compare(a.TrajectoryID, b.TrajectoryID), cmp.Compare(a.CallIndex, b.CallIndex))
	})
	compared := 0
	for i := 1; i < len(samples); i++ {
		a, b := &samples[i-1], &samples[i]
		if a.Agent != b.Agent || a.Play != b.Play || a.TrajectoryID != b.TrajectoryID || a.InputTokens == nil || b.InputTokens == nil {
			continue
		}
		grew, planned := *b.InputTokens-*a.InputTokens, b.PlannedInput-a.PlannedInput
		// A few tokens are a matter of tokenizers, and of ends of blocks.
		if (extends && grew <= 0) || (planned > 150 && grew <= 0) || (!extends && planned < -150 && grew >= 0) || float64(grew) > 1.6*float64(max(planned, 0))+300 {
			t.Errorf("session %s %s: from call %d to %d the server counted %+d tokens, recorded are %+d",
				a.SessionID, a.TrajectoryID, a.CallIndex, b.CallIndex, grew, planned)
		}
		if ratio := float64(*b.InputTokens) / float64(b.PlannedInput); ratio < 0.7 || ratio > 1.3 {
			t.Errorf("session %s %s call %d: the server counted %d tokens, recorded are %d", b.SessionID, b.TrajectoryID, b.CallIndex, *b.InputTokens, b.PlannedInput)
		}
		compared++
	}
	if compared < 10 {
		t.Errorf("only %d pairs of turns to compare", compared)
	}
}

const sampleSystem = `name: test
vendor: nobody
accelerators: {vendor: nobody, product: chip, count: 8, memory: [{kind: HBM, gib: 96, gb_per_s: 4000}]}
power: {kw: 8, class: node, source: invented}
price: {usd_per_hour: 20, source: invented, date: "2026-01-05"}
software: {engine: sim, version: "1"}
`

// searched finds a capacity in virtual time and returns the result's directory.
func searched(t *testing.T, dir string) string {
	t.Helper()
	system, result := filepath.Join(t.TempDir(), "system.yaml"), filepath.Join(t.TempDir(), "result")
	if err := os.WriteFile(system, []byte(sampleSystem), 0o666); err != nil {
		t.Fatal(err)
	}
	text := capstan(t, 0, "capacity", dir, "--target", "sim:large", "--slo", "p25(speed)>=10 & p95(ttft)<=30s", "--system", system,
		"--max-context", "200000", "--max-window", "30m", "--horizon", "30m", "-o", result)
	for _, want := range []string{"p25(speed)>=10 & p95(ttft)<=30s", "per accelerator", "per kW node", "$/agent-hour", "cut at 200,000 tokens", "capped at 300 s"} {
		if !strings.Contains(text, want) {
			t.Errorf("capacity lacks %q:\n%s", want, text)
		}
	}
	return result
}

func checkReports(t *testing.T, result string) {
	t.Helper()
	var tree struct{ Format string }
	if err := json.Unmarshal([]byte(capstan(t, 0, "report", result, "--json")), &tree); err != nil || tree.Format != "capstan report" {
		t.Errorf("report --json: format %q, %v", tree.Format, err)
	}
	page := filepath.Join(t.TempDir(), "page.html")
	text := capstan(t, 0, "report", result, "-o", page)
	if !strings.Contains(text, "per accelerator") || strings.Contains(text, "NaN") {
		t.Errorf("report:\n%s", text)
	}
	html, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(html, []byte("<svg")) || !bytes.Contains(html, []byte("</html>")) || bytes.Contains(html, []byte("NaN")) {
		t.Errorf("the page of %d bytes has no chart, no end, or figures that are none", len(html))
	}
}
