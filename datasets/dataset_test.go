package datasets_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/capstan-bench/capstan/datasets"
	"github.com/capstan-bench/capstan/schema"
)

var (
	update   = flag.Bool("update", false, "rewrite golden files")
	sizes    = regexp.MustCompile(`((?:num_bytes|download_size|dataset_size): )\d+`)
	rowSizes = regexp.MustCompile(`(?m)^(\| \w+ \| \d+ \|) \d+ \|$`)
)

func TestRoundTrip(t *testing.T) {
	sessions := []*schema.Session{
		session(t, "a", "x"), session(t, "b", "y"), session(t, "c", "x"), session(t, "d", "z"), session(t, "e", "y"),
	}
	dir := create(t, sessions...)
	d, err := datasets.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	f := func(want []int, ids ...string) {
		t.Helper()
		n := 0
		for got, err := range d.Sessions(ids...) {
			if err != nil {
				t.Fatal(err)
			}
			if n >= len(want) {
				t.Fatalf("Sessions(%q) yields session %q too many", ids, got.ID)
			}
			if diff := cmp.Diff(sessions[want[n]], got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("Sessions(%q): session %d (-added +read):\n%s", ids, n, diff)
			}
			n++
		}
		if n != len(want) {
			t.Errorf("Sessions(%q) yields %d sessions, want %d", ids, n, len(want))
		}
	}
	f([]int{0, 1, 2, 3, 4})
	f([]int{0, 1, 2, 3, 4}) // again
	f([]int{0}, "a")
	f([]int{2}, "c")         // its first message stands among the blobs of a
	f([]int{1, 4}, "e", "b") // in the dataset's order
	f([]int{3, 4}, "d", "e", "d")
	if r, err := datasets.Verify(dir); err != nil || !r.OK() || r.Sessions != 5 || r.Calls != 20 || r.Bodies != 20 {
		t.Errorf("Verify = %+v, %v", r, err)
	}
}

func TestSessionsStops(t *testing.T) {
	d, err := datasets.Open(create(t, session(t, "a", "x"), session(t, "b", "x")))
	if err != nil {
		t.Fatal(err)
	}
	for s, err := range d.Sessions() {
		if err != nil || s.ID != "a" {
			t.Fatalf("first session = %v, %v", s, err)
		}
		break
	}
	for s, err := range d.Sessions("a", "nobody") {
		if s != nil || err == nil || !strings.Contains(err.Error(), `session "nobody" is not in the dataset`) {
			t.Errorf("Sessions(nobody) = %v, %v", s, err)
		}
	}
}

// TestForeignOrder reads blobs that another writer has put in another order.
func TestForeignOrder(t *testing.T) {
	a, b := session(t, "a", "x"), session(t, "b", "y")
	r := rowsOf(a, b)
	slices.Reverse(r.blobs)
	d, err := datasets.Open(r.write(t))
	if err != nil {
		t.Fatal(err)
	}
	want := []*schema.Session{a, b}
	for got, err := range d.Sessions() {
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want[0], got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("session (-want +got):\n%s", diff)
		}
		want = want[1:]
	}
}

// TestBrokenTables reads tables that do not fit together.
func TestBrokenTables(t *testing.T) {
	f := func(want string, damage func(*rows)) {
		t.Helper()
		r := rowsOf(session(t, "a", "x"), session(t, "b", "y"))
		damage(r)
		d, err := datasets.Open(r.write(t))
		if err != nil {
			t.Fatal(err)
		}
		var last error
		for s, err := range d.Sessions() {
			if last = err; err != nil && s != nil {
				t.Error("an error came with a session")
			}
		}
		if last == nil || !strings.Contains(last.Error(), want) {
			t.Errorf("Sessions = %v, want an error with %q", last, want)
		}
		if r, err := datasets.Verify(d.Dir()); err != nil || r.OK() {
			t.Errorf("%s: Verify = %+v, %v", want, r, err)
		}
	}
	f(`session "b" do not stand together`, func(r *rows) {
		r.trajectories[1], r.trajectories[2] = r.trajectories[2], r.trajectories[1]
		r.trajectories[0], r.trajectories[1] = r.trajectories[1], r.trajectories[0]
	})
	f(`table calls: row 8: session "c" is not in the trajectories table at this place`, func(r *rows) {
		extra := r.calls[0]
		extra.SessionID = "c"
		r.calls = append(r.calls, extra)
	})
	f("there is no such call", func(r *rows) { slices.Reverse(r.calls) })
	f("is missing", func(r *rows) { r.blobs = r.blobs[1:] })
	f("is missing", func(r *rows) { r.blobs = nil })
	f("it stands where item 0 is expected", func(r *rows) { r.items = r.items[1:] })
	f("num_tool_calls is 1, its rows have 0", func(r *rows) { r.toolCalls = nil })
}

func TestWriterRefuses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dataset")
	w, err := datasets.Create(dir, datasets.Card{})
	if err != nil {
		t.Fatal(err)
	}
	f := func(want string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	broken := session(t, "broken", "x")
	broken.Items = broken.Items[1:]
	f(`add session "broken": item 1: it stands where item 0`, w.Add(broken))
	if err := w.Add(session(t, "a", "x")); err != nil {
		t.Errorf("Add after a refused session: %v", err)
	}
	f(`add session "a": it was added before`, w.Add(session(t, "a", "x")))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f("the writer is closed", w.Add(session(t, "b", "x")))
	f("the writer is closed", w.Close())
	w.Abort()
	if r, err := datasets.Verify(dir); err != nil || !r.OK() || r.Sessions != 1 {
		t.Errorf("after Abort behind Close: Verify = %+v, %v", r, err)
	}
	_, err = datasets.Create(dir, datasets.Card{})
	f("is not empty", err)
}

func TestWriterLeavesNothing(t *testing.T) {
	f := func(name string, do func(*testing.T, *datasets.Writer)) {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "dataset")
		w, err := datasets.Create(dir, datasets.Card{})
		if err != nil {
			t.Fatal(err)
		}
		do(t, w)
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s leaves %s", name, dir)
		}
		if err := w.Add(session(t, "b", "x")); err == nil {
			t.Errorf("%s: the writer still takes sessions", name)
		}
	}
	f("Abort", func(t *testing.T, w *datasets.Writer) { w.Abort() })
	f("Abort behind Add", func(t *testing.T, w *datasets.Writer) {
		if err := w.Add(session(t, "a", "x")); err != nil {
			t.Fatal(err)
		}
		w.Abort()
		w.Abort()
	})
	f("Close without sessions", func(t *testing.T, w *datasets.Writer) {
		if err := w.Close(); err == nil {
			t.Error("Close takes a dataset without sessions")
		}
	})
	f("a row that does not validate", func(t *testing.T, w *datasets.Writer) {
		s := session(t, "a", "x")
		s.Calls[3].Trigger = "whim" // rows before it are written by then
		if err := w.Add(s); err == nil || !strings.Contains(err.Error(), "whim") {
			t.Errorf("Add = %v", err)
		}
		if err := w.Add(session(t, "b", "x")); err == nil {
			t.Error("the error does not stick")
		}
		if err := w.Close(); err == nil {
			t.Error("Close forgets the error")
		}
	})
}

// TestSameBytes writes the same sessions twice.
func TestSameBytes(t *testing.T) {
	one := create(t, session(t, "a", "x"), session(t, "b", "y"))
	two := create(t, session(t, "a", "x"), session(t, "b", "y"))
	for _, file := range append(files(t, one), "manifest.json", datasets.CardName) {
		if !bytes.Equal(read(t, one, file), read(t, two, file)) {
			t.Errorf("%s differs", file)
		}
	}
}

func TestCard(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dataset")
	w, err := datasets.Create(dir, datasets.Card{
		Name: `A "name": with marks`, About: "What it is.\n", License: "cc-by-4.0", Tags: []string{"benchmark", "mine"}, Producer: "test 1",
	})
	if err != nil {
		t.Fatal(err)
	}
	s := session(t, "a", "x")
	s.Blocks = nil // a table without rows has no file and no part in the card
	if err := errors.Join(w.Add(s), w.Close()); err != nil {
		t.Fatal(err)
	}
	// Sizes change with the version of the compressor.
	got := sizes.ReplaceAllString(string(read(t, dir, datasets.CardName)), "${1}N")
	got = rowSizes.ReplaceAllString(got, "${1} N |")
	path := filepath.Join("testdata", "card.golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(read(t, path)), got); diff != "" {
		t.Errorf("card (-want +got):\n%s", diff)
	}
	// The card is people's to edit.
	if err := os.WriteFile(filepath.Join(dir, datasets.CardName), []byte("# Mine\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if r, err := datasets.Verify(dir); err != nil || !r.OK() {
		t.Errorf("Verify with an edited card = %+v, %v", r, err)
	}
}
