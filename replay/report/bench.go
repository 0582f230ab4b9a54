package report

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/capstan-bench/capstan/replay/result"
)

// Bench prints results in the Go benchmark format, so that benchstat compares
// them:
//
//	benchstat -col system a.txt b.txt
//
// There is one BenchmarkCapacity line for each tier whose capacity is known, with the largest certified
// level and what it comes to in each unit, and one BenchmarkLevel line for each
// probe, with its 25th percentile of output speed and its 95th of the time to the
// first token. The iterations of a line are the calls it rests on. Intervals and
// warnings have no place in the format: publish the result beside it. It is a
// *KeyError if the keys of results differ.
func Bench(w io.Writer, results ...*result.Result) error {
	if err := check(results); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("Unit agents better=higher\n")
	for _, c := range columns {
		better := "higher"
		if c.JSON == "usd_per_agent_hour" {
			better = "lower"
		}
		fmt.Fprintf(&b, "Unit %s better=%s\n", c.Unit, better)
	}
	b.WriteString("Unit tok/s-p25 better=higher\nUnit sec-ttft-p95 better=lower\n")
	for i, r := range results {
		benchResult(&b, i, r)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func benchResult(b *strings.Builder, i int, r *result.Result) {
	b.WriteString("\n")
	for _, kv := range [][2]string{
		{"system", r.System.Name}, {"model", r.Run.Model}, {"dataset", r.Run.Dataset.Name},
		{"engine", r.System.Software.Engine + " " + r.System.Software.Version},
		{"gap-cap-s", strconv.FormatFloat(r.Run.Key.GapCap, 'g', -1, 64)}, {"capstan", r.Run.Tool},
	} {
		fmt.Fprintf(b, "%s: %s\n", kv[0], clean(kv[1]))
	}
	for _, a := range answers(r.Search) {
		if !a.Known() {
			continue // a 0 would be read as measured
		}
		line := newRow(i, r, a)
		fmt.Fprintf(b, "BenchmarkCapacity/tier=%s %d %d agents", benchName(a.SLO.String()), max(1, line.Calls), a.L)
		for _, c := range columns {
			if v := c.of(line.Units).Value; v != nil {
				benchValue(b, v.Center, c.Unit)
			}
		}
		b.WriteString("\n")
	}
	for _, p := range r.Search.Curve {
		if math.IsNaN(p.Speed.Center) && math.IsNaN(p.TTFT.Center) {
			continue // nothing was measured: a line without a figure is no benchmark
		}
		fmt.Fprintf(b, "BenchmarkLevel/agents=%d %d", p.Level, max(1, p.TTFT.N, p.Speed.N))
		benchValue(b, p.Speed.Center, "tok/s-p25")
		benchValue(b, p.TTFT.Center, "sec-ttft-p95")
		b.WriteString("\n")
	}
}

func benchValue(b *strings.Builder, v float64, unit string) {
	if !math.IsNaN(v) && !math.IsInf(v, 0) {
		fmt.Fprintf(b, " %s %s", strconv.FormatFloat(v, 'g', 6, 64), unit)
	}
}

// benchName writes a tier as part of a benchmark's name, which holds no space
// and takes a slash for a border.
func benchName(s string) string {
	return strings.NewReplacer(" ", "", "/", "÷").Replace(clean(s))
}
