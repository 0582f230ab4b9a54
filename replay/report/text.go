package report

import (
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/capstan-bench/capstan/replay/cost"
	"github.com/capstan-bench/capstan/replay/result"
	"github.com/capstan-bench/capstan/replay/stat"
)

// TextConfig says how Text prints.
type TextConfig struct {
	Color bool // use ANSI: bold capacities, faint intervals
}

// Text prints one table, tiers down and units across, each figure with its
// interval, and below it every warning. Several results are printed below each
// other within a tier; it is a *KeyError if their keys differ.
func Text(w io.Writer, c TextConfig, results ...*result.Result) error {
	if err := check(results); err != nil {
		return err
	}
	all := rows(results)
	var b strings.Builder
	for i, r := range results {
		fmt.Fprintf(&b, "%s%s\n", mark(results, i), clean(headline(r)))
	}
	fmt.Fprintf(&b, "%s\n\n", clean(conditions(results[0])))
	if len(all) == 0 {
		b.WriteString("no capacity: the search did not end\n")
	} else {
		writeGrid(&b, c, textGrid(results, all))
	}
	writeNotes(&b, results, all)
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// mark tells results apart where there are several.
func mark(results []*result.Result, i int) string {
	if len(results) < 2 {
		return ""
	}
	return fmt.Sprintf("%s: ", letter(i))
}

// letter names the i-th result: A, B, …, Z, 27, …
func letter(i int) string {
	if i < 26 {
		return string(rune('A' + i))
	}
	return fmt.Sprint(i + 1)
}

func headline(r *result.Result) string {
	s := r.System
	return fmt.Sprintf("%s (%s, %d × %s) · %s %s · %s%s", s.Name, s.Vendor, s.Accelerators.Count, s.Accelerators.Product,
		s.Software.Engine, s.Software.Version, r.Run.Model, simulated(r))
}

// simulated says that no real system answered.
func simulated(r *result.Result) string {
	name, ok := r.Run.Simulated()
	if !ok {
		return ""
	}
	return fmt.Sprintf(" · simulated engine %s, virtual time", name)
}

// conditions is what every capacity has to be read with, and the same for all
// results that are printed together.
func conditions(r *result.Result) string {
	k := r.Run.Key
	capped := ", not capped"
	switch {
	case k.Gaps == "none": // nothing to cap
		capped = ""
	case k.GapCap > 0:
		capped = fmt.Sprintf(", capped at %g s", k.GapCap)
	}
	horizon := ""
	if h := r.Search.Horizon; h > 0 {
		horizon = "; horizon " + lasted(h)
	}
	cut := ""
	if k.MaxContext > 0 {
		cut = fmt.Sprintf("; cut at %s tokens, %s of the calls left out", whole(float64(k.MaxContext)), percent(k.CutShare))
	}
	return fmt.Sprintf("%s: %s, %s; gaps %s%s; output %s; %s text%s%s", r.Run.Dataset.Name,
		counted(r.Run.Dataset.Sessions, "session"), counted(r.Run.Dataset.Calls, "call"), k.Gaps, capped, k.Output, k.Text, horizon, cut)
}

// clean keeps a name of a stranger from steering the terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || (r >= 0x200e && r <= 0x200f) || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// gridCell is a figure and, in lighter type, its interval.
type gridCell struct {
	main, side string
	left       bool
}

func textGrid(results []*result.Result, all []row) [][]gridCell {
	head := []gridCell{{main: "tier", left: true}}
	if len(results) > 1 {
		head = append(head, gridCell{main: "", left: true})
	}
	head = append(head, gridCell{main: "agents"}, gridCell{main: "calls"}, gridCell{main: "duty"})
	shown := shownColumns(all)
	for _, c := range shown {
		head = append(head, gridCell{main: c.head(results)})
	}
	grid := [][]gridCell{head}
	for i, w := range all {
		tier := clean(w.Answer.SLO.String())
		if i > 0 && w.Answer.SLO.String() == all[i-1].Answer.SLO.String() {
			tier = ""
		}
		line := []gridCell{{main: tier, left: true}}
		if len(results) > 1 {
			line = append(line, gridCell{main: letter(w.Result), left: true})
		}
		line = append(line, gridCell{main: whole(w.agents().Center), side: interval(w.agents(), whole)},
			gridCell{main: w.calls()}, gridCell{main: duty(w.Duty)})
		for _, c := range shown {
			line = append(line, unitCell(c.of(w.Units)))
		}
		grid = append(grid, line)
	}
	return grid
}

// shownColumns leaves out per MW, which is per kW again, and the columns that
// hold nothing for any row; the notes say why those are missing.
func shownColumns(all []row) []column {
	var shown []column
	for _, c := range columns {
		any := false
		for _, w := range all {
			any = any || c.of(w.Units).Value != nil
		}
		if any && c.JSON != "per_mw" {
			shown = append(shown, c)
		}
	}
	return shown
}

func unitCell(u cost.Unit) gridCell {
	if u.Value == nil {
		return gridCell{main: "–"}
	}
	star := ""
	if u.Extrapolated {
		star = "*"
	}
	return gridCell{main: number(u.Value.Center) + star, side: interval(*u.Value, number)}
}

// calls writes how many calls a capacity rests on.
func (w row) calls() string {
	if math.IsNaN(w.Duty) {
		return "–"
	}
	return whole(float64(w.Calls))
}

// measured says calls with the noun, or nothing where none is known.
func (w row) measured() string {
	if math.IsNaN(w.Duty) {
		return ""
	}
	return counted(w.Calls, "call")
}

func duty(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	return fmt.Sprintf("%.2f", v)
}

// interval writes an estimate's interval; an end that is not known is ∞, or only
// the other one is named.
func interval(e stat.Estimate, f func(float64) string) string {
	if math.IsInf(e.Lo, -1) && !math.IsInf(e.Hi, 1) {
		return "≤ " + f(e.Hi)
	}
	return "[" + f(e.Lo) + ", " + f(e.Hi) + "]"
}

// writeGrid aligns columns: first ones left, figures right, intervals left of
// their own margin, so that digits stand below each other.
func writeGrid(b *strings.Builder, c TextConfig, grid [][]gridCell) {
	mains, sides := make([]int, len(grid[0])), make([]int, len(grid[0]))
	for i, line := range grid {
		for j, cell := range line {
			if i > 0 {
				mains[j] = max(mains[j], utf8.RuneCountInString(cell.main))
			}
			sides[j] = max(sides[j], utf8.RuneCountInString(cell.side))
		}
	}
	for j, cell := range grid[0] { // a heading stands over figure and interval together
		gap := 0
		if sides[j] > 0 {
			gap = 1
		}
		mains[j] = max(mains[j], utf8.RuneCountInString(cell.main)-sides[j]-gap)
	}
	for i, line := range grid {
		var text strings.Builder
		for j, cell := range line {
			if j > 0 {
				text.WriteString("   ")
			}
			writeCell(&text, c, cell, mains[j], sides[j], i == 0)
		}
		b.WriteString(strings.TrimRight(text.String(), " ") + "\n")
	}
}

func writeCell(b *strings.Builder, c TextConfig, cell gridCell, main, side int, head bool) {
	total := main
	if side > 0 {
		total += 1 + side
	}
	pad := func(n int, s string) string { return strings.Repeat(" ", max(0, n-utf8.RuneCountInString(s))) }
	switch {
	case head && cell.left:
		b.WriteString(faint(c, cell.main) + pad(total, cell.main))
	case head:
		b.WriteString(pad(total, cell.main) + faint(c, cell.main))
	case cell.left:
		b.WriteString(cell.main + pad(total, cell.main))
	default:
		b.WriteString(pad(main, cell.main) + bold(c, cell.main))
		if side > 0 {
			b.WriteString(" " + faint(c, cell.side) + pad(side, cell.side))
		}
	}
}

func bold(c TextConfig, s string) string { return ansi(c, "\x1b[1m", s) }

func faint(c TextConfig, s string) string { return ansi(c, "\x1b[2m", s) }

func ansi(c TextConfig, code, s string) string {
	if !c.Color || s == "" {
		return s
	}
	return code + s + "\x1b[0m"
}

func writeNotes(b *strings.Builder, results []*result.Result, all []row) {
	var lines []string
	add := func(where, text string) { lines = append(lines, "  "+clean(where)+": "+clean(text)) }
	for i, r := range results {
		if r.Partial {
			add(mark(results, i)+"search", "partial: it did not end, so there is no capacity")
		}
		for _, s := range r.Search.Warnings {
			add(mark(results, i)+"search", s)
		}
	}
	for _, w := range all {
		for _, n := range w.Notes {
			add(mark(results, w.Result)+w.Answer.SLO.String(), n)
		}
	}
	if s := mixedPower(results); s != "" {
		add("power", s)
	}
	section(b, "warnings", lines)
	lines = nil
	for i, notes := range unitNotes(results, all) {
		for _, n := range notes {
			lines = append(lines, "  "+mark(results, i)+clean(n))
		}
	}
	section(b, "units (* extrapolated)", lines)
}

func section(b *strings.Builder, title string, lines []string) {
	if len(lines) > 0 {
		fmt.Fprintf(b, "\n%s\n%s\n", title, strings.Join(lines, "\n"))
	}
}
