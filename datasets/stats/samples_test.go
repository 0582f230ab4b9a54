package stats_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/capstan-bench/capstan/datasets/convert"
	"github.com/capstan-bench/capstan/datasets/stats"
)

// TestSamples sums up real sessions and holds the figures to what is known of
// them.
func TestSamples(t *testing.T) {
	samples := os.Getenv("CAPSTAN_SAMPLES")
	if samples == "" {
		t.Skip("CAPSTAN_SAMPLES is not set: no real sessions to sum up")
	}
	f := func(path string, do convert.Importer, check func(*stats.Summary)) {
		t.Helper()
		sum, err := stats.Inspect(do(filepath.Join(samples, filepath.FromSlash(path))), 1)
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		if err := sum.Text(&text); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s\n%s", path, text.String())
		check(&sum)
	}
	within := func(what string, got, low, high float64) {
		t.Helper()
		if got < low || got > high {
			t.Errorf("%s = %v, want %v to %v", what, got, low, high)
		}
	}
	f("pi-mono/large-session.jsonl", convert.Pi, func(s *stats.Summary) {
		within("calls", float64(s.Calls), 453, 453)
		within("failed calls", float64(s.Failed), 22, 22)
		within("longest context", s.Longest.Max, 177_000, 178_000)
		within("ideal hits", *s.IdealWithin, 0.98, 1)
	})
	f("kv-cache-tester/traces", convert.Weka, func(s *stats.Summary) {
		within("sessions", float64(s.Sessions), 12, 12)
		within("sub-agents", float64(s.SubAgents), 23, 23)
		within("longest context", s.Longest.Max, 893_000, 895_000)
		within("ideal hits", *s.IdealWithin, 0.9, 1)
		within("duty", *s.Duty, 0.1, 0.6)
	})
}
