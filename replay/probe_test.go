package replay_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/replay"
	"github.com/capstan-bench/capstan/replay/agent"
	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/schema"
)

// steady is a model whose figures are known.
func steady() *model { return &model{first: 50 * time.Millisecond, every: 10 * time.Millisecond} }

// ask is a probe of a few virtual seconds.
func ask(level int) capacity.Ask {
	return capacity.Ask{Index: 3, Level: level, Seed: 7, Warm: time.Second, Min: 5 * time.Second, Max: 10 * time.Second}
}

// Against a model of known speed every sample has exactly that speed, and what
// is due is due by the plan.
func TestProbeMeasures(t *testing.T) {
	p := newPlan(t, 3, plan.Config{})
	bubble(t, []http.Handler{steady()}, func(t *testing.T, clients []*agent.Client) {
		var report replay.Report
		probe := replay.Probe(p, replay.Config{Clients: clients, Report: func(r replay.Report) { report = r }})
		w, err := probe(context.Background(), ask(4), nil)
		if err != nil {
			t.Fatal(err)
		}
		if !w.Settled || w.To-w.From != 10*time.Second || len(w.Samples) < 50 || w.Ask != ask(4) || w.Sweep != p.Ring()/4 {
			t.Errorf("window: settled %v, %v long, %d samples, ask %+v, sweep %v", w.Settled, w.To-w.From, len(w.Samples), w.Ask, w.Sweep)
		}
		if w.Duty <= 0.3 || w.Duty > 2 {
			t.Errorf("duty = %v, want something over 0.3", w.Duty)
		}
		lags := 0
		for _, s := range w.Samples {
			if s.Error != nil && *s.Error == schema.ErrUnended {
				continue
			}
			lags++
			n := s.PlannedOutput
			if s.Error != nil || *s.SentUS != s.DueUS || *s.FirstTokenUS != s.DueUS+50_000 || *s.LastTokenUS != *s.FirstTokenUS+(n-1)*10_000 ||
				*s.DoneUS != *s.LastTokenUS || *s.OutputTokens != n || s.Chunks != int32(n) || *s.FirstTokens != 1 || s.Probe != 3 || s.Level != 4 {
				t.Fatalf("sample is off: %+v", s)
			}
			if s.DueUS < w.From.Microseconds() || s.DueUS >= w.To.Microseconds() || s.Role != schema.RoleMeasured {
				t.Fatalf("sample does not belong in the window %v–%v: %+v", w.From, w.To, s)
			}
		}
		if report.LagMax != 0 || report.Calls < lags || report.Probe != 3 || report.Level != 4 {
			t.Errorf("report = %+v, want no lag over at least %d calls", report, lags)
		}
	})
}

// name says which call a sample is of.
func name(s schema.Sample) string {
	return fmt.Sprintf("%04d/%04d/%s/%s/%04d", s.Agent, s.Play, s.SessionID, s.TrajectoryID, s.CallIndex)
}

// A failed call is one sample, is not sent again, and the agent waits the
// recorded gap and goes on.
func TestProbeGoesOnAfterFailures(t *testing.T) {
	p := newPlan(t, 3, plan.Config{})
	m := steady()
	m.fail = func(n int, w http.ResponseWriter) bool {
		switch n % 4 {
		case 1:
			http.Error(w, "broken", http.StatusInternalServerError)
		case 2:
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" abc\"}}]}\n\n")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case 3:
			http.Error(w, "slow down", http.StatusTooManyRequests)
		default:
			return false
		}
		return true
	}
	bubble(t, []http.Handler{m}, func(t *testing.T, clients []*agent.Client) {
		w, err := replay.Probe(p, replay.Config{Clients: clients})(context.Background(), ask(3), nil)
		if err != nil {
			t.Fatal(err)
		}
		classes := map[string]int{}
		seen := map[string]schema.Sample{}
		for _, s := range w.Samples {
			class := ""
			if s.Error != nil {
				class = *s.Error
			}
			classes[class]++
			if _, twice := seen[name(s)]; twice {
				t.Errorf("call %s was sent twice", name(s))
			}
			seen[name(s)] = s
		}
		for _, class := range []string{"", schema.ErrStatus, schema.ErrReset, schema.ErrRateLimit} {
			if classes[class] < 5 {
				t.Errorf("classes = %v, want at least 5 of %q", classes, class)
			}
		}
		gaps := 0
		for _, s := range seen {
			next, ok := seen[name(schema.Sample{Agent: s.Agent, Play: s.Play, SessionID: s.SessionID, TrajectoryID: s.TrajectoryID, CallIndex: s.CallIndex + 1})]
			if s.Error == nil || s.DoneUS == nil || !ok {
				continue
			}
			gaps++
			if gap := next.DueUS - *s.DoneUS; gap < 50_000 {
				t.Errorf("after the failed call %s the next was due in %d µs, want the recorded gap", name(s), gap)
			}
		}
		if gaps < 10 {
			t.Errorf("only %d failed calls have a successor", gaps)
		}
	})
}

// A server that keeps idle connections for less than the gaps last costs
// reconnects, not errors.
func TestProbeOutlivesKeepAlive(t *testing.T) {
	p := newPlan(t, 3, plan.Config{})
	m := steady()
	m.keep = 20 * time.Millisecond
	bubble(t, []http.Handler{m}, func(t *testing.T, clients []*agent.Client) {
		var report replay.Report
		w, err := replay.Probe(p, replay.Config{Clients: clients, Report: func(r replay.Report) { report = r }})(context.Background(), ask(4), nil)
		if err != nil {
			t.Fatal(err)
		}
		reconnects := 0
		for _, s := range w.Samples {
			reconnects += int(s.Reconnects)
			if s.Error != nil && *s.Error != schema.ErrUnended {
				t.Errorf("sample %s: %s: %s", name(s), *s.Error, *s.ErrorText)
			}
		}
		// Calls that were open at the end keep no count in the window.
		if more := report.Reconnects - reconnects; reconnects < 20 || more < 0 || more > 8 {
			t.Errorf("%d reconnects, %d reported; want many, and about the same", reconnects, report.Reconnects)
		}
	})
}

// The same over real sockets in real time: nothing fails, and no call is sent
// before it is due.
func TestProbeOnLoopback(t *testing.T) {
	srv := httptest.NewServer(&model{first: 2 * time.Millisecond})
	defer srv.Close()
	target, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	k, err := agent.New(agent.Config{Target: target})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	p := newPlan(t, 3, plan.Config{GapScale: 0.05})
	a := capacity.Ask{Level: 8, Seed: 1, Min: 100 * time.Millisecond, Max: 400 * time.Millisecond}
	w, err := replay.Probe(p, replay.Config{Clients: []*agent.Client{k}})(context.Background(), a, nil)
	if err != nil || len(w.Samples) < 20 {
		t.Fatalf("probe returned %v with %d samples", err, len(w.Samples))
	}
	for _, s := range w.Samples {
		if s.Error != nil && *s.Error == schema.ErrUnended {
			continue
		}
		if s.Error != nil {
			t.Fatalf("sample %s: %s: %s", name(s), *s.Error, *s.ErrorText)
		}
		// A busy machine may stamp written after the answer has begun.
		if *s.WrittenUS < *s.SentUS || !slices.IsSorted([]int64{s.DueUS, *s.SentUS, *s.HeadersUS, *s.FirstByteUS, *s.FirstTokenUS, *s.LastTokenUS, *s.DoneUS}) {
			t.Errorf("stamps of %s are out of order: %+v", name(s), s)
		}
	}
}

// A play sticks to one endpoint, all endpoints are used, and two runs agree.
func TestProbeTargets(t *testing.T) {
	p := newPlan(t, 3, plan.Config{})
	bubble(t, []http.Handler{steady(), steady(), steady()}, func(t *testing.T, clients []*agent.Client) {
		w, err := replay.Probe(p, replay.Config{Clients: clients})(context.Background(), ask(8), nil)
		if err != nil {
			t.Fatal(err)
		}
		targets, used := map[string]int32{}, map[int32]bool{}
		for _, s := range w.Samples {
			play := fmt.Sprint(s.Agent, s.Play)
			if old, ok := targets[play]; ok && old != s.Target {
				t.Errorf("play %s went to targets %d and %d", play, old, s.Target)
			}
			targets[play], used[s.Target] = s.Target, true
		}
		if len(used) != 3 {
			t.Errorf("targets %v were used, want 3", slices.Collect(maps.Keys(used)))
		}
	})
}

// What ctx cuts short is still told.
func TestProbeCancelled(t *testing.T) {
	p := newPlan(t, 3, plan.Config{})
	bubble(t, []http.Handler{&model{first: 300 * time.Millisecond, every: 40 * time.Millisecond}}, func(t *testing.T, clients []*agent.Client) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		start := time.Now()
		a := ask(3)
		a.Max = time.Hour
		w, err := replay.Probe(p, replay.Config{Clients: clients})(ctx, a, nil)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 20*time.Second || w.To != 20*time.Second {
			t.Errorf("probe returned %v after %v, window to %v; want the context's error after 20s", err, time.Since(start), w.To)
		}
		open := 0
		for _, s := range w.Samples {
			if s.Error == nil {
				continue
			}
			if *s.Error != schema.ErrUnended || s.DoneUS != nil {
				t.Errorf("sample %s: error %s, done %v", name(s), *s.Error, s.DoneUS)
			}
			open++
		}
		if open == 0 || open == len(w.Samples) {
			t.Errorf("%d of %d samples are unended, want some", open, len(w.Samples))
		}
	})
}

// Enough ends the window at once, and progress is told every second.
func TestProbeEnoughAndProgress(t *testing.T) {
	p := newPlan(t, 3, plan.Config{})
	bubble(t, []http.Handler{steady()}, func(t *testing.T, clients []*agent.Client) {
		var told []replay.Progress
		var asked []time.Duration
		a := ask(4)
		a.Look = 500 * time.Millisecond
		probe := replay.Probe(p, replay.Config{Clients: clients, Progress: func(p replay.Progress) { told = append(told, p) }})
		w, err := probe(context.Background(), a, func(w capacity.Window) bool {
			asked = append(asked, w.To-w.From)
			return len(asked) == 3
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := []time.Duration{5 * time.Second, 5500 * time.Millisecond, 6 * time.Second}; !slices.Equal(asked, want) || w.To-w.From != want[2] {
			t.Errorf("asked after %v, window %v long; want %v", asked, w.To-w.From, want)
		}
		last := told[len(told)-1]
		if n := int(w.To / time.Second); len(told) != n+1 {
			t.Errorf("progress was told %d times in %v", len(told), w.To)
		}
		if last.TTFT != 50*time.Millisecond || last.Speed < 99.9 || last.Speed > 100.1 || last.Calls == 0 || last.Errors != 0 || last.Open < 0 || last.Open > 8 || last.Level != 4 {
			t.Errorf("last progress = %+v, want 50ms, 100 tokens a second", last)
		}
	})
}

// Plays get a session header of their own where one is wanted, and salts that
// no two plays share.
func TestProbeHeadersAndSalts(t *testing.T) {
	p := newPlan(t, 3, plan.Config{})
	var mu sync.Mutex
	headers := map[string]bool{}
	m := steady()
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		headers[r.Header.Get("X-Session-ID")] = true
		mu.Unlock()
		m.ServeHTTP(w, r)
	})
	bubble(t, []http.Handler{h}, func(t *testing.T, clients []*agent.Client) {
		w, err := replay.Probe(p, replay.Config{Clients: clients, SessionHeader: "X-Session-ID"})(context.Background(), ask(4), nil)
		if err != nil {
			t.Fatal(err)
		}
		plays := map[string]bool{}
		for _, s := range w.Samples {
			plays[fmt.Sprint(s.Agent, s.Play)] = true
		}
		mu.Lock()
		defer mu.Unlock()
		if headers[""] || len(headers) < len(plays) {
			t.Errorf("%d session headers for %d plays: %v", len(headers), len(plays), slices.Collect(maps.Keys(headers)))
		}
	})
}

// An endpoint that refuses connections fails calls, not the probe.
func TestProbeRefused(t *testing.T) {
	p := newPlan(t, 3, plan.Config{})
	bubble(t, nil, func(t *testing.T, _ []*agent.Client) {
		l := newListener()
		l.Close()
		a := ask(2)
		w, err := replay.Probe(p, replay.Config{Clients: []*agent.Client{l.client(t)}})(context.Background(), a, nil)
		if err != nil || len(w.Samples) == 0 {
			t.Fatalf("probe returned %v with %d samples", err, len(w.Samples))
		}
		for _, s := range w.Samples {
			if s.Error == nil || *s.Error != schema.ErrConnect {
				t.Fatalf("sample %s: error %v, want connect", name(s), s.Error)
			}
		}
	})
}

func TestProbeRejects(t *testing.T) {
	p := newPlan(t, 1, plan.Config{})
	if _, err := replay.Probe(p, replay.Config{})(context.Background(), ask(1), nil); err == nil {
		t.Error("a probe without clients ran")
	}
	if _, err := replay.Probe(p, replay.Config{Clients: []*agent.Client{newListener().client(t)}})(context.Background(), capacity.Ask{}, nil); err == nil {
		t.Error("a probe without agents ran")
	}
}
