package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/capstan-bench/capstan/datasets"
	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/cost"
	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/replay/result"
)

// describe says what a result was measured with.
func describe(c *cli.Context, ds *datasets.Dataset, p *plan.Plan, t *target, slos []capacity.SLO) (result.Run, error) {
	cfg, err := planConfig(c)
	if err != nil {
		return result.Run{}, err
	}
	if cfg.Model == "" {
		cfg.Model = simulatedModel
	}
	run := newRun(ds, p, cfg, slos)
	run.Endpoints, run.Engine, run.Seed = t.names, t.engine, c.Uint64("seed")
	return run, nil
}

// newRun describes a run of a plan built with cfg; Endpoints, Engine and Seed are
// left to the caller.
func newRun(ds *datasets.Dataset, p *plan.Plan, cfg plan.Config, slos []capacity.SLO) result.Run {
	run := result.Run{
		Started: time.Now(),
		Model:   cfg.Model,
		Dataset: result.Dataset{Name: filepath.Base(ds.Dir()), Hash: ds.Hash(), Sessions: p.Sessions(), Calls: p.Calls()},
		Plan:    result.Plan{Hash: p.Hash(), Ring: p.Ring().Seconds(), Rewrites: p.Rewrites()},
		Key: result.Key{
			Dataset: ds.Hash(), MaxContext: cfg.MaxContext, CutShare: p.CutShare(), MeanInput: p.Means().Input,
			Gaps: gaps(cfg), GapCap: max(0, cfg.GapCap.Seconds()), Text: textOf(ds), Output: cfg.Output,
			Salts: "probe and play", ToolStreaming: result.Unknown,
		},
	}
	if cfg.NoSalt {
		run.Key.Salts = "none"
	}
	for _, s := range slos {
		run.Tiers = append(run.Tiers, s.String())
	}
	run.Here()
	return run
}

func gaps(cfg plan.Config) string {
	switch {
	case cfg.NoGaps:
		return "none"
	case cfg.GapScale != 1:
		return fmt.Sprintf("recorded × %g", cfg.GapScale)
	}
	return "recorded"
}

// textOf says whether a dataset holds the text that is sent.
func textOf(ds *datasets.Dataset) string {
	for _, f := range ds.Manifest().Files {
		if strings.HasPrefix(f.Path, "data/prefix_blocks/") && f.Rows > 0 {
			return result.Synthesised
		}
	}
	return result.Recorded
}

// checkSystem refuses a manifest that a result could not carry.
func checkSystem(name string, text []byte) error {
	_, err := cost.ParseSystem(name, text, time.Now())
	return err
}
