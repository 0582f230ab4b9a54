package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/result"
)

// A search whose result can't be written ends at once, with what it has kept.
func TestSearchEndsWhenAProbeIsLost(t *testing.T) {
	system, err := os.ReadFile("demo_small.yaml")
	if err != nil {
		t.Fatal(err)
	}
	slo, err := capacity.ParseSLO("p95(ttft)<=10s")
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "r")
	probes := 0
	s := &search{system: system, out: out, progress: &progress{w: io.Discard}}
	s.about = result.Run{Started: time.Unix(1e9, 0), Dataset: result.Dataset{Name: "d", Hash: "h"}, Plan: result.Plan{Hash: "h"},
		Endpoints: []string{"sim:x"}, Model: "m", Tiers: []string{slo.String()}, Tool: "t",
		Key: result.Key{Dataset: "h", Gaps: "recorded", Text: "recorded", Output: "exact", Salts: "none", ToolStreaming: "unknown"}}
	s.config = capacity.SearchConfig{SLOs: []capacity.SLO{slo}, MaxLevel: 64}
	s.probe = func(ctx context.Context, a capacity.Ask, _ func(capacity.Window) bool) (capacity.Window, error) {
		if probes++; a.Index == 2 { // the place for the samples goes away
			folder := filepath.Join(out, "samples")
			if err := os.Rename(folder, folder+"-moved"); err != nil {
				t.Error(err)
			}
			if err := os.WriteFile(folder, nil, 0o666); err != nil {
				t.Error(err)
			}
		}
		return capacity.Window{Ask: a, To: time.Hour, Settled: true}, ctx.Err()
	}
	_, err = s.run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "add probe 2") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got error %v, want one line about probe 2", err)
	}
	if probes > 4 { // the one that finds the search cancelled may begin
		t.Errorf("%d probes were run, want none after the one that was lost", probes)
	}
	if r, err := result.OpenPartial(out); err != nil || len(r.Search.Probes) != 2 {
		t.Errorf("what is left opens with %v, want two probes", err)
	}
}
