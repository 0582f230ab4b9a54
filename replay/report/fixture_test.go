package report_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/cost"
	"github.com/capstan-bench/capstan/replay/result"
	"github.com/capstan-bench/capstan/replay/stat"
)

const bigSystem = `name: NVL 32 of 72
vendor: Example
accelerators: {vendor: Example, product: X300, count: 32, memory: [{kind: HBM3e, gib: 288, gb_per_s: 8000}]}
rack: {accelerators: 72, kw: 132}
power: {kw: 29.99, class: board, source: measured under load}
price: {usd_per_hour: 128, source: price list, date: 2026-06-12}
software: {engine: serve, version: "1.3", driver: "570.1"}
parallelism: 6 x prefill DEP4 + 1 x decode DEP8
quantization: MXFP4
speculative_decoding: MTP, 3 tokens
launch_command: serve --model m --port 8000
`

const smallSystem = `name: wafer pair
vendor: Example
accelerators: {vendor: Example, product: Wafer 3, count: 2, memory: [{kind: SRAM, gib: 41, gb_per_s: 21000000}, {kind: DDR5, gib: 1024, gb_per_s: 614}]}
software: {engine: wafer-serve, version: "2.0"}
`

func parse(t testing.TB, text string) cost.System {
	t.Helper()
	s, err := cost.ParseSystem("system.yaml", []byte(text), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func run(model string) result.Run {
	return result.Run{
		Started: time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC), Wall: 5025, Tool: "v0.1.0", Go: "go1.26.0",
		Client:  result.Client{OS: "linux", Arch: "amd64", CPUs: 16},
		Dataset: result.Dataset{Name: "smoke", Hash: "9f2c", Sessions: 24, Calls: 911},
		Plan:    result.Plan{Hash: "77aa", Ring: 5400, Rewrites: []string{"cache_control dropped"}},
		Model:   model, Endpoints: []string{"http://127.0.0.1:8000"}, Seed: math.MaxUint64,
		Tiers: []string{"p25(speed)>=20 & p95(ttft)<=10s"},
		Key: result.Key{Dataset: "9f2c", MaxContext: 131072, CutShare: 0.031, MeanInput: 27103.4, Gaps: "recorded",
			GapCap: 300, Text: result.Recorded, Output: "exact", Salts: "probe and play", ToolStreaming: result.Streamed},
	}
}

// search plays a made-up system: speed falls with agents, the first token comes
// later, and its figures are certain to 8%. The true capacity of a tier is where
// a curve crosses its limit.
func search(t testing.TB, knee float64, levels ...int) capacity.Result {
	t.Helper()
	tiers, ok := capacity.Tiers("aa-deepseek-v4-pro")
	if !ok {
		t.Fatal("the tier set is gone")
	}
	s := capacity.Result{Horizon: time.Hour}
	for i, level := range levels {
		speed := stat.Estimate{Center: 230 / (1 + 10*float64(level)/knee), Confidence: 0.95, N: level * 40}
		ttft := stat.Estimate{Center: 0.4 + 6*math.Pow(float64(level)/knee, 3), Confidence: 0.95, N: level * 40}
		widen(&speed)
		widen(&ttft)
		s.Curve = append(s.Curve, capacity.Point{Probe: i, Level: level, Speed: speed, TTFT: ttft})
		rec := capacity.ProbeRecord{
			Ask: capacity.Ask{Index: i, Level: level, Seed: uint64(i)}, Phase: capacity.Ramp, From: time.Minute, To: 11 * time.Minute,
			Duty: 0.25, Calls: level * 40, Plays: level * 3, Sessions: 24, Settled: true,
		}
		if level >= 1024 {
			rec.Warnings = []string{"mean input of the window is 3% off the plan"}
		}
		for _, tier := range tiers {
			rec.Judgements = append(rec.Judgements, judge(tier, i, level, speed, ttft))
		}
		s.Probes = append(s.Probes, rec)
	}
	slices.SortFunc(s.Curve, func(a, b capacity.Point) int {
		return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(a.Probe, b.Probe))
	})
	for i, tier := range tiers {
		s.Answers = append(s.Answers, answer(s, i, tier))
	}
	return s
}

// widen also rounds, so that golden files are the same on every processor.
func widen(e *stat.Estimate) {
	round := func(v float64) float64 { return math.Round(v*1e4) / 1e4 }
	e.Center = round(e.Center)
	e.Lo, e.Hi = round(e.Center*0.93), round(e.Center*1.08)
}

func judge(tier capacity.SLO, probe, level int, speed, ttft stat.Estimate) capacity.Judgement {
	j := capacity.Judgement{SLO: tier, Level: level, Probe: probe, Verdict: capacity.Pass, N: speed.N}
	for _, c := range tier.All() {
		r := capacity.CondResult{Cond: c, Verdict: capacity.Pass, Estimate: stat.Estimate{Confidence: 0.95, N: speed.N}}
		switch c.Metric {
		case capacity.Speed:
			r.Estimate, r.Verdict = speed, side(speed.Lo >= c.Limit, speed.Hi < c.Limit)
		case capacity.TTFT:
			r.Estimate, r.Verdict = ttft, side(ttft.Hi <= c.Limit, ttft.Lo > c.Limit)
		}
		if r.Verdict == capacity.Fail || j.Verdict == capacity.Pass {
			j.Verdict = r.Verdict
		}
		j.Conds = append(j.Conds, r)
	}
	return j
}

func side(pass, fail bool) capacity.Verdict {
	switch {
	case pass:
		return capacity.Pass
	case fail:
		return capacity.Fail
	}
	return capacity.Undecided
}

func answer(s capacity.Result, tier int, slo capacity.SLO) capacity.Answer {
	a := capacity.Answer{SLO: slo}
	for _, p := range s.Probes {
		switch level := p.Ask.Level; p.Judgements[tier].Verdict {
		case capacity.Pass:
			if level > a.L {
				a.L, a.Lo, a.Confirms = level, level, []int{p.Ask.Index}
			}
		case capacity.Fail:
			if a.U == 0 || level < a.U {
				a.U, a.Hi = level, level-1
			}
		}
	}
	a.Point, a.Confirmed = float64(a.L), a.L > 0
	if tier == 1 {
		a.Warnings = []string{fmt.Sprintf("these sessions only: the dataset holds %d", 24)}
	}
	return a
}

// fixtures are two systems that were sent the same; the second states no power,
// price and rack, and never failed the loosest tier.
func fixtures(t testing.TB) (big, small *result.Result) {
	t.Helper()
	big = &result.Result{Run: run("deepseek-v4-pro"), System: parse(t, bigSystem),
		Search: search(t, 1900, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 1536, 1792, 1840, 1900, 48, 56, 390, 400, 420)}
	small = &result.Result{Run: run("deepseek-v4-pro"), System: parse(t, smallSystem),
		Search: search(t, 160, 1, 2, 4, 8, 16, 32, 64, 128, 150)}
	return big, small
}
