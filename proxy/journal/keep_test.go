package journal_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/proxy/journal"
)

// TestForget forgets one of two sessions whose bodies were copied from each
// other, in raw and compressed segments.
func TestForget(t *testing.T) {
	id, recipient, _ := journal.NewIdentity()
	for name, recipients := range map[string][]string{"plain": nil, "sealed": {recipient}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			cfg := journal.Config{Dir: dir, SegmentBytes: 64 << 10, Recipients: recipients}
			w, stop := running(t, cfg)
			p := newPlayer(w, 11)
			for i := range 1000 {
				p.step([]string{"keep", "forget"}[i%2])
			}
			p.finish()
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			last, _ := recorded(t, cfg) // and a raw segment
			count := 0
			for id, x := range p.want {
				if x.Flow.Session == "forget" {
					delete(p.want, id)
					count++
				}
			}
			done, err := journal.Forget(dir, "forget", journal.ForgetConfig{Identities: []string{id}, Recipients: recipients})
			if err != nil || done.Segments < 2 || done.Exchanges < count {
				t.Fatalf("Forget() = %+v, %v, want at least %d exchanges of several segments", done, err, count)
			}
			raw := reading(t, dir, id)
			n := len(raw) - 10
			checkLeft(t, raw[n:], 10, 0)
			p.check(t, raw[:n])
			for _, session := range []string{"s0", "nobody"} {
				if done, err = journal.Forget(dir, session, journal.ForgetConfig{Identities: []string{id}, Recipients: recipients}); err != nil {
					t.Fatal(err)
				}
			}
			if done.Segments != 0 {
				t.Errorf("Forget of nobody wrote %d segments", done.Segments)
			}
			if _, err := os.Stat(last); !os.IsNotExist(err) {
				t.Errorf("the raw segment is still there: %v", err)
			}
			for _, x := range reading(t, dir, id)[n:] {
				if x.Flow.Session == "s0" {
					t.Errorf("exchange %s was not forgotten", x.Flow.ID)
				}
			}
		})
	}
}

// TestForgetLeavesNoBytes looks for what was forgotten in the bytes of the
// files.
func TestForgetLeavesNoBytes(t *testing.T) {
	dir := t.TempDir()
	w, err := journal.NewWriter(journal.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	const words = "what was said in confidence and is to be gone"
	for _, s := range []string{"a", "b"} {
		tape := w.Begin(journal.Flow{Session: s})
		tape.Feed(journal.Request, 0, 1, []byte(words[:30]+map[string]string{"a": words[30:]}[s]))
		tape.End(journal.End{})
		w.Drain()
	}
	w.Unlock()
	if _, err := journal.Forget(dir, "a", journal.ForgetConfig{}); err != nil {
		t.Fatal(err)
	}
	for _, path := range glob(t, dir, "*") {
		if b, _ := os.ReadFile(path); bytes.Contains(b, []byte(words[30:])) {
			t.Errorf("%s holds bytes of the session", path)
		}
	}
	all := reading(t, dir)
	if len(all) != 1 || string(all[0].Request.Body) != words[:30] {
		t.Errorf("got %d exchanges, want the other session's, whole", len(all))
	}
}

// TestRetention bounds the bytes while one exchange stays open: nothing from
// its beginning on may go.
func TestRetention(t *testing.T) {
	dir := t.TempDir()
	cfg := journal.Config{Dir: dir, SegmentBytes: 32 << 10, KeepBytes: 100 << 10}
	w, stop := running(t, cfg)
	p := newPlayer(w, 2)
	play := func(n int) {
		for i := range n {
			p.step("s")
			if i%50 == 0 {
				w.Sync(t.Context())
			}
		}
		p.finish()
		w.Sync(t.Context())
	}
	play(1000)
	long := p.begin("long")
	long.feed(journal.Request, 5, []byte("kept"))
	p.open = nil
	play(1000)
	long.feed(journal.Response, 5, []byte("until now"))
	if err := w.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := oldest(t, dir)
	if first == "00000001" {
		t.Error("nothing was removed")
	}
	found := false
	for _, x := range reading(t, dir) {
		if x.Flow.Session == "long" {
			found = true
			if d := diff(*long.want, x); d != "" {
				t.Errorf("the long exchange (-want +got):\n%s", d)
			}
		}
	}
	if !found {
		t.Error("the open exchange was removed")
	}
	long.end()
	play(400)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for _, path := range glob(t, dir, "*seg") {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total > cfg.KeepBytes || oldest(t, dir) <= first {
		t.Errorf("%d bytes are kept, from segment %s on, want at most %d, from behind %s", total, oldest(t, dir), cfg.KeepBytes, first)
	}
}

func oldest(t *testing.T, dir string) string {
	t.Helper()
	name, _, _ := strings.Cut(filepath.Base(glob(t, dir, "*seg")[0]), ".")
	return name
}

func TestRetentionByAge(t *testing.T) {
	dir := t.TempDir()
	w, stop := running(t, journal.Config{Dir: dir})
	w.Begin(journal.Flow{}).End(journal.End{})
	stop()
	past := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "00000001.zseg"), past, past); err != nil {
		t.Fatal(err)
	}
	w, stop = running(t, journal.Config{Dir: dir, KeepAge: time.Hour})
	w.Begin(journal.Flow{ID: "young"}).End(journal.End{})
	stop()
	if all := reading(t, dir); len(all) != 1 || all[0].Flow.ID != "young" {
		t.Errorf("got %d exchanges, want the young one", len(all))
	}
}

// TestConcurrentTapes feeds from many goroutines, each tape from two.
func TestConcurrentTapes(t *testing.T) {
	dir := t.TempDir()
	w, stop := running(t, journal.Config{Dir: dir, SegmentBytes: 128 << 10})
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 30 {
				tape := w.Begin(journal.Flow{ID: fmt.Sprintf("%d-%d", g, i)})
				var both sync.WaitGroup
				for d := range 2 {
					both.Go(func() {
						for k := range 20 {
							tape.Feed(journal.Dir(d), 0, 1, fmt.Appendf(nil, "%d %d %d;", g, i, k))
						}
					})
				}
				w.Stats()
				both.Wait()
				tape.End(journal.End{})
			}
		})
	}
	all.Wait()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	got := reading(t, dir)
	for _, x := range got {
		var g, i int
		fmt.Sscanf(x.Flow.ID, "%d-%d", &g, &i)
		want := ""
		for k := range 20 {
			want += fmt.Sprintf("%d %d %d;", g, i, k)
		}
		if string(x.Request.Body) != want || string(x.Response.Body) != want || !x.Finished || x.Loss.Any() {
			t.Errorf("exchange %s reads %q and %q", x.Flow.ID, x.Request.Body, x.Response.Body)
		}
	}
	if len(got) != 240 {
		t.Errorf("got %d exchanges, want 240", len(got))
	}
}

// TestFeedAllocates nothing, once its buffers have grown.
func TestFeedAllocates(t *testing.T) {
	w, err := journal.NewWriter(journal.WithDisk(journal.Config{Dir: t.TempDir()}, nullDisk{}))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Shut()
	tape := w.Begin(journal.Flow{})
	p := []byte("data: one event of an answer\n\n")
	feed := func() {
		for range 100 {
			tape.Feed(journal.Response, 0, len(p), p)
		}
		w.Drain()
	}
	feed()
	if n := testing.AllocsPerRun(50, feed); n > 10 {
		t.Errorf("100 feeds and their writing allocate %v times, want at most 10", n)
	}
}
