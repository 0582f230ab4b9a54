package report_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/cost"
	"github.com/capstan-bench/capstan/replay/report"
	"github.com/capstan-bench/capstan/replay/result"
	"github.com/capstan-bench/capstan/replay/stat"
)

func page(t testing.TB, rs ...*result.Result) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.HTML(&b, rs...); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// wellFormed reads the page as XML, which HTML is when it's written with care, and
// counts elements.
func wellFormed(t testing.TB, text string) map[string]int {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	d.Entity = xml.HTMLEntity
	count := map[string]int{}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return count
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		count[start.Name.Local]++
		for _, a := range start.Attr {
			name := strings.ToLower(a.Name.Local)
			if name == "src" || name == "href" || strings.HasPrefix(name, "on") {
				t.Errorf("<%s> has the attribute %s=%q", start.Name.Local, name, a.Value)
			}
		}
	}
}

func TestPageStandsAlone(t *testing.T) {
	big, small := fixtures(t)
	for _, rs := range [][]*result.Result{{big}, {big, small}} {
		text := page(t, rs...)
		count := wellFormed(t, text)
		if count["svg"] != 2 || count["script"] != 0 || count["link"] != 0 || count["img"] != 0 || count["h1"] != 1 {
			t.Errorf("page of %d results has elements %v", len(rs), count)
		}
		// The only addresses are the endpoint, as text, and none in the style.
		style := text[strings.Index(text, "<style>"):strings.Index(text, "</style>")]
		if regexp.MustCompile(`url\(|@import|//`).MatchString(style) {
			t.Error("the style loads something")
		}
		if regexp.MustCompile(`#01(02|03|04)0`).MatchString(text) {
			t.Error("a figure still has a stand-in colour")
		}
		if count["tr"] != 1+3*len(rs)+len(rs)+probes(rs) {
			t.Errorf("page of %d results has %d table rows, want one a capacity and one a probe", len(rs), count["tr"])
		}
	}
}

func probes(rs []*result.Result) (n int) {
	for _, r := range rs {
		n += len(r.Search.Probes)
	}
	return n
}

// Names are those of strangers: none of them becomes markup, in any field.
func TestPageEscapes(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror=y>&amp;'`
	big, small := fixtures(t)
	for _, r := range []*result.Result{big, small} {
		s := &r.System
		s.Name, s.Vendor, s.Accelerators.Product, s.Accelerators.Vendor = evil, evil, evil, evil
		s.Accelerators.Memory[0].Kind, s.Software.Engine, s.Software.Version = evil, evil, evil
		s.Launch, s.Notes, s.Routing, s.CachePolicy = evil, evil, evil, evil
		if s.Power != nil {
			s.Power.Source, s.Price.Source = evil, evil
		}
		run := &r.Run
		run.Model, run.Dataset.Name, run.Plan.Hash, run.Tool, run.Go = evil, evil, evil, evil, evil
		run.Endpoints, run.Plan.Rewrites = []string{evil}, []string{evil}
		run.Key.Dataset, run.Key.Gaps, run.Key.Text, run.Key.Output, run.Key.Salts = evil, evil, evil, evil, evil
		r.Search.Warnings = []string{evil}
		r.Search.Answers[0].Warnings = []string{evil}
		r.Search.Probes[0].Warnings, r.Search.Probes[0].Invalid = []string{evil}, []string{evil}
		r.Search.Probes[0].Phase = evil
		r.Search.Probes[0].Judgements[0].Warnings = []string{evil}
		r.Search.Probes[0].Judgements[0].Verdict = evil
	}
	text := page(t, big, small)
	count := wellFormed(t, text)
	if count["script"] != 0 || count["img"] != 0 || strings.Contains(text, "<script") {
		t.Errorf("a name became markup: %v", count)
	}
	if strings.Count(text, "&lt;script&gt;") < 40 {
		t.Errorf("names are not printed: %d times", strings.Count(text, "&lt;script&gt;"))
	}
}

// A terminal is not steered by a name either.
func TestTextEscapes(t *testing.T) {
	big, _ := fixtures(t)
	big.System.Name, big.Search.Warnings = "\x1b]0;owned\x07\u202e", []string{"a\nb\r\u009b2J"}
	var b bytes.Buffer
	if err := plain(&b, big); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\x07\r\u009b\u202e") || strings.Contains(b.String(), "a\nb") {
		t.Errorf("the text holds control characters: %q", b.String()[:200])
	}
}

// What is missing, infinite or empty is drawn and printed without a fuss.
func TestPageOfLittle(t *testing.T) {
	f := func(name string, change func(*result.Result), want string) {
		t.Helper()
		_, r := fixtures(t)
		change(r)
		text := page(t, r)
		wellFormed(t, text)
		if !strings.Contains(text, want) || strings.Contains(text, "NaN") {
			t.Errorf("%s: the page lacks %q, or prints NaN", name, want)
		}
	}
	f("a partial result", func(r *result.Result) { r.Partial, r.Search.Answers = true, nil }, "There is no capacity")
	f("no probe", func(r *result.Result) { r.Search = capacity.Result{} }, "There is no capacity")
	f("one level", func(r *result.Result) { r.Search.Curve = r.Search.Curve[:1] }, "<svg")
	f("open intervals", func(r *result.Result) {
		for i := range r.Search.Curve {
			r.Search.Curve[i].TTFT.Hi, r.Search.Curve[i].Speed.Lo = math.Inf(1), math.Inf(-1)
		}
	}, "∞")
	f("nothing measured at a level", func(r *result.Result) { r.Search.Curve[2].Speed = stat.None(0.95, "no call") }, "–")
	f("no agent carried", func(r *result.Result) {
		r.System.Price = &cost.Price{USDPerHour: 5, Source: "s", Date: "2026-01-01"}
		a := &r.Search.Answers[2]
		a.L, a.Lo, a.U, a.Hi, a.Confirms, a.Confirmed = 0, 0, 1, 0, nil, false
	}, "no agent was certified")
	f("a speed of 0", func(r *result.Result) {
		for i := range r.Search.Curve {
			r.Search.Curve[i].Speed = stat.Estimate{}
		}
	}, "<svg")
}

// A warning about a probe stands beside its row and below its table.
func TestPageWarnsInPlace(t *testing.T) {
	r := compact(t)
	text := page(t, r)
	for _, s := range []string{"INVALID: dispatch lag of 30 ms", "these sessions only: the dataset holds 24", "board power, measured under load", "extrapolated to 2 ×"} {
		if !strings.Contains(text, s) {
			t.Errorf("the page does not say %q", s)
		}
	}
	if !regexp.MustCompile(`<td>3<sup>1</sup></td>`).MatchString(text) {
		t.Error("the invalid probe has no mark")
	}
}
