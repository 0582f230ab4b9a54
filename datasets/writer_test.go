package datasets_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/capstan-bench/capstan/datasets"
	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/bundle"
	"github.com/capstan-bench/capstan/schema/fold"
	"github.com/capstan-bench/capstan/schema/wire"
)

// longSession is a session of one call whose message has about a megabyte, like
// that of no other number.
func longSession(t testing.TB, n int) *schema.Session {
	t.Helper()
	body := []byte(fmt.Sprintf(`{"model":"m","messages":[{"role":"user","content":"%s"}]}`,
		strings.Repeat(fmt.Sprintf("session %d ", n), 100_000)))
	l, err := wire.Split(wire.FormatChat, body)
	if err != nil {
		t.Fatal(err)
	}
	f := fold.New(fmt.Sprint("s", n))
	f.Trajectory(schema.Trajectory{TrajectoryID: "root", ContentTier: schema.TierFull, SourceKind: schema.SourceProxy})
	c := schema.Call{CallID: "c", Trigger: schema.TriggerUser, Purpose: schema.PurposeMain, APIFormat: schema.FormatChat}
	if err := f.Call("root", c, l, body, nil); err != nil {
		t.Fatal(err)
	}
	return f.Session()
}

// heap is what is in use after a collection.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// What a writer or a reader holds does not grow with the number of sessions: here
// they have more than a row group takes, and far more than the bound.
func TestMemoryIsThatOfOneSession(t *testing.T) {
	const sessions, bound = 100, 8 << 20
	dir := filepath.Join(t.TempDir(), "dataset")
	w, err := datasets.Create(dir, datasets.Card{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	var base, peak int64
	watch := func(n int) {
		switch h := heap(); {
		case n < 10: // buffers grow to their size
			base, peak = max(base, h), max(base, h)
		default:
			peak = max(peak, h)
		}
	}
	for n := range sessions {
		if err := w.Add(longSession(t, n)); err != nil {
			t.Fatal(err)
		}
		watch(n)
	}
	t.Logf("writing: %d KB after 10 sessions, %d KB at most", base>>10, peak>>10)
	if peak-base > bound {
		t.Errorf("writing: the heap grew by %d MB over %d sessions of 1 MB, want %d at most", (peak-base)>>20, sessions, bound>>20)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}

	d, err := datasets.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	base, peak = 0, 0
	n := 0
	for s, err := range d.Sessions() {
		if err != nil || s == nil {
			t.Fatal(err)
		}
		watch(n)
		n++
	}
	t.Logf("reading: %d KB after 10 sessions, %d KB at most", base>>10, peak>>10)
	if peak-base > bound || n != sessions {
		t.Errorf("reading %d sessions: the heap grew by %d MB, want %d at most", n, (peak-base)>>20, bound>>20)
	}
}

// What a killed writer leaves is no dataset, and the next writer takes its place.
// The copy of a folder that is being written is what a kill would leave there.
func TestWriterStartsAgainAfterAKill(t *testing.T) {
	work := filepath.Join(t.TempDir(), "dataset")
	w, err := datasets.Create(work, datasets.Card{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	var killed []string
	snapshot := func() {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "killed")
		if err := os.CopyFS(dir, os.DirFS(work)); err != nil {
			t.Fatal(err)
		}
		killed = append(killed, dir)
	}
	snapshot()
	if err := w.Add(session(t, "a", "x")); err != nil {
		t.Fatal(err)
	}
	snapshot()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(work, ".unfinished")); err == nil {
		t.Error("a finished dataset calls itself unfinished")
	}
	// The last moments before the manifest has its name.
	last := filepath.Join(t.TempDir(), "killed")
	if err := os.CopyFS(last, os.DirFS(work)); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(last, ".unfinished"), nil, 0o666)
	manifest := filepath.Join(last, bundle.ManifestName)
	if err := os.Rename(manifest, manifest+".tmp"); err != nil {
		t.Fatal(err)
	}
	killed = append(killed, last)

	for i, dir := range killed {
		if _, err := datasets.Open(dir); err == nil || !strings.Contains(err.Error(), "writing it never ended") {
			t.Errorf("killed at moment %d: Open gives %v", i, err)
		}
		again, err := datasets.Create(dir, datasets.Card{})
		if err != nil {
			t.Errorf("killed at moment %d: %v", i, err)
			continue
		}
		if err := again.Add(session(t, "a", "x")); err != nil {
			t.Fatal(err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
		if r, err := datasets.Verify(dir); err != nil || !r.OK() {
			t.Errorf("killed at moment %d, written again: %+v, %v", i, r, err)
		}
	}
}

// A session, and what later sessions share with it, must fit the bound; sessions
// one after another need not.
func TestContentIsBounded(t *testing.T) {
	const message = 1_000_000
	dir := create(t, longSession(t, 1), longSession(t, 2), longSession(t, 3))
	shared := rowsOf(longSession(t, 1), longSession(t, 2), longSession(t, 3))
	// The first session's message again in the third, as the last of its items, and
	// all blobs before those that the second needs.
	again := shared.items[0]
	again.SessionID, again.ItemIndex = "s3", 1
	shared.items = append(shared.items, again)
	f := func(dir string, limit int64, want string) {
		t.Helper()
		defer datasets.LimitContent(limit)()
		d, err := datasets.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, err = range d.Sessions() {
			n++
		}
		if want == "" && (err != nil || n != 3) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("limit %d: %d sessions and error %v, want %q", limit, n, err, want)
		}
	}
	f(dir, 2*message, "")
	f(dir, message, `session "s1": more than 1000000 bytes of content at a time`)
	f(shared.write(t), 2*message, `session "s2": more than 2000000 bytes of content at a time`)
	f(shared.write(t), 4*message, "")
}
