package replay

import (
	"math"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/schema"
)

// histogram counts latencies in buckets of 1 ms, 2 ms, 4 ms and beyond.
func histogram(counts ...uint64) *metrics.Float64Histogram {
	return &metrics.Float64Histogram{Counts: counts, Buckets: []float64{0, 0.001, 0.002, 0.004, math.Inf(1)}}
}

func TestAbove(t *testing.T) {
	f := func(now, base *metrics.Float64Histogram, q float64, want time.Duration) {
		t.Helper()
		if got := above(now, base, q); got != want {
			t.Errorf("above(%v, %v, %v) = %v, want %v", now, base, q, got, want)
		}
	}
	zero := histogram(0, 0, 0, 0)
	f(zero, zero, 0.99, 0)
	f(histogram(100, 0, 0, 0), zero, 0.99, time.Millisecond)
	f(histogram(99, 1, 0, 0), zero, 0.99, time.Millisecond)
	f(histogram(98, 2, 0, 0), zero, 0.99, 2*time.Millisecond)
	f(histogram(98, 1, 1, 0), zero, 1, 4*time.Millisecond)
	f(histogram(98, 1, 0, 1), zero, 1, 4*time.Millisecond)
	f(histogram(198, 7, 0, 0), histogram(100, 7, 0, 0), 0.99, time.Millisecond)
	f(nil, zero, 0.99, 0)
}

// The client is blamed for what it did in the window, and for nothing else.
func TestJudgeLag(t *testing.T) {
	f := func(limits Limits, lags []time.Duration, wantP99 time.Duration, wantInvalid string) {
		t.Helper()
		g := newGuard(limits)
		w := capacity.Window{From: time.Second, To: 2 * time.Second}
		late := func(due, by time.Duration) {
			g.lag(&event{lag: by, sample: schema.Sample{DueUS: due.Microseconds(), Reconnects: 1}})
		}
		late(500*time.Millisecond, time.Hour)
		late(2*time.Second, time.Hour)
		late(1500*time.Millisecond, notSent)
		for i, by := range lags {
			late(time.Second+time.Duration(i)*time.Millisecond, by)
		}
		// Only lag is under test: this machine may be busy.
		g.limits.CPU, g.limits.Sched = math.Inf(1), time.Hour
		g.base = readVitals()
		r := g.judge(&w)
		var invalid []string
		for _, s := range w.Invalid {
			if strings.Contains(s, "dispatch") {
				invalid = append(invalid, s)
			}
		}
		if r.LagP99 != wantP99 || r.Calls != len(lags) || r.Reconnects != len(lags)+1 || strings.Join(invalid, ";") != wantInvalid {
			t.Errorf("lags %v: p99 %v over %d calls, %d reconnects, invalid %q; want %v, %d, %d, %q",
				lags, r.LagP99, r.Calls, r.Reconnects, invalid, wantP99, len(lags), len(lags)+1, wantInvalid)
		}
	}
	many := func(n int, slow int, by time.Duration) []time.Duration {
		lags := make([]time.Duration, n)
		for i := range slow {
			lags[i] = by
		}
		return lags
	}
	const ms = time.Millisecond
	f(Limits{}, nil, 0, "")
	f(Limits{}, many(100, 0, 0), 0, "")
	f(Limits{}, many(100, 1, 6*ms), 6*ms, "client: dispatch lag p99 6ms is over 5ms")
	f(Limits{}, many(200, 1, 6*ms), 0, "")
	f(Limits{}, many(100, 5, 5*ms), 5*ms, "")
	f(Limits{TightestTTFT: 200 * ms}, many(100, 5, 3*ms), 3*ms, "client: dispatch lag p99 3ms is over 2ms")
	f(Limits{TightestTTFT: 10 * time.Second}, many(100, 5, 5*ms), 5*ms, "")
	f(Limits{TightestTTFT: 200 * ms, Lag: 4 * ms}, many(100, 5, 3*ms), 3*ms, "")
	f(Limits{}, []time.Duration{-time.Microsecond}, 0, "")
}

func TestBlame(t *testing.T) {
	f := func(r Report, wantInvalid, wantWarning string) {
		t.Helper()
		var w capacity.Window
		newGuard(Limits{}).blame(&w, r)
		if got := strings.Join(w.Invalid, ";"); !strings.Contains(got, wantInvalid) || (wantInvalid == "") != (got == "") {
			t.Errorf("%+v: invalid %q, want %q", r, got, wantInvalid)
		}
		if got := strings.Join(w.Warnings, ";"); !strings.Contains(got, wantWarning) || (wantWarning == "") != (got == "") {
			t.Errorf("%+v: warnings %q, want %q", r, got, wantWarning)
		}
	}
	f(Report{CPU: 0.8, SchedP99: time.Millisecond, LagP99: 5 * time.Millisecond}, "", "")
	f(Report{CPU: 0.81}, "CPU 81%", "")
	f(Report{SchedP99: 2 * time.Millisecond}, "", "scheduler latency p99 2ms is over 1ms")
	f(Report{SchedP99: 6 * time.Millisecond}, "scheduler latency p99 6ms is over 5ms", "")
	f(Report{GCPauseMax: 7 * time.Millisecond}, "", "garbage collection stopped it for 7ms")
	f(Report{CPU: math.NaN()}, "", "does not say how much CPU")
}

// A process that only burns CPU is seen to.
func TestVitalsSeeCPU(t *testing.T) {
	base := readVitals()
	if !base.known {
		t.Skip("this platform does not say how much CPU was used")
	}
	for x, end := 1.0, time.Now().Add(50*time.Millisecond); time.Now().Before(end); x = math.Sqrt(x + 1) {
		_ = x
	}
	if got := readVitals().cpuShare(base); got < 0.02 || got > 1.5 {
		t.Errorf("CPU share of a busy loop = %v", got)
	}
}

func TestLatestMedian(t *testing.T) {
	var l latest
	if l.median() != 0 {
		t.Errorf("median of nothing = %v", l.median())
	}
	for i := range 3 * recent {
		l.add(float64(i))
	}
	if got := l.median(); got != 2.5*recent {
		t.Errorf("median of the last %d of %d = %v, want %v", recent, 3*recent, got, 2.5*recent)
	}
}

// A connection that this machine had no room for is no failure of the system.
func TestJudgeOwnLimit(t *testing.T) {
	f := func(text string, want int) {
		t.Helper()
		class := schema.ErrConnect
		g := newGuard(Limits{CPU: math.Inf(1), Sched: time.Hour, Lag: time.Hour})
		g.lag(&event{lag: notSent, sample: schema.Sample{Error: &class, ErrorText: &text}})
		w := capacity.Window{From: time.Second, To: 2 * time.Second}
		g.judge(&w)
		if len(w.Invalid) != want {
			t.Errorf("%s: invalid %q, want %d", text, w.Invalid, want)
		}
	}
	f("client: no room for another connection: dial tcp: socket: too many open files", 1)
	f("dial tcp: connect: connection refused", 0)
}
