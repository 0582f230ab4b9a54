package journal_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/proxy/journal"
)

// TestMain fails if a writer left a goroutine behind.
func TestMain(m *testing.M) {
	if os.Getenv(victimEnv) != "" {
		victim()
	}
	before := runtime.NumGoroutine()
	code := m.Run()
	if f := flag.Lookup("test.fuzz"); f != nil && f.Value.String() != "" {
		os.Exit(code) // the fuzzer leaves goroutines of its own
	}
	for range 200 {
		if runtime.NumGoroutine() <= before {
			os.Exit(code)
		}
		time.Sleep(10 * time.Millisecond)
	}
	buf := make([]byte, 1<<20)
	fmt.Fprintf(os.Stderr, "goroutines were left:\n%s\n", buf[:runtime.Stack(buf, true)])
	os.Exit(1)
}

// running opens a writer and runs it; stop ends it and returns what Run said.
func running(t testing.TB, cfg journal.Config) (w *journal.Writer, stop func() error) {
	t.Helper()
	w, err := journal.NewWriter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	ended := false
	stop = func() error {
		if ended {
			return nil
		}
		ended = true
		cancel()
		return <-done
	}
	t.Cleanup(func() { stop() })
	return w, stop
}

// kept is an exchange as a test holds it.
type kept = journal.Exchange

// readAll reads a whole journal; errors of segments come back in order.
func readAll(t testing.TB, dir string, identities ...string) (all []kept, errs []error) {
	t.Helper()
	r, err := journal.Open(dir, journal.ReadConfig{Identities: identities})
	if err != nil {
		t.Fatal(err)
	}
	for x, err := range r.Exchanges() {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		k := *x
		k.Request.Body = bytes.Clone(x.Request.Body)
		k.Response.Body = bytes.Clone(x.Response.Body)
		all = append(all, k)
		scribble(x)
	}
	return all, errs
}

// scribble spoils the borrowed bytes of an exchange whose time is over.
func scribble(x *journal.Exchange) {
	for _, b := range [][]byte{x.Request.Body, x.Response.Body} {
		for i := range b {
			b[i] = 0xAA
		}
	}
}

// reading returns the exchanges of a journal that must have no damage.
func reading(t testing.TB, dir string, identities ...string) []kept {
	t.Helper()
	all, errs := readAll(t, dir, identities...)
	for _, err := range errs {
		t.Errorf("read: %v", err)
	}
	return all
}

// player records made-up exchanges and remembers what it recorded.
type player struct {
	rng   *rand.Rand
	w     *journal.Writer
	texts []string
	want  map[string]*kept
	open  []*playing
	n     int
}

type playing struct {
	tape *journal.Tape
	want *kept
	at   time.Duration
}

func newPlayer(w *journal.Writer, seed uint64) *player {
	return &player{rng: rand.New(rand.NewPCG(seed, 1)), w: w, want: map[string]*kept{}}
}

func (p *player) begin(session string) *playing {
	p.n++
	f := journal.Flow{
		ID: fmt.Sprintf("x%d", p.n), Session: session, Harness: "pi", Provider: "anthropic", Scheme: "https", Host: "api.example.com", Port: 443,
		Mode: journal.Mode(p.n % 3), Kind: journal.Kind(p.n % 2), Client: "127.0.0.1:4000", Started: time.Unix(1700000000, int64(p.n)),
		At: time.Duration(p.n) * time.Millisecond, Workdir: "/home/a/b", Attrs: map[string]string{"k": "v", "n": fmt.Sprint(p.n)},
	}
	y := &playing{tape: p.w.Begin(f), want: &kept{Flow: f}, at: f.At}
	p.want[f.ID] = y.want
	p.open = append(p.open, y)
	return y
}

func (y *playing) side(d journal.Dir) *journal.Side {
	if d == journal.Request {
		return &y.want.Request
	}
	return &y.want.Response
}

func (y *playing) head(d journal.Dir, line string) {
	y.at += time.Microsecond
	h := journal.Head{Line: line, Fields: []journal.Field{{Name: "X-a", Value: "b"}, {Name: "content-Type", Value: "application/json"}}, Wire: 99}
	y.tape.Head(d, y.at, h)
	s := y.side(d)
	s.Heads = append(s.Heads, journal.HeadAt{Head: h, At: y.at, Off: int64(len(s.Body))})
}

func (y *playing) feed(d journal.Dir, wire int, plain []byte) {
	y.at += 123 * time.Microsecond
	s := y.side(d)
	s.Body = append(s.Body, plain...)
	s.Reads = append(s.Reads, journal.Read{At: y.at, Wire: wire, Plain: len(plain)})
	own := bytes.Clone(plain)
	y.tape.Feed(d, y.at, wire, own)
	for i := range own {
		own[i] = 0xAA
	}
}

func (y *playing) end() {
	y.at += time.Millisecond
	e := journal.End{At: y.at, Outcome: journal.ClientCut, Err: "broken", Attrs: map[string]string{"a": "b"}}
	e.Wire[0] = journal.Digest{Bytes: int64(len(y.want.Request.Body)), Sum: [32]byte{1, 2, 3}}
	y.tape.End(e)
	y.want.End, y.want.Finished = e, true
}

// text makes a body out of new and of earlier pieces.
func (p *player) text() []byte {
	var b []byte
	for range 1 + p.rng.IntN(6) {
		if len(p.texts) > 0 && p.rng.IntN(3) > 0 {
			old := p.texts[p.rng.IntN(len(p.texts))]
			from := p.rng.IntN(len(old))
			b = append(b, old[from:from+p.rng.IntN(len(old)-from+1)]...)
			continue
		}
		n := p.rng.IntN(3000)
		for range n {
			b = append(b, byte('a'+p.rng.IntN(26)))
		}
	}
	if len(b) > 0 {
		p.texts = append(p.texts, string(b))
	}
	return b
}

// step does one thing to one of the exchanges.
func (p *player) step(session string) {
	if len(p.open) == 0 || p.rng.IntN(10) == 0 {
		p.begin(session).head(journal.Request, "POST /v1/messages HTTP/1.1")
		return
	}
	i := p.rng.IntN(len(p.open))
	y := p.open[i]
	switch p.rng.IntN(8) {
	case 0:
		y.end()
		p.open = append(p.open[:i], p.open[i+1:]...)
	case 1:
		y.head(journal.Response, fmt.Sprintf("HTTP/1.1 %d OK", 200+p.rng.IntN(3)))
	default:
		b := p.text()
		y.feed(journal.Dir(p.rng.IntN(2)), len(b)+p.rng.IntN(9), b)
	}
}

func (p *player) finish() {
	for _, y := range p.open {
		y.end()
	}
	p.open = nil
}

// check compares what was read with what was recorded.
func (p *player) check(t testing.TB, got []kept) {
	t.Helper()
	seen := map[string]bool{}
	for i := range got {
		id := got[i].Flow.ID
		if want := p.want[id]; want == nil || seen[id] {
			t.Errorf("exchange %s was read twice or never recorded", id)
		} else if d := diff(*want, got[i]); d != "" {
			t.Errorf("exchange %s (-want +got):\n%s", id, d)
		}
		seen[id] = true
	}
	if len(seen) != len(p.want) {
		t.Errorf("got %d exchanges, want %d", len(seen), len(p.want))
	}
}

// diff leaves the bytes of bodies out of what it prints.
func diff(want, got kept) string {
	d := ""
	for i, w := range []*journal.Side{&want.Request, &want.Response} {
		g := []*journal.Side{&got.Request, &got.Response}[i]
		if !bytes.Equal(w.Body, g.Body) {
			d += fmt.Sprintf("%v: got a body of %d bytes, want %d; the first %d agree\n", journal.Dir(i), len(g.Body), len(w.Body), agree(g.Body, w.Body))
		}
		w.Body, g.Body = nil, nil
	}
	return d + cmp.Diff(want, got)
}

func agree(a, b []byte) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

func TestRoundTrip(t *testing.T) {
	id, recipient, err := journal.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]journal.Config{
		"one segment":    {},
		"many segments":  {SegmentBytes: 64 << 10},
		"little memory":  {MatchBytes: 256 << 10},
		"sealed":         {Recipients: []string{recipient}, SegmentBytes: 128 << 10},
		"slow to rotate": {SyncEvery: 5 * time.Millisecond, SegmentBytes: 32 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg.Dir = filepath.Join(t.TempDir(), "j")
			w, stop := running(t, cfg)
			p := newPlayer(w, 7)
			for i := range 1500 {
				p.step("s")
				if i%200 == 0 {
					if err := w.Sync(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			p.finish()
			if err := w.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			p.check(t, reading(t, cfg.Dir, id))
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			p.check(t, reading(t, cfg.Dir, id))
			if raw := glob(t, cfg.Dir, "*.seg"); len(raw) != 0 {
				t.Errorf("segments %v were not compressed", raw)
			}
			if s := w.Stats(); s.Open != 0 || s.Queued != 0 || s.Durable != s.Written || s.LostExchanges != 0 {
				t.Errorf("Stats() = %+v, want nothing open, queued or lost, and all durable", s)
			}
		})
	}
}

func glob(t testing.TB, dir, pattern string) []string {
	t.Helper()
	m, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestUnfinishedExchanges(t *testing.T) {
	cfg := journal.Config{Dir: t.TempDir()}
	w, stop := running(t, cfg)
	p := newPlayer(w, 1)
	a, b := p.begin("s"), p.begin("s")
	a.feed(journal.Request, 9, []byte("first part"))
	b.feed(journal.Response, 9, []byte("answer"))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	p.check(t, reading(t, cfg.Dir))
	w, stop = running(t, cfg) // another run of the same journal
	p.w = w
	p.begin("s").end()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	got := reading(t, cfg.Dir)
	p.check(t, got)
	if ids := []string{got[0].Flow.ID, got[1].Flow.ID, got[2].Flow.ID}; strings.Join(ids, " ") != "x1 x2 x3" {
		t.Errorf("got exchanges in the order %v, want x1 x2 x3", ids)
	}
}

func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	w, stop := running(t, journal.Config{Dir: dir, SegmentBytes: 16 << 10})
	p := newPlayer(w, 3)
	for range 400 {
		p.step("s")
	}
	w.Sync(t.Context())
	stop()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	w, stop := running(t, journal.Config{Dir: dir})
	k1 := w.WireHash()
	if _, err := journal.NewWriter(journal.Config{Dir: dir}); !errors.Is(err, journal.ErrLocked) {
		t.Errorf("NewWriter beside another = %v, want %v", err, journal.ErrLocked)
	}
	if _, err := journal.Repair(dir); !errors.Is(err, journal.ErrLocked) {
		t.Errorf("Repair beside a writer = %v, want %v", err, journal.ErrLocked)
	}
	if _, err := journal.Forget(dir, "s", journal.ForgetConfig{}); !errors.Is(err, journal.ErrLocked) {
		t.Errorf("Forget beside a writer = %v, want %v", err, journal.ErrLocked)
	}
	stop()
	w, _ = running(t, journal.Config{Dir: dir})
	k2 := w.WireHash()
	k1.Write([]byte("wire"))
	k2.Write([]byte("wire"))
	if !bytes.Equal(k1.Sum(nil), k2.Sum(nil)) {
		t.Error("the key of wire hashes changed from one run to the next")
	}
}

func TestBounds(t *testing.T) {
	cfg := journal.Config{Dir: t.TempDir()}
	w, stop := running(t, cfg)
	attrs := map[string]string{}
	for i := range 100 {
		attrs[fmt.Sprintf("%03d", i)] = strings.Repeat("v", 2000)
	}
	tape := w.Begin(journal.Flow{Session: strings.Repeat("s", 1000), Attrs: attrs})
	head := journal.Head{Line: "GET /"}
	for range 100 {
		head.Fields = append(head.Fields, journal.Field{Name: "a", Value: strings.Repeat("b", 10_000)})
	}
	tape.Head(journal.Request, 0, head)
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	tape.Feed(journal.Request, 5, 77, big)
	tape.End(journal.End{})
	tape.Feed(journal.Request, 6, 1, []byte("late"))
	tape.End(journal.End{})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	all := reading(t, cfg.Dir)
	if len(all) != 1 {
		t.Fatalf("got %d exchanges, want 1", len(all))
	}
	x := all[0]
	if !x.Flow.Clipped || len(x.Flow.Session) != 256 || len(x.Flow.Attrs) != 32 || len(x.Flow.Attrs["000"]) != 1024 {
		t.Errorf("got flow with session of %d bytes and %d attributes, clipped %v", len(x.Flow.Session), len(x.Flow.Attrs), x.Flow.Clipped)
	}
	if h := x.Request.Heads[0]; !h.Clipped || len(h.Fields) == 0 || len(h.Fields) > 26 {
		t.Errorf("got head with %d fields, clipped %v", len(h.Fields), h.Clipped)
	}
	want := []journal.Read{{At: 5, Wire: 77, Plain: len(big)}}
	if d := cmp.Diff(want, x.Request.Reads); d != "" || !bytes.Equal(x.Request.Body, big) {
		t.Errorf("a feed of %d bytes came back as %d bytes, reads (-want +got):\n%s", len(big), len(x.Request.Body), d)
	}
	if x.Flow.ID == "" {
		t.Error("the exchange has no id")
	}
}
