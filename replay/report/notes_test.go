package report_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/report"
	"github.com/capstan-bench/capstan/schema"
)

// What units rest on is said once, whichever tiers have them, and a tier that no
// level met says why by its lowest level.
func TestNotesOfTierWithoutCapacity(t *testing.T) {
	big, _ := fixtures(t)
	big.Search.Probes[0].Judgements[1].Conds[0].Warnings = []string{"8 calls are few"}
	a := &big.Search.Answers[1]
	a.L, a.Lo, a.Confirmed, a.Confirms = 0, 0, false, nil
	var b bytes.Buffer
	if err := plain(&b, big); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if n := strings.Count(text, "128.00/h"); n != 1 {
		t.Errorf("the price is told %d times, want once:\n%s", n, text)
	}
	for _, want := range []string{": level 1: p25(speed)>=", ": 8 calls are few", "cut at 131,072 tokens, 3.1% of the calls left out", "$/agent-hour: none: "} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
}

// A warning of a level names the figure that it is about.
func TestLevelWarningsNameTheirFigure(t *testing.T) {
	slo, err := capacity.ParseSLO("p95(ttft)<=10s")
	if err != nil {
		t.Fatal(err)
	}
	at := int64(61e6)
	w := capacity.Window{Ask: capacity.Ask{Level: 1}, From: time.Minute, To: 2 * time.Minute, Settled: true,
		Samples: []schema.Sample{{DueUS: 60e6, FirstTokenUS: &at, LastTokenUS: &at, DoneUS: &at}}}
	var b bytes.Buffer
	if err := report.NewLevel(w, []capacity.Judgement{capacity.Judge(slo, w)}).Text(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"[0, ∞]", "warning  p95(e2e): 1 observations", "warning  p95(ttft)<=10s: 1 calls: even without a miss"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the text lacks %q:\n%s", want, b.String())
		}
	}
}
