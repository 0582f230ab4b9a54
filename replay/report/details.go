package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/cost"
	"github.com/capstan-bench/capstan/replay/result"
	"github.com/capstan-bench/capstan/replay/stat"
)

// pageResult is one result on the page.
type pageResult struct {
	Letter, Name, Lead string
	Color              int
	System, Run        []fact
	Tiers              [][]string
	Probes             []pageProbe
	Footnotes          []footnote
}

// fact is a line of a list of names and values.
type fact struct {
	Name, Value string
	Code        bool // to be copied
}

type pageProbe struct {
	Index, Level, Phase, Window, Calls, Plays, Duty string
	Speed, SpeedSide, TTFT, TTFTSide                string
	Verdicts                                        []pageVerdict
	Marks                                           marks
}

type pageVerdict struct {
	Text, Class string
	Why         []string
}

func newPageResult(i int, r *result.Result) pageResult {
	s := r.System
	p := pageResult{
		Letter: letter(i), Name: s.Name, Color: 1 + i%curveColors,
		Lead: fmt.Sprintf("%d × %s %s · %s %s · %s%s", s.Accelerators.Count, s.Accelerators.Vendor, s.Accelerators.Product,
			s.Software.Engine, s.Software.Version, r.Run.Model, simulated(r)),
		System: systemFacts(s), Run: runFacts(r),
	}
	for _, slo := range tiersOf(r.Search) {
		var lines []string
		for _, c := range slo.Conds {
			lines = append(lines, strings.Replace(condition(c), "output speed", "speed", 1))
		}
		p.Tiers = append(p.Tiers, lines)
	}
	points := map[int]capacity.Point{}
	for _, pt := range r.Search.Curve {
		points[pt.Probe] = pt
	}
	var notes footnotes
	for _, rec := range r.Search.Probes {
		pt, ok := points[rec.Ask.Index]
		if !ok {
			pt = capacity.Point{Speed: stat.None(0), TTFT: stat.None(0)}
		}
		p.Probes = append(p.Probes, newPageProbe(rec, pt, &notes))
	}
	p.Footnotes = notes.list()
	return p
}

// tiersOf lists the tiers that probes were judged against.
func tiersOf(s capacity.Result) []capacity.SLO {
	var tiers []capacity.SLO
	for _, a := range answers(s) {
		tiers = append(tiers, a.SLO)
	}
	if len(tiers) == 0 && len(s.Probes) > 0 { // the search did not end
		for _, j := range judgements(s.Probes[0]) {
			tiers = append(tiers, j.SLO)
		}
	}
	return tiers
}

func newPageProbe(rec capacity.ProbeRecord, pt capacity.Point, notes *footnotes) pageProbe {
	p := pageProbe{
		Index: strconv.Itoa(rec.Ask.Index), Level: whole(float64(rec.Ask.Level)), Phase: string(rec.Phase),
		Window: lasted(rec.To - rec.From), Calls: whole(float64(rec.Calls)), Plays: whole(float64(rec.Plays)), Duty: duty(rec.Duty),
		Speed: number(pt.Speed.Center), TTFT: number(pt.TTFT.Center),
		SpeedSide: sideOf(pt.Speed), TTFTSide: sideOf(pt.TTFT),
	}
	for _, s := range rec.Invalid {
		p.Marks = append(p.Marks, notes.mark("INVALID: "+s))
	}
	if !rec.Settled {
		p.Marks = append(p.Marks, notes.mark("never settled: not every agent had completed a call when the window opened"))
	}
	for _, s := range rec.Warnings {
		p.Marks = append(p.Marks, notes.mark(s))
	}
	for _, j := range judgements(rec) {
		p.Verdicts = append(p.Verdicts, newPageVerdict(j))
		for _, s := range unique(judgementNotes(j)) {
			p.Marks = append(p.Marks, notes.mark(s))
		}
	}
	return p
}

func sideOf(e stat.Estimate) string {
	if math.IsNaN(e.Center) {
		return ""
	}
	return interval(e, number)
}

// newPageVerdict says also which conditions kept a tier from passing.
func newPageVerdict(j capacity.Judgement) pageVerdict {
	v := pageVerdict{Text: string(j.Verdict), Class: strings.ToLower(string(j.Verdict))}
	for _, c := range j.Conds {
		if c.Verdict != capacity.Pass {
			v.Why = append(v.Why, reason(c))
		}
	}
	return v
}

// reason is the measured side of a condition: "P25 speed 18.3". The limit stands
// in the table's head.
func reason(c capacity.CondResult) string {
	if c.Cond.Metric == capacity.ErrorRate {
		return "failed calls " + percent(c.Estimate.Center)
	}
	text, _, _ := strings.Cut(condition(c.Cond), symbol(c.Cond.Op))
	return strings.Replace(text, "output speed", "speed", 1) + number(c.Estimate.Center)
}

// lasted writes a length of time as people say it: 45 s, 12 min, 3 h 20 min.
func lasted(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return number(d.Seconds()) + " s"
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	m := int(math.Round(d.Minutes()))
	return fmt.Sprintf("%d h %d min", m/60, m%60)
}

// systemFacts lists the manifest; what it doesn't state is left out, except what
// units need.
func systemFacts(s cost.System) []fact {
	facts := []fact{
		{Name: "Vendor", Value: s.Vendor},
		{Name: "Accelerators", Value: fmt.Sprintf("%d × %s %s", s.Accelerators.Count, s.Accelerators.Vendor, s.Accelerators.Product)},
	}
	for _, m := range s.Accelerators.Memory {
		facts = append(facts, fact{Name: "Memory of each", Value: fmt.Sprintf("%s GiB %s at %s GB/s", number(m.GiB), m.Kind, number(m.GBPerS))})
	}
	facts = append(facts, fact{Name: "Power", Value: powerText(s.Power)}, fact{Name: "Price", Value: priceText(s)}, fact{Name: "Rack", Value: rackText(s.Rack)})
	w := s.Software
	for _, f := range []fact{
		{Name: "Engine", Value: w.Engine + " " + w.Version}, {Name: "Container", Value: w.Container, Code: true},
		{Name: "Driver", Value: w.Driver}, {Name: "Firmware", Value: w.Firmware}, {Name: "OS", Value: w.OS},
		{Name: "Parallelism", Value: s.Parallelism}, {Name: "Quantization", Value: s.Quantization},
		{Name: "KV cache type", Value: s.KVCacheType}, {Name: "Speculative decoding", Value: s.Speculative},
		{Name: "Disaggregation", Value: s.Disaggregate}, {Name: "Routing", Value: s.Routing}, {Name: "Cache policy", Value: s.CachePolicy},
		{Name: "Launch command", Value: s.Launch, Code: true}, {Name: "Notes", Value: s.Notes},
	} {
		if f.Value != "" {
			facts = append(facts, f)
		}
	}
	return facts
}

func powerText(p *cost.Power) string {
	if p == nil {
		return "not stated"
	}
	return fmt.Sprintf("%g kW, class %s (%s)", p.KW, p.Class, p.Source)
}

func priceText(s cost.System) string {
	if p := s.Price; p != nil {
		return fmt.Sprintf("$%s an hour (%s, %s)", number(p.USDPerHour), p.Source, p.Date)
	}
	usd, ok := s.USDPerHour()
	if !ok {
		return "not stated"
	}
	o := s.Owned
	text := fmt.Sprintf("$%s an hour, owned: $%s over %g years, $%g a kWh at a PUE of %g", number(usd), whole(o.CapexUSD), o.Years, o.USDPerKWh, o.PUE)
	if o.UpkeepUSD > 0 {
		text += fmt.Sprintf(", upkeep $%s a year", whole(o.UpkeepUSD))
	}
	return fmt.Sprintf("%s (%s, %s)", text, o.Source, o.Date)
}

func rackText(r *cost.Rack) string {
	switch {
	case r == nil:
		return "not stated"
	case r.KW == 0:
		return fmt.Sprintf("%d accelerators, power limit not stated", r.Accelerators)
	}
	return fmt.Sprintf("%d accelerators, at most %g kW", r.Accelerators, r.KW)
}

func keyFacts(r *result.Result) []fact {
	k := r.Run.Key
	names := map[string]string{
		"dataset": "Dataset", "max_context_tokens": "Longest context", "cut_share": "Calls cut away", "mean_input_tokens": "Mean input",
		"gaps": "Gaps", "gap_cap_s": "Gap cap", "text": "Text", "output": "Output", "salts": "Salts", "tool_streaming": "Tool calls",
	}
	var facts []fact
	for _, f := range k.Fields() {
		v := fact{Name: names[f.Name], Value: f.Value, Code: f.Name == "dataset"}
		switch {
		case f.Name == "max_context_tokens" && k.MaxContext == 0, f.Name == "gap_cap_s" && k.Gaps != "none" && k.GapCap == 0:
			v.Value = "no limit"
		case f.Name == "gap_cap_s" && k.Gaps == "none":
			continue // nothing to cap
		case f.Name == "max_context_tokens":
			v.Value = whole(float64(k.MaxContext)) + " tokens"
		case f.Name == "cut_share":
			v.Value = percent(k.CutShare)
		case f.Name == "mean_input_tokens":
			v.Value = whole(k.MeanInput) + " tokens a call"
		case f.Name == "gap_cap_s":
			v.Value = f.Value + " s"
		}
		facts = append(facts, v)
	}
	if h := r.Search.Horizon; h > 0 {
		facts = append(facts, fact{Name: "Horizon", Value: lasted(h)})
	}
	return facts
}

func runFacts(r *result.Result) []fact {
	run := r.Run
	facts := []fact{
		{Name: "Started", Value: run.Started.UTC().Format("2006-01-02 15:04 UTC")},
		{Name: "Model", Value: run.Model},
		{Name: "Endpoint", Value: strings.Join(run.Endpoints, ", "), Code: true},
		{Name: "Dataset", Value: fmt.Sprintf("%s, %s, %s", run.Dataset.Name, counted(run.Dataset.Sessions, "session"), counted(run.Dataset.Calls, "call"))},
		{Name: "Plan", Value: run.Plan.Hash, Code: true},
		{Name: "Seed", Value: strconv.FormatUint(run.Seed, 10), Code: true},
		{Name: "Rewrites", Value: orNone(strings.Join(run.Plan.Rewrites, "; "))},
	}
	if run.Wall > 0 {
		facts = append(facts, fact{Name: "Took", Value: lasted(time.Duration(run.Wall * float64(time.Second)))})
	}
	return append(facts,
		fact{Name: "Client", Value: fmt.Sprintf("%s/%s, %d CPUs, %s", run.Client.OS, run.Client.Arch, run.Client.CPUs, run.Go)},
		fact{Name: "capstan", Value: run.Tool})
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
