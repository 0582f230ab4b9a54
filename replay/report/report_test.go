package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/report"
	"github.com/capstan-bench/capstan/replay/result"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares what print writes with testdata/name.
func golden(t *testing.T, name string, print func(io.Writer) error) {
	t.Helper()
	var b bytes.Buffer
	if err := print(&b); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(b.String(), "\n")); d != "" {
		t.Errorf("%s: -want +got (run with -update if meant)\n%s", name, d)
	}
}

func plain(w io.Writer, rs ...*result.Result) error {
	return report.Text(w, report.TextConfig{}, rs...)
}

func TestGolden(t *testing.T) {
	big, small := fixtures(t)
	one := compact(t)
	for name, print := range map[string]func(io.Writer) error{
		"one.txt":   func(w io.Writer) error { return plain(w, big) },
		"two.txt":   func(w io.Writer) error { return plain(w, big, small) },
		"one.bench": func(w io.Writer) error { return report.Bench(w, big) },
		"one.json":  func(w io.Writer) error { return report.JSON(w, one) },
		"one.html":  func(w io.Writer) error { return report.HTML(w, one) },
		"partial.txt": func(w io.Writer) error {
			r := *one
			r.Partial, r.Search.Answers = true, nil
			return plain(w, &r)
		},
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, print) })
	}
}

// compact is a small result for golden files that are long a probe.
func compact(t testing.TB) *result.Result {
	t.Helper()
	r := &result.Result{Run: run("m"), System: parse(t, bigSystem), Search: search(t, 40, 1, 4, 16, 64)}
	r.Search.Probes[3].Invalid = []string{"dispatch lag of 30 ms"}
	return r
}

func TestColor(t *testing.T) {
	big, _ := fixtures(t)
	var bare, bright bytes.Buffer
	if err := errors.Join(plain(&bare, big), report.Text(&bright, report.TextConfig{Color: true}, big)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(bare.String(), "\x1b") {
		t.Error("without Color the text holds an escape")
	}
	stripped := strings.NewReplacer("\x1b[1m", "", "\x1b[2m", "", "\x1b[0m", "").Replace(bright.String())
	if !strings.Contains(bright.String(), "\x1b[1m1,840\x1b[0m") || stripped != bare.String() {
		t.Errorf("with Color the text is not the same but for its type:\n%s", cmp.Diff(bare.String(), stripped))
	}
}

// Every printer refuses results that answer different questions, by name.
func TestRefusesOtherKeys(t *testing.T) {
	big, small := fixtures(t)
	small.Run.Key.GapCap = 10
	for name, print := range map[string]func(io.Writer, ...*result.Result) error{
		"Text": plain, "JSON": report.JSON, "Bench": report.Bench, "HTML": report.HTML,
	} {
		var b bytes.Buffer
		err := print(&b, big, small)
		var key *report.KeyError
		if !errors.As(err, &key) || !strings.Contains(err.Error(), "gap_cap_s: 300 and 10") || !strings.Contains(err.Error(), `"wafer pair"`) {
			t.Errorf("%s: %v, want an error that names gap_cap_s and the systems", name, err)
		}
		if b.Len() > 0 {
			t.Errorf("%s refused and wrote %d bytes", name, b.Len())
		}
		if err := print(&b); err == nil {
			t.Errorf("%s of no result has no error", name)
		}
	}
}

func TestMixedPower(t *testing.T) {
	big, _ := fixtures(t)
	other := *big
	power := *big.System.Power
	power.Class = "wall"
	other.System.Power = &power
	var text, page bytes.Buffer
	if err := errors.Join(plain(&text, big, &other), report.HTML(&page, big, &other)); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{text.String(), page.String()} {
		if !strings.Contains(s, "class board in one result and wall in another") {
			t.Errorf("two power classes stand side by side without a warning:\n%.2000s", s)
		}
	}
	if strings.Contains(text.String(), "per kW board") {
		t.Error("a column of two power classes is headed with one of them")
	}
}

// The JSON says the same as the text and is of one shape: no list is null.
func TestJSONShape(t *testing.T) {
	_, small := fixtures(t)
	small.Search = capacity.Result{Answers: small.Search.Answers[:1]}
	var b bytes.Buffer
	if err := report.JSON(&b, small); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Results []struct {
			Curve, Probes, Warnings []any
			Capacities              []struct {
				SLO    string
				Agents struct{ Center, Lo, Hi *float64 }
				Duty   *float64
				Units  map[string]struct {
					Value  *struct{ Hi *float64 }
					Absent string
				}
			}
		}
	}
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	r := doc.Results[0]
	if r.Curve == nil || r.Probes == nil || r.Warnings == nil {
		t.Errorf("a list is null: %s", b.String())
	}
	c := r.Capacities[0]
	if *c.Agents.Center != 150 || c.Agents.Hi != nil || c.Duty != nil {
		t.Errorf("agents %v to %v, duty %v; want 150 to null and no duty", *c.Agents.Center, c.Agents.Hi, c.Duty)
	}
	if u := c.Units["per_kw"]; u.Value != nil || u.Absent != "the manifest states no power" {
		t.Errorf("per_kw is %+v, want it absent with the reason", u)
	}
	if u := c.Units["per_accelerator"]; u.Value == nil || u.Value.Hi != nil {
		t.Errorf("per_accelerator is %+v, want it open above", u)
	}
}

// Each line is one that the benchmark format's specification allows: a name,
// iterations, and pairs of a finite value and a unit without a space.
func TestBenchGrammar(t *testing.T) {
	big, small := fixtures(t)
	small.System.Name = "evil\nBenchmarkForged 1 9 agents"
	var b bytes.Buffer
	if err := report.Bench(&b, big, small); err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range strings.Lines(b.String()) {
		if !strings.HasPrefix(line, "Benchmark") {
			if key, _, ok := strings.Cut(line, ": "); line != "\n" && !strings.HasPrefix(line, "Unit ") && (!ok || strings.ToLower(key) != key) {
				t.Errorf("%q is no benchmark, no unit and no configuration", line)
			}
			continue
		}
		lines++
		fields := strings.Fields(line)
		if len(fields)%2 != 0 || len(fields) < 4 || strings.Contains(line, "Forged") {
			t.Errorf("%q is no benchmark line", line)
		}
		if _, err := strconv.Atoi(fields[1]); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		for i := 2; i < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err != nil || v < 0 || v > 1e12 {
				t.Errorf("%q: %q is no finite number", line, fields[i])
			}
		}
	}
	if want := 3 + len(big.Search.Curve) + 3 + len(small.Search.Curve); lines != want {
		t.Errorf("got %d benchmark lines, want %d", lines, want)
	}
}
