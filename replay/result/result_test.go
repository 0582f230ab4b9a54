package result_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/result"
)

func TestRoundTrip(t *testing.T) {
	dir, found := damaged(t)
	r, err := result.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(found, r.Search, cmpopts.EquateEmpty(), cmpopts.EquateNaNs()); d != "" {
		t.Errorf("search: -found +opened\n%s", d)
	}
	want := facts()
	want.Started, want.Wall = want.Started.Truncate(time.Second), 60
	if d := cmp.Diff(want, r.Run); d != "" {
		t.Errorf("run: -want +got\n%s", d)
	}
	if r.System.Name != "made up" || r.Partial {
		t.Errorf("system %q, partial %v", r.System.Name, r.Partial)
	}
	if found.Answers[0].L == 0 || found.Answers[0].U == 0 {
		t.Fatalf("the search found %+v: the test needs an answer bounded on both sides", found.Answers[0])
	}
	system, err := os.ReadFile(filepath.Join(dir, "system.yaml"))
	if err != nil || string(system) != systemYAML {
		t.Errorf("system.yaml was not kept as it was: %q, %v", system, err)
	}
	if exists(filepath.Join(dir, "journal.jsonl")) {
		t.Error("the journal is still there")
	}
	readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil || !strings.Contains(string(readme), "| `p25(speed)>=20 & p95(ttft)<=10s` | ") {
		t.Errorf("README.md names no capacity: %v\n%s", err, readme)
	}
}

// A search that was killed leaves every finished probe, and a torn last line is
// left out.
func TestPartial(t *testing.T) {
	dir, w := create(t)
	found := searchInto(t, w, world{knee: 100, spread: 0.1}, 2)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := result.Open(dir); err == nil || !strings.Contains(err.Error(), "manifest.json is missing") {
		t.Errorf("Open of an unfinished result: %v, want manifest.json to be missed", err)
	}
	journal := filepath.Join(dir, "journal.jsonl")
	text, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	last := bytes.LastIndexByte(text[:len(text)-1], '\n')
	f := func(text []byte, want int) {
		t.Helper()
		if err := os.WriteFile(journal, text, 0o666); err != nil {
			t.Fatal(err)
		}
		r, err := result.OpenPartial(dir)
		if err != nil {
			t.Errorf("OpenPartial: %v", err)
			return
		}
		if !r.Partial || len(r.Search.Answers) != 0 || r.Run.Model != "m" || r.System.Vendor != "nobody" {
			t.Errorf("OpenPartial gave partial %v, %d answers, run %+v", r.Partial, len(r.Search.Answers), r.Run)
		}
		if d := cmp.Diff(found.Probes[:want], r.Search.Probes, cmpopts.EquateEmpty(), cmpopts.EquateNaNs()); d != "" {
			t.Errorf("probes: -found +opened\n%s", d)
		}
	}
	n := len(found.Probes)
	f(text, n)
	f(text[:len(text)-1], n-1)
	f(text[:last+20], n-1)
	f(text[:last+1], n-1)
	f(text[:bytes.IndexByte(text, '\n')+1], 0)
	problems, err := result.VerifyPartial(dir)
	if err != nil || len(problems) != 0 {
		t.Errorf("VerifyPartial: %v, %v", problems, err)
	}
}

func TestPartialRefusals(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		dir, w := create(t)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "journal.jsonl"), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := result.OpenPartial(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("OpenPartial of journal %q: %v, want %q in it", text, err, want)
		}
	}
	f("", "it is empty")
	f("nonsense\n", "line 1")
	f(`{"format":"capstan result","version":"2.0.0","run":{}}`+"\n", `version "2.0.0"`)
	f(`{"format":"capstan result","version":"1.0.0","run":{}}`+"\n", "tool is required")
	if _, err := result.OpenPartial(t.TempDir()); err == nil || !strings.Contains(err.Error(), "holds no journal.jsonl") {
		t.Errorf("OpenPartial of an empty folder: %v", err)
	}
}

func TestOrderOfCalls(t *testing.T) {
	_, w := create(t)
	wrong := capacity.ProbeRecord{Ask: capacity.Ask{Index: 1, Level: 1}}
	if err := w.AddProbe(capacity.Window{Ask: wrong.Ask}, wrong); err == nil || !strings.Contains(err.Error(), "want 0") {
		t.Errorf("AddProbe of probe 1 before 0: %v", err)
	}
	if err := w.Finish(capacity.Result{Probes: []capacity.ProbeRecord{{}}}, 0); err == nil || !strings.Contains(err.Error(), "want the 0 that were added") {
		t.Errorf("Finish with a probe too many: %v", err)
	}
	if err := w.Finish(capacity.Result{}, 0); err != nil {
		t.Errorf("Finish of a search without a probe: %v", err)
	}
	for range 2 {
		if err := w.Close(); err != nil {
			t.Errorf("Close after Finish: %v", err)
		}
	}
	if err := w.Finish(capacity.Result{}, 0); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("Finish twice: %v", err)
	}
	if err := w.AddProbe(capacity.Window{}, capacity.ProbeRecord{}); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("AddProbe after Finish: %v", err)
	}
}

func TestCreateRefuses(t *testing.T) {
	f := func(change func(*result.Run), system, want string) {
		t.Helper()
		run := facts()
		change(&run)
		dir := filepath.Join(t.TempDir(), "r")
		_, err := result.Create(dir, run, []byte(system))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Create: %v, want %q in it", err, want)
		}
		if exists(dir) {
			t.Errorf("Create failed (%v) and left a directory", err)
		}
	}
	f(func(r *result.Run) { r.Dataset.Hash = "" }, systemYAML, "dataset.sha256 is required")
	f(func(r *result.Run) { r.Started = time.Time{} }, systemYAML, "started is required")
	f(func(r *result.Run) { r.Endpoints = nil }, systemYAML, "endpoints is required")
	f(func(r *result.Run) { r.Tiers = nil }, systemYAML, "tiers is required")
	f(func(r *result.Run) { r.Key.Salts = "" }, systemYAML, "comparability.salts is required")
	f(func(r *result.Run) { r.Key.GapCap = -1 }, systemYAML, "got -1")
	f(func(r *result.Run) {}, strings.Replace(systemYAML, "count: 4", "count: 0", 1), "system.yaml: accelerators.count: got 0")
}

func TestOpenRefusesOtherVersions(t *testing.T) {
	dir, _ := damaged(t)
	rewrite(t, dir, func(doc map[string]any) { doc["version"] = "2.0.0" })
	if _, err := result.Open(dir); err == nil || !strings.Contains(err.Error(), `got version "2.0.0", want 1.x`) {
		t.Errorf("Open of version 2: %v", err)
	}
	rewrite(t, dir, func(doc map[string]any) { doc["version"], doc["new_field"] = "1.7.0", true })
	if _, err := result.Open(dir); err != nil {
		t.Errorf("Open of a later minor version: %v", err)
	}
}

// rewrite changes result.json and lists it in the manifest as it is then, as
// somebody would who wants the hashes to hold.
func rewrite(t testing.TB, dir string, change func(doc map[string]any)) {
	t.Helper()
	path := filepath.Join(dir, "result.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	change(doc)
	if text, err = json.Marshal(doc); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o666); err != nil {
		t.Fatal(err)
	}
	relist(t, dir, "result.json", text)
}

func TestEndpoint(t *testing.T) {
	f := func(raw, want string) {
		t.Helper()
		got, err := result.Endpoint(raw)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("Endpoint(%q) = %q, %v, want %q", raw, got, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "sk-") {
			t.Errorf("the error repeats a key: %v", err)
		}
	}
	f("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1")
	f("https://user:sk-1@host/v1?key=sk-2#sk-3", "https://host/v1")
	f("sk-1", "")
	f("http://a b:sk-1/", "")
}

func TestComparable(t *testing.T) {
	f := func(change func(*result.Key), want ...result.Difference) {
		t.Helper()
		a, b := &result.Result{Run: facts()}, &result.Result{Run: facts()}
		change(&b.Run.Key)
		if d := cmp.Diff(want, result.Comparable(a, b)); d != "" {
			t.Errorf("Comparable: -want +got\n%s", d)
		}
	}
	f(func(k *result.Key) {})
	f(func(k *result.Key) { k.GapCap = 10 }, result.Difference{Name: "gap_cap_s", A: "300", B: "10"})
	f(func(k *result.Key) { k.Dataset, k.Text = "x", result.Synthesised },
		result.Difference{Name: "dataset", A: "abc", B: "x"}, result.Difference{Name: "text", A: "recorded", B: "synthesised"})
	f(func(k *result.Key) { k.MeanInput = 1009; k.CutShare = 0.009 })
	f(func(k *result.Key) { k.MeanInput = 1011 }, result.Difference{Name: "mean_input_tokens", A: "1000", B: "1011"})
	f(func(k *result.Key) { k.CutShare = 0.02 }, result.Difference{Name: "cut_share", A: "0", B: "0.02"})
	f(func(k *result.Key) { k.MaxContext = 131072 }, result.Difference{Name: "max_context_tokens", A: "0", B: "131072"})
	f(func(k *result.Key) {
		k.Output, k.Salts, k.Gaps, k.ToolStreaming = "free", "none", "none", result.Buffered
	},
		result.Difference{Name: "gaps", A: "recorded", B: "none"}, result.Difference{Name: "output", A: "exact", B: "free"},
		result.Difference{Name: "salts", A: "probe and play", B: "none"}, result.Difference{Name: "tool_streaming", A: "streamed", B: "buffered"})
}
