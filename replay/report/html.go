package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/result"
)

//go:embed page.html
var pageText string

//go:embed style.css
var pageStyle string

// HTML writes one page that stands alone: capacities, figures, systems,
// conditions and every probe, of one result or several side by side. Warnings
// are numbered where they concern a figure and written out below its table. It
// is a *KeyError if the keys of results differ.
func HTML(w io.Writer, results ...*result.Result) error {
	if err := check(results); err != nil {
		return err
	}
	p, err := newPage(results)
	if err != nil {
		return err
	}
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		panic("report: internal error: page.html: " + err.Error())
	}
	// A page that breaks off half-way is worse than none.
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// page is what page.html shows.
type page struct {
	Title, Conditions, Tool string
	Band                    string // confidence of the curves' intervals
	Style                   template.CSS
	Several                 bool
	Alerts                  []string
	Columns                 []string
	Rows                    []pageRow
	Footnotes               []footnote
	Figures                 []figure
	Key                     []fact
	Results                 []pageResult
}

type pageRow struct {
	Again            bool // the tier of the next row too
	Tier             []string
	Implied          string
	Letter           string
	Agents, Interval string
	Marks            marks
	Cells            []pageCell
	Duty, Calls      string
}

type pageCell struct {
	Head, Main, Side, Absent string
	Mark                     int
}

type footnote struct {
	Mark int
	Text string
}

// marks point at footnotes.
type marks []int

// most marks that a figure carries; the list below holds all.
const most = 4

// Text writes marks ascending, each once: "1, 3, 5–8". Neighbours share a dash,
// and beyond a few an ellipsis stands for the rest.
func (m marks) Text() string {
	var parts []string
	sorted := slices.Compact(slices.Sorted(slices.Values(m)))
	for i := 0; i < len(sorted); {
		j := i
		for j+1 < len(sorted) && sorted[j+1] == sorted[j]+1 {
			j++
		}
		if len(parts) == most {
			return strings.Join(parts, ", ") + " …"
		}
		switch part := strconv.Itoa(sorted[i]); {
		case j-i < 2:
			parts, j = append(parts, part), i
		default:
			parts = append(parts, part+"–"+strconv.Itoa(sorted[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ", ")
}

// footnotes numbers texts; the same text has one number.
type footnotes struct{ texts []string }

func (f *footnotes) mark(text string) int {
	for i, t := range f.texts {
		if t == text {
			return i + 1
		}
	}
	f.texts = append(f.texts, text)
	return len(f.texts)
}

func (f *footnotes) list() []footnote {
	var out []footnote
	for i, t := range f.texts {
		out = append(out, footnote{i + 1, t})
	}
	return out
}

func newPage(results []*result.Result) (*page, error) {
	first := results[0]
	p := &page{
		Title: first.System.Name, Conditions: conditions(first), Tool: first.Run.Tool,
		Style: template.CSS(pageStyle), Several: len(results) > 1,
		Alerts: alerts(results), Key: keyFacts(first),
	}
	if p.Several {
		var names []string
		for _, r := range results {
			names = append(names, r.System.Name)
		}
		p.Title = strings.Join(names, " and ")
	}
	p.Band = band(results)
	p.addCapacities(results)
	for i, r := range results {
		p.Results = append(p.Results, newPageResult(i, r))
	}
	figures, err := figures(results)
	p.Figures = figures
	return p, err
}

func alerts(results []*result.Result) []string {
	var out []string
	for i, r := range results {
		if r.Partial {
			out = append(out, mark(results, i)+"Partial: the search did not end. What follows are the probes that did.")
		}
		for _, s := range r.Search.Warnings {
			out = append(out, mark(results, i)+s)
		}
	}
	if s := mixedPower(results); s != "" {
		out = append(out, s)
	}
	return out
}

// band names the curves' intervals with their confidence, as long as it is one.
func band(results []*result.Result) string {
	confidence := 0.0
	for _, r := range results {
		for _, p := range r.Search.Curve {
			if c := p.Speed.Confidence; confidence == 0 {
				confidence = c
			} else if c != confidence && c != 0 {
				return "interval"
			}
		}
	}
	if confidence == 0 {
		return "interval"
	}
	return strconv.FormatFloat(100*confidence, 'g', 4, 64) + "% interval"
}

func (p *page) addCapacities(results []*result.Result) {
	all := rows(results)
	shown := shownColumns(all)
	for _, c := range shown {
		p.Columns = append(p.Columns, c.head(results))
	}
	var notes footnotes
	for i, w := range all {
		line := newPageRow(results, w, shown, &notes)
		if i > 0 && all[i-1].Answer.SLO.String() == w.Answer.SLO.String() {
			line.Tier = nil
		}
		line.Again = i+1 < len(all) && all[i+1].Answer.SLO.String() == w.Answer.SLO.String()
		p.Rows = append(p.Rows, line)
	}
	for _, w := range all {
		for _, n := range absences(w) {
			notes.mark(mark(results, w.Result) + n)
		}
	}
	p.Footnotes = notes.list()
}

func newPageRow(results []*result.Result, w row, shown []column, notes *footnotes) pageRow {
	agents := w.agents()
	line := pageRow{
		Letter: letter(w.Result), Agents: whole(agents.Center), Interval: interval(agents, whole),
		Duty: duty(w.Duty), Calls: w.measured(), Implied: implied(w.Answer.SLO),
	}
	for _, c := range w.Answer.SLO.Conds {
		line.Tier = append(line.Tier, condition(c))
	}
	for _, n := range w.Notes {
		line.Marks = append(line.Marks, notes.mark(mark(results, w.Result)+n))
	}
	for _, c := range shown {
		u := c.of(w.Units)
		cell := pageCell{Head: c.head(results), Absent: u.Absent}
		if u.Value != nil {
			cell.Main, cell.Side = number(u.Value.Center), interval(*u.Value, number)
			if u.Note != "" {
				cell.Mark = notes.mark(mark(results, w.Result) + u.Note)
			}
		}
		for _, n := range absences(w) {
			if u.Value == nil && strings.HasSuffix(n, ": none: "+u.Absent) {
				cell.Mark = notes.mark(mark(results, w.Result) + n)
			}
		}
		line.Cells = append(line.Cells, cell)
	}
	return line
}

// condition writes a condition for people: "P25 output speed ≥ 20 tok/s".
func condition(c capacity.Cond) string {
	names := map[capacity.Metric]string{
		capacity.Speed: "output speed", capacity.TTFT: "first token", capacity.E2E: "whole answer",
		capacity.ITL: "between tokens", capacity.ErrorRate: "failed calls",
	}
	// The limit as the grammar writes it is exact; number would round it.
	_, limit, _ := strings.Cut(c.String(), string(c.Op))
	if c.Metric == capacity.Speed {
		limit += " tok/s"
	} else if number, ok := strings.CutSuffix(limit, "s"); ok && strings.Trim(number, "0123456789.") == "" {
		limit = number + " s"
	}
	stat := string(c.Stat)
	if _, ok := c.Stat.Percentile(); ok {
		stat = strings.ToUpper(stat)
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s %s", stat, names[c.Metric], symbol(c.Op), limit))
}

func symbol(o capacity.Op) string {
	return strings.NewReplacer(">=", "≥", "<=", "≤").Replace(string(o))
}

// implied names the conditions that a tier has without saying so.
func implied(s capacity.SLO) string {
	var parts []string
	for _, c := range s.All()[len(s.Conds):] {
		parts = append(parts, condition(c))
	}
	if len(parts) == 0 {
		return ""
	}
	return "and " + strings.Join(parts, ", ")
}
