package result

import (
	"fmt"
	"strings"

	"github.com/capstan-bench/capstan/replay/capacity"
)

// readme explains the directory to somebody who has nothing but the directory.
func readme(run Run, search capacity.Result) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `# Result of a capacity search

How many concurrent coding agents a system served within a service level, and
everything needed to check it. Written by capstan %s on %s.

`, cell(run.Tool), run.Started.Format("2006-01-02"))
	if name, ok := run.Simulated(); ok {
		fmt.Fprintf(&b, "Measured on the simulated engine %s, in virtual time: no real system answered.\n\n", cell(name))
	}
	b.WriteString("| tier | agents | interval |\n|---|---:|---|\n")
	for _, a := range search.Answers {
		agents := fmt.Sprint(a.L)
		if !a.Known() {
			agents = "–" // no level was certified to pass
		}
		upper := "no level failed"
		if a.U > 0 {
			upper = fmt.Sprintf("%d to %d", a.Lo, a.Hi)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", cell(a.SLO.String()), agents, upper)
	}
	b.WriteString(`
Agents is the largest level that was measured and met the tier together with
every lower level that was measured. The true capacity, over the horizon of the
search and for these sessions, lies in the interval. An agent is a closed loop
that plays recorded sessions one after another and waits between calls as its
session did; most of the time it has no call in flight.

| file | what it holds |
|---|---|
| result.json | facts of the run, every probe with its verdicts, every capacity with its warnings |
| system.yaml | the system under test, as its owner described it |
| samples/probe-000.parquet, … | one row for each measured call of one probe; opens in DuckDB, pandas, Polars |
| manifest.json | size and SHA-256 of every file; the directory is whole if this file is there |

To look at it:  capstan report DIRECTORY -o report.html
To check it:    capstan verify DIRECTORY
                (hashes every file, then computes every verdict again from the samples)

Times in the samples are microseconds since the start of the probe. The time to
the first token counts from due_us, when the call should have been sent, so that
a slow client shows. A call that failed is a row whose error is set.

Before comparing two results look at "comparability" in result.json: unless they
agree there, the numbers answer different questions. "capstan report A B" refuses
to set such results side by side and says where they differ.
`)
	return []byte(b.String())
}

// cell keeps a text inside its cell of a Markdown table.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "\r", " ").Replace(s)
}
