package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/cost"
	"github.com/capstan-bench/capstan/replay/result"
	"github.com/capstan-bench/capstan/replay/stat"
)

// KeyError says why results can't be set side by side.
type KeyError struct {
	A, B        string // names of the two systems
	Differences []result.Difference
}

func (e *KeyError) Error() string {
	parts := make([]string, len(e.Differences))
	for i, d := range e.Differences {
		parts[i] = d.String()
	}
	return fmt.Sprintf("compare %q with %q: they answer different questions: %s", e.A, e.B, strings.Join(parts, "; "))
}

// check refuses an empty list and results whose keys differ.
func check(results []*result.Result) error {
	if len(results) == 0 {
		return fmt.Errorf("report: got no result")
	}
	first := results[0]
	for _, r := range results[1:] {
		if ds := result.Comparable(first, r); len(ds) > 0 {
			return &KeyError{A: first.System.Name, B: r.System.Name, Differences: ds}
		}
	}
	return nil
}

// row is one capacity of one result, with what a reader needs beside it.
type row struct {
	Result int // index
	Answer capacity.Answer
	Units  cost.Units
	Calls  int     // measured in the probe that stands for L; 0: no such probe
	Duty   float64 // of that probe; NaN: no such probe
	Notes  []string
}

// rows lists every capacity: tiers in the order in which they were first asked
// for, and for each the results in theirs.
func rows(results []*result.Result) []row {
	var all []row
	var tiers []string
	for i, r := range results {
		for _, a := range answers(r.Search) {
			all = append(all, newRow(i, r, a))
			if tier := a.SLO.String(); !slices.Contains(tiers, tier) {
				tiers = append(tiers, tier)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b row) int {
		return cmp.Or(
			cmp.Compare(slices.Index(tiers, a.Answer.SLO.String()), slices.Index(tiers, b.Answer.SLO.String())),
			cmp.Compare(a.Result, b.Result))
	})
	return all
}

// answers drops a tier that was asked for twice: it is no other capacity.
func answers(s capacity.Result) []capacity.Answer {
	var out []capacity.Answer
	for _, a := range s.Answers {
		if !slices.ContainsFunc(out, func(b capacity.Answer) bool { return a.SLO.String() == b.SLO.String() }) {
			out = append(out, a)
		}
	}
	return out
}

// judgements drops those of a tier that was asked for twice.
func judgements(p capacity.ProbeRecord) []capacity.Judgement {
	var out []capacity.Judgement
	for _, j := range p.Judgements {
		if !slices.ContainsFunc(out, func(k capacity.Judgement) bool { return j.SLO.String() == k.SLO.String() }) {
			out = append(out, j)
		}
	}
	return out
}

// noPass is said where a capacity is not known.
const noPass = "no level was certified to pass"

// agents is the capacity; its centre is not a number where it is not known.
func (w row) agents() stat.Estimate {
	e := w.Answer.Agents()
	if !w.Answer.Known() {
		e.Center = math.NaN()
	}
	return e
}

// unknown takes the values of units that come of a capacity that is not known.
func unknown(u cost.Units) cost.Units {
	for _, c := range []*cost.Unit{&u.PerAccelerator, &u.PerKW, &u.PerMW, &u.PerUSDHour, &u.PerRack, &u.USDPerAgentHour} {
		if c.Value != nil {
			*c = cost.Unit{Absent: noPass}
		}
	}
	return u
}

func newRow(i int, r *result.Result, a capacity.Answer) row {
	w := row{Result: i, Answer: a, Units: cost.Per(a.Agents(), r.System), Duty: math.NaN()}
	w.Notes = append(w.Notes, a.Warnings...)
	if !a.Known() {
		w.Units = unknown(w.Units)
		w.Notes = append(w.Notes, noPass)
	}
	if !a.Confirmed && a.L > 0 {
		w.Notes = append(w.Notes, "not confirmed over the horizon on a fresh seed")
	}
	if p, ok := standsFor(r.Search, a); ok {
		w.Calls, w.Duty = p.Calls, p.Duty
		w.Notes = append(w.Notes, probeNotes(p, a.SLO)...)
	} else if p, ok := lowest(r.Search); ok && a.L == 0 {
		w.Notes = append(w.Notes, openNotes(p, a.SLO)...)
	}
	w.Notes = unique(w.Notes)
	return w
}

// standsFor is the probe whose figures are shown beside a capacity: the last one
// that confirmed L, else the last at L.
func standsFor(s capacity.Result, a capacity.Answer) (capacity.ProbeRecord, bool) {
	for _, i := range slices.Backward(a.Confirms) {
		if i >= 0 && i < len(s.Probes) {
			return s.Probes[i], true
		}
	}
	for _, p := range slices.Backward(s.Probes) {
		if p.Ask.Level == a.L {
			return p, true
		}
	}
	return capacity.ProbeRecord{}, false
}

// lowest is the last probe of the lowest level: where nothing passed, it says
// why best.
func lowest(s capacity.Result) (low capacity.ProbeRecord, ok bool) {
	for _, p := range s.Probes {
		if !ok || p.Ask.Level <= low.Ask.Level {
			low, ok = p, true
		}
	}
	return low, ok
}

// openNotes say why a probe did not decide the conditions of a tier.
func openNotes(p capacity.ProbeRecord, slo capacity.SLO) []string {
	var notes []string
	for _, j := range p.Judgements {
		for _, c := range j.Conds {
			for _, s := range c.Warnings {
				if j.SLO.String() == slo.String() {
					notes = append(notes, fmt.Sprintf("level %d: %s: %s", p.Ask.Level, c.Cond, s))
				}
			}
		}
	}
	return notes
}

// probeNotes are the warnings of a probe that concern one tier.
func probeNotes(p capacity.ProbeRecord, slo capacity.SLO) []string {
	var notes []string
	for _, s := range p.Invalid {
		notes = append(notes, "INVALID: "+s)
	}
	if !p.Settled {
		notes = append(notes, fmt.Sprintf("probe %d never settled", p.Ask.Index))
	}
	notes = append(notes, p.Warnings...)
	for _, j := range p.Judgements {
		if j.SLO.String() == slo.String() {
			notes = append(notes, judgementNotes(j)...)
		}
	}
	return notes
}

func judgementNotes(j capacity.Judgement) []string {
	notes := slices.Clone(j.Warnings)
	for _, c := range j.Conds {
		for _, w := range slices.Concat(c.Warnings, c.Estimate.Warnings) {
			notes = append(notes, c.Cond.String()+": "+w)
		}
	}
	return notes
}

// unique drops what was said already and keeps the order.
func unique(notes []string) []string {
	var out []string
	for _, n := range notes {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// column is one unit of the capacity table.
type column struct {
	Head string // heading
	Unit string // in the benchmark format
	JSON string
	of   func(cost.Units) cost.Unit
}

// columns lists the units in the order in which they're printed.
var columns = []column{
	{"per accelerator", "agents/accelerator", "per_accelerator", func(u cost.Units) cost.Unit { return u.PerAccelerator }},
	{"per kW", "agents/kW", "per_kw", func(u cost.Units) cost.Unit { return u.PerKW }},
	{"per MW", "agents/MW", "per_mw", func(u cost.Units) cost.Unit { return u.PerMW }},
	{"per $/h", "agents/($/h)", "per_usd_per_hour", func(u cost.Units) cost.Unit { return u.PerUSDHour }},
	{"per rack", "agents/rack", "per_rack", func(u cost.Units) cost.Unit { return u.PerRack }},
	{"$/agent-hour", "$/agent-hour", "usd_per_agent_hour", func(u cost.Units) cost.Unit { return u.USDPerAgentHour }},
}

// head writes a column's heading; power is never printed without its class.
func (c column) head(results []*result.Result) string {
	if c.JSON != "per_kw" && c.JSON != "per_mw" {
		return c.Head
	}
	var classes []string
	for _, r := range results {
		if r.System.Power != nil && !slices.Contains(classes, string(r.System.Power.Class)) {
			classes = append(classes, string(r.System.Power.Class))
		}
	}
	if len(classes) != 1 {
		return c.Head // named in each row's notes
	}
	return c.Head + " " + classes[0]
}

// unitNotes says once for each result what its units rest on.
func unitNotes(results []*result.Result, all []row) [][]string {
	notes := make([][]string, len(results))
	for i := range notes {
		var own []row
		for _, w := range all {
			if w.Result == i {
				own = append(own, w)
			}
		}
		notes[i] = append(byText(own, func(u cost.Unit) string {
			if u.Value == nil {
				return ""
			}
			return u.Note
		}), absences(own...)...)
	}
	return notes
}

// absences says which units capacities haven't got, and why.
func absences(all ...row) []string {
	return byText(all, func(u cost.Unit) string {
		if u.Value != nil {
			return ""
		}
		return "none: " + u.Absent
	})
}

// byText gathers the units of which the same is said: "per kW, per MW: …".
func byText(all []row, say func(cost.Unit) string) []string {
	var texts []string
	heads := map[string][]string{}
	for _, c := range columns {
		for _, w := range all {
			text := say(c.of(w.Units))
			if text != "" && !slices.Contains(heads[text], c.Head) {
				texts = append(texts, text)
				heads[text] = append(heads[text], c.Head)
			}
		}
	}
	texts = unique(texts)
	for i, text := range texts {
		texts[i] = strings.Join(heads[text], ", ") + ": " + text
	}
	return texts
}

// mixedPower warns where results would be read against each other per kW though
// their power was told in different classes.
func mixedPower(results []*result.Result) string {
	class := ""
	for _, r := range results {
		if r.System.Power == nil {
			continue
		}
		if c := string(r.System.Power.Class); class == "" {
			class = c
		} else if c != class {
			return fmt.Sprintf("power is of class %s in one result and %s in another: figures per kW and per MW can't be compared across them", class, c)
		}
	}
	return ""
}

// curvePoints is a result's curve with one point a level: that of the probe with
// most calls, where a level was probed more than once.
func curvePoints(s capacity.Result) []capacity.Point {
	best := map[int]capacity.Point{}
	for _, p := range s.Curve {
		if have, ok := best[p.Level]; !ok || p.Speed.N+p.TTFT.N > have.Speed.N+have.TTFT.N {
			best[p.Level] = p
		}
	}
	var points []capacity.Point
	for _, p := range best {
		points = append(points, p)
	}
	slices.SortFunc(points, func(a, b capacity.Point) int { return cmp.Compare(a.Level, b.Level) })
	return points
}

// held reports whether a probe met any tier.
func held(s capacity.Result, probe int) bool {
	if probe < 0 || probe >= len(s.Probes) {
		return false
	}
	return slices.ContainsFunc(s.Probes[probe].Judgements, func(j capacity.Judgement) bool { return j.Verdict == capacity.Pass })
}
