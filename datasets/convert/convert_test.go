package convert_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/capstan-bench/capstan/datasets"
	"github.com/capstan-bench/capstan/datasets/convert"
	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/tokens"
)

func TestNamed(t *testing.T) {
	for _, f := range convert.Formats() {
		got, err := convert.Named(f.Name)
		if err != nil || got.Name != f.Name || f.About == "" || f.Import == nil {
			t.Errorf("Named(%q) = %+v, %v", f.Name, got, err)
		}
	}
	if _, err := convert.Named("har"); err == nil || !strings.Contains(err.Error(), "pi, weka") {
		t.Errorf("Named(har) = %v, want an error that lists the formats", err)
	}
}

// TestErrors breaks sources in every way that an importer notices.
func TestErrors(t *testing.T) {
	const header = `{"type":"session","version":3,"id":"s"}` + "\n"
	entry := func(id, parent string) string {
		return `{"type":"message","id":"` + id + `","parentId":` + parent + `,"message":{"role":"user","content":"x"}}` + "\n"
	}
	f := func(format, name, content, want string) {
		t.Helper()
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		importer, err := convert.Named(format)
		if err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(dir, "out")
		err = convert.Dataset(out, datasets.Card{}, importer, []string{path}, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: import of %.60q = %v, want an error with %q", format, content, err, want)
			return
		}
		var place *convert.PlaceError
		if strings.HasPrefix(want, "s.json") && (!errors.As(err, &place) || place.Path != path) {
			t.Errorf("%s: %v does not carry its place", format, err)
		}
		if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: a failed import leaves %s", format, out)
		}
	}
	f("pi", "s.jsonl", "", "s.jsonl:1: the file is empty")
	f("pi", "s.jsonl", "\n \n{", "s.jsonl:3: no JSON: unexpected end of JSON input")
	f("pi", "s.jsonl", header+entry("a", "null")+`{"type":"mess`, "s.jsonl:3: no JSON")
	f("pi", "s.jsonl", header+entry("a", "null")+`{"type":"mess`, "cut the file off before it")
	f("pi", "s.jsonl", entry("a", "null"), `s.jsonl:1: an entry of type "message" where the header is expected`)
	f("pi", "s.jsonl", `{"type":"session"}`, "s.jsonl:1: the header has no id")
	f("pi", "s.jsonl", `{"type":"session","id":"s","version":4}`, "s.jsonl:1: version 4: this program knows versions 1 to 3")
	f("pi", "s.jsonl", `{"type":"session","id":7}`, "s.jsonl:1: id holds a number, want string")
	f("pi", "s.jsonl", header+`{"type":"message","id":"a"}`, "s.jsonl:2: a message entry without a message")
	f("pi", "s.jsonl", header+entry("", "null"), "s.jsonl:2: an entry without an id in a log of version 3")
	f("pi", "s.jsonl", header+entry("a", "null")+entry("a", "null"), `s.jsonl:3: entry "a" comes twice, first on line 2`)
	f("pi", "s.jsonl", header+entry("a", `"b"`), `s.jsonl:2: entry "a" has the parent "b", which is not in the file`)
	f("pi", "s.jsonl", header+entry("a", `"b"`)+entry("b", `"a"`), "is its own ancestor")
	f("pi", "s.jsonl", header+`{"type":"message","id":"a","timestamp":"yesterday","message":{"role":"user"}}`, "s.jsonl:2: parsing time")
	f("pi", "s.jsonl", header+`{"type":"message","id":"a","message":{"role":"user","timestamp":-1}}`, "s.jsonl:2: timestamp -1")
	f("pi", "s.jsonl", header+`{"type":"message","id":"a","message":{"role":"assistant","usage":{"input":-1}}}`, "s.jsonl:2: usage: a negative number of tokens")
	f("pi", "s.jsonl", header+`{"type":"message","id":"a","message":{"role":"assistant","usage":{"input":9e15}}}`, "s.jsonl:2: usage:")
	f("pi", "s.jsonl", header+`{"type":"message","id":"a","message":{"role":"assistant","usage":{"input":"9"}}}`, "s.jsonl:2: usage:")
	f("pi", "s.jsonl", header+entry("a", "null"), "no session with a call")
	f("pi", "nothing", "", ":1: the file is empty")

	const trace = `{"id":"s","requests":[{"t":0,"in":64,"out":1,"hash_ids":[1]}]}`
	f("weka", "s.json", `{"id":"s","requests":[{"t":0,}]}`, "s.json: byte 30: no JSON")
	f("weka", "s.jsonl", trace+"\n\n"+`{"id":"s2","requests":[{"t":0,}]}`, "s.jsonl:3: no JSON")
	f("weka", "s.jsonl", trace+"\n\n"+`{"id":"s2","requests":[{"t":0,}]}`, "mend the trace or leave it out")
	f("weka", "s.jsonl", trace+"\n"+trace, `session "s": it was added before`)
	f("weka", "s.json", trace+"\n"+trace, "s.json: byte")
	f("weka", "s.json", "", "s.json: byte 0: no JSON")
	f("weka", "s.json", "[]", "s.json: byte 1:")
	f("weka", "s.json", `{"requests":[]}`, "s.json: byte 0: the trace has no id")
	f("weka", "s.json", `{"id":"s"}`, "the trace has no requests")
	f("weka", "s.json", `{"id":"s","requests":[]}`, "no session with a call")
	f("weka", "s.json", `{"id":"s","block_size":0,"requests":[]}`, "block_size: want at least 1")
	f("weka", "s.json", `{"id":"s","hash_id_scope":"mine","requests":[]}`, `hash_id_scope "mine": want local or global`)
	f("weka", "s.json", `{"id":"s","hash_id_scope":"global","requests":[{"in":64,"hash_ids":[-1]}]}`, "hash_ids holds -1")
	f("weka", "s.json", `{"id":"s","requests":[{"in":64,"hash_ids":["a"]}]}`, "s.json: byte")
}

func TestPaths(t *testing.T) {
	importer, err := convert.Named("weka")
	if err != nil {
		t.Fatal(err)
	}
	f := func(want string, paths ...string) {
		t.Helper()
		err := convert.Dataset(filepath.Join(t.TempDir(), "out"), datasets.Card{}, importer, paths, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Dataset(%q) = %v, want an error with %q", paths, err, want)
		}
	}
	f("no path given")
	f("find sources", filepath.Join("testdata", "absent"))
	f("holds no .json or .jsonl file", t.TempDir())
	empty := filepath.Join(t.TempDir(), "empty.jsonl")
	if err := os.WriteFile(empty, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	f("no session with a call in "+empty, empty)
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "mine"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	source := filepath.Join("testdata", "weka", "parents.json")
	if err := convert.Dataset(full, datasets.Card{}, importer, []string{source}, nil); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("Dataset in a full folder = %v", err)
	}
	if _, err := os.Stat(filepath.Join(full, "mine")); err != nil {
		t.Errorf("Dataset in a full folder: %v", err)
	}
}

// TestRoundTrip imports all fixtures of a format as a folder, and reads back what
// was written.
func TestRoundTrip(t *testing.T) {
	for _, format := range convert.Formats() {
		roundTrip(t, format, filepath.Join("testdata", format.Name))
	}
}

// TestSamples does the same with real recordings.
func TestSamples(t *testing.T) {
	for _, format := range convert.Formats() {
		folder := map[string]string{"pi": "pi-mono", "weka": "kv-cache-tester/traces"}[format.Name]
		sessions := roundTrip(t, format, samples(t, folder))
		if want := map[string]int{"pi": 1, "weka": 12}[format.Name]; sessions != want {
			t.Errorf("%s: %d sessions, want %d", format.Name, sessions, want)
		}
	}
}

func roundTrip(t *testing.T, format convert.Format, path string) int {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "dataset")
	var want []*schema.Session
	err := convert.Dataset(dir, datasets.Card{}, format, []string{path}, func(s *schema.Session) { want = append(want, s) })
	if err != nil {
		t.Fatal(err)
	}
	r, err := datasets.Verify(dir)
	if err != nil || !r.OK() || r.Sessions != len(want) {
		t.Fatalf("%s: Verify = %+v, %v", format.Name, r, err)
	}
	d, err := datasets.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for got, err := range d.Sessions() {
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want[n], got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: session %s (-imported +read):\n%s", format.Name, got.ID, diff)
		}
		n++
	}
	if n != len(want) {
		t.Errorf("%s: read %d sessions, want %d", format.Name, n, len(want))
	}
	return n
}

// TestPiSample holds a real session to what its log says.
func TestPiSample(t *testing.T) {
	for s, err := range convert.Pi(samples(t, piSample)) {
		if err != nil {
			t.Fatal(err)
		}
		root := &s.Trajectories[0]
		f := func(what string, got, want int64) {
			t.Helper()
			if got != want {
				t.Errorf("%s = %d, want %d", what, got, want)
			}
		}
		f("calls", int64(len(s.Calls)), 453)
		f("largest context", *root.MaxContextTokens, 177604)
		f("tool results", int64(len(s.ToolCalls)), 373)
		failed, grown := 0, 0
		for i := range s.Calls {
			c := &s.Calls[i]
			if c.ErrorType != nil {
				failed++
			}
			if i > 0 && *c.SharedPrefixItems == s.Calls[i-1].NumContextItems {
				grown++
			}
		}
		f("failed calls", int64(failed), 22)
		f("calls that extend the context before", int64(grown), 452)
		first := s.Calls[1] // the first that was not aborted
		if got, recorded := *first.RefInputTokens, *first.InputTokens; got < recorded*9/10 || got > recorded*11/10 {
			t.Errorf("the first context has %d tokens, pi recorded %d", got, recorded)
		}
	}
}

// TestHarness holds the system prompt and tools that stand in for pi's to their
// length.
func TestHarness(t *testing.T) {
	counter, err := tokens.Open(tokens.O200k)
	if err != nil {
		t.Fatal(err)
	}
	for s, err := range convert.Pi(filepath.Join("testdata", "pi", "linear.jsonl")) {
		if err != nil {
			t.Fatal(err)
		}
		var sum int64
		for i := range s.Items {
			if k := s.Items[i].Kind; k == schema.KindSystem || k == schema.KindTools {
				sum += *s.Items[i].ContentTokens
			}
		}
		if sum < 1550 || sum > 1690 {
			t.Errorf("system prompt and tools have %d %s tokens, want about 1,600", sum, counter.Name())
		}
	}
}
