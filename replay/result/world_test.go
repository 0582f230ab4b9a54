package result_test

import (
	"context"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/result"
	"github.com/capstan-bench/capstan/schema"
)

const systemYAML = `# as handed in
name: made up
vendor: nobody
accelerators: {vendor: nobody, product: none, count: 4, memory: [{kind: SRAM, gib: 1, gb_per_s: 1000}]}
software: {engine: formula, version: "1"}
`

func facts() result.Run {
	r := result.Run{
		Started: time.Date(2026, 11, 24, 3, 0, 0, 5, time.UTC),
		Dataset: result.Dataset{Name: "d", Hash: "abc", Sessions: 40, Calls: 400},
		Plan:    result.Plan{Hash: "def", Ring: 3600}, Endpoints: []string{"sim:formula"}, Model: "m",
		Tiers: []string{"p25(speed)>=20 & p95(ttft)<=10s", "p25(speed)>=60 & p95(ttft)<=5s"}, Seed: math.MaxUint64,
		Key: result.Key{Dataset: "abc", MeanInput: 1000, Gaps: "recorded", GapCap: 300, Text: result.Recorded,
			Output: "exact", Salts: "probe and play", ToolStreaming: result.Streamed},
	}
	r.Here()
	return r
}

// world is a system by formula: output speed falls as 240/(1+10·level/knee) and
// the first token comes after 0.3 s·(1+level/knee), both with noise of a
// deviation of spread. The end of a window finds open calls that have waited for
// their first token for 50 ms, 100 ms, and so on. A probe of it takes no time.
type world struct {
	knee, spread float64
	open         int
}

func (w world) probe(_ context.Context, a capacity.Ask, enough func(capacity.Window) bool) (capacity.Window, error) {
	chance := rand.New(rand.NewPCG(a.Seed, 7))
	win := capacity.Window{Ask: a, From: time.Minute, To: time.Minute, Settled: true,
		Expect: capacity.Means{Input: 1000, Uncached: 100, Output: 100}, Sweep: time.Minute}
	for win.To < win.From+a.Max {
		win = w.grow(chance, win, max(a.Look, a.Min/2))
		if win.To-win.From >= a.Min && enough(win) {
			break
		}
	}
	for i := range w.open {
		win.Samples = append(win.Samples, waiting(a, len(win.Samples), win.To-time.Duration(i+1)*50*time.Millisecond))
	}
	win.Duty = duty(win)
	return win, nil
}

// duty is the mean number of calls in flight per agent, by the samples.
func duty(w capacity.Window) float64 {
	var busy float64
	for _, s := range w.Samples {
		end := w.To.Microseconds()
		if s.DoneUS != nil {
			end = *s.DoneUS
		}
		busy += float64(end-s.DueUS) / 1e6
	}
	return busy / (w.To - w.From).Seconds() / float64(w.Ask.Level)
}

// waiting is a call that the end of the window cut off before its first token.
func waiting(a capacity.Ask, n int, due time.Duration) schema.Sample {
	s, class := sample(a, n, due, 1, 1), schema.ErrUnended
	s.Error, s.FirstByteUS, s.FirstTokenUS, s.LastTokenUS, s.DoneUS = &class, nil, nil, nil, nil
	s.HTTPStatus, s.FinishReason, s.OutputTokens, s.Chunks, s.FirstTokens = nil, nil, nil, 0, nil
	return s
}

func (w world) grow(chance *rand.Rand, win capacity.Window, by time.Duration) capacity.Window {
	x := float64(win.Ask.Level) / w.knee
	const calls = 40
	for i := range calls {
		noise := math.Exp(w.spread * chance.NormFloat64())
		due := win.To + time.Duration(i)*by/calls
		n := len(win.Samples)
		win.Samples = append(win.Samples, sample(win.Ask, n, due, 240/(1+10*x)*noise, 0.3*(1+x)/noise))
	}
	win.To += by
	return win
}

func sample(a capacity.Ask, n int, due time.Duration, speed, ttft float64) schema.Sample {
	at := func(d float64) *int64 { v := due.Microseconds() + int64(d*1e6); return &v }
	tokens := func(v int64) *int64 { return &v }
	first, status, finish := 1.0, int32(200), "stop"
	done := ttft + 99/speed
	return schema.Sample{
		Probe: int32(a.Index), Level: int32(a.Level), Agent: int32(n % max(1, a.Level)), Play: int32(n / 10),
		SessionID: fmt.Sprintf("s%d", n%40), TrajectoryID: "main", CallIndex: int32(n % 10), Role: schema.RoleMeasured,
		DueUS: due.Microseconds(), SentUS: at(0), WrittenUS: at(0.001), HeadersUS: at(0.01), FirstByteUS: at(ttft),
		FirstTokenUS: at(ttft), LastTokenUS: at(done), DoneUS: at(done),
		PlannedInput: 1000, PlannedOutput: 100, IdealCached: 900, InputTokens: tokens(1000), OutputTokens: tokens(100),
		Chunks: 100, FirstTokens: &first, HTTPStatus: &status, FinishReason: &finish,
	}
}

func tiers(t testing.TB) []capacity.SLO {
	t.Helper()
	var slos []capacity.SLO
	for _, text := range facts().Tiers {
		slo, err := capacity.ParseSLO(text)
		if err != nil {
			t.Fatal(err)
		}
		slos = append(slos, slo)
	}
	return slos
}

// searchInto searches the world and writes what it finds with w.
func searchInto(t testing.TB, w *result.Writer, in world, seed uint64) capacity.Result {
	t.Helper()
	var last capacity.Window
	found, err := capacity.Search(t.Context(), in.probe, capacity.SearchConfig{
		SLOs: tiers(t), Min: time.Minute, Max: 6 * time.Minute, Horizon: 6 * time.Minute, Look: time.Minute,
		Start: 16, MaxLevel: 512, Resolution: 0.2, Seed: seed,
		OnWindow: func(win capacity.Window) { last = win },
		OnProbe: func(rec capacity.ProbeRecord) {
			if err := w.AddProbe(last, rec); err != nil {
				t.Fatal(err)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func create(t testing.TB) (dir string, w *result.Writer) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "r")
	w, err := result.Create(dir, facts(), []byte(systemYAML))
	if err != nil {
		t.Fatal(err)
	}
	return dir, w
}

// written is a whole result on disk, of a search of in.
func written(t testing.TB, in world, seed uint64) (string, capacity.Result) {
	t.Helper()
	dir, w := create(t)
	found := searchInto(t, w, in, seed)
	if err := w.Finish(found, time.Minute); err != nil {
		t.Fatal(err)
	}
	return dir, found
}

// common is a result that most tests look at, written once; damaged is a copy to
// spoil.
var common struct {
	sync.Once
	files fs.FS
	found capacity.Result
}

func damaged(t testing.TB) (string, capacity.Result) {
	t.Helper()
	common.Do(func() {
		dir, found := written(t, world{knee: 300, spread: 0.2}, 4)
		files := fstest.MapFS{}
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			rel, _ := filepath.Rel(dir, path)
			files[filepath.ToSlash(rel)] = &fstest.MapFile{Data: text, Mode: 0o666}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		common.files, common.found = files, found
	})
	dir := t.TempDir()
	if err := os.CopyFS(dir, common.files); err != nil {
		t.Fatal(err)
	}
	return dir, common.found
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
