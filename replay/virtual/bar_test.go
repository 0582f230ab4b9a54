package virtual_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/datasets/convert"
	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/replay/sim"
	"github.com/capstan-bench/capstan/replay/virtual"
)

// wekaPlan plans the real traces in CAPSTAN_SAMPLES.
func wekaPlan(tb testing.TB) *plan.Plan {
	tb.Helper()
	dir := os.Getenv("CAPSTAN_SAMPLES")
	if dir == "" {
		tb.Skip("skipped: CAPSTAN_SAMPLES is not set, and the bar is about real traces")
	}
	sessions := convert.Weka(filepath.Join(dir, "kv-cache-tester", "traces"))
	p, err := plan.Build(context.Background(), sessions, plan.Config{Model: "m"})
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// BenchmarkBarVirtualWeka takes one probe of 64 agents for an hour of virtual
// time on one core. The bar is 5 s of that core. The engine is the large one, made
// fast and big enough to keep up with these agents: one that is overloaded has
// fewer calls to simulate.
func BenchmarkBarVirtualWeka(b *testing.B) {
	const bar, rounds = 5.0, 5
	p := wekaPlan(b)
	params, ok := sim.Builtin("large")
	if !ok {
		b.Fatal("there is no engine large")
	}
	params = params.Scaled(8)
	params.KVTokens = 40_000_000
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var took []float64
	calls := 0
	for b.Loop() {
		for range rounds {
			from := cpu(b)
			w, err := virtual.Probe(p, params)(context.Background(),
				capacity.Ask{Level: 64, Seed: 1, Warm: time.Minute, Min: time.Hour, Max: time.Hour}, nil)
			if err != nil {
				b.Fatal(err)
			}
			took = append(took, (cpu(b) - from).Seconds())
			calls = len(w.Samples)
		}
	}
	slices.Sort(took)
	median := took[len(took)/2]
	b.ReportMetric(median/bar, "x-of-bar")
	b.ReportMetric(median, "cpu-s/probe")
	b.ReportMetric(took[0], "min-cpu-s")
	b.ReportMetric(took[len(took)-1], "max-cpu-s")
	b.ReportMetric(float64(calls), "calls")
}

// cpu is the processor time that this process has used.
func cpu(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
