package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/report"
	"github.com/capstan-bench/capstan/schema"
)

func replayCommand() *cli.Command {
	flags := append(replayFlags(),
		&cli.IntFlag{Name: "agents", Value: 1, Usage: "concurrent agents `N`"},
		&cli.DurationFlag{Name: "duration", Value: 10 * time.Minute, Usage: "measure for `D` after the warm-up"},
		&cli.DurationFlag{Name: "warm-up", Value: capacity.DefaultWarm, Usage: "`D` between the first completed call of every agent and the window"},
		&cli.StringSliceFlag{Name: "slo", Usage: "judge by the service level `EXPR`; repeat for several"},
		outFlag("write the samples to this Parquet `FILE`"),
		jsonFlag,
	)
	return &cli.Command{
		Name:      "replay",
		Usage:     "measure one level of concurrent agents",
		ArgsUsage: "DATASET",
		Description: "Replays a dataset with N concurrent agents for as long as asked and prints what was\n" +
			"measured. Exit status 3: a service level given with --slo was not met.\n\nExample:\n\n" +
			"  capstan replay sessions --target http://127.0.0.1:8000 --model my-model --agents 8 --duration 10m -o samples.parquet",
		Flags:  flags,
		Action: runReplay,
	}
}

func runReplay(c *cli.Context) error {
	if err := readConfig(c); err != nil {
		return err
	}
	dir, err := operand(c, "a dataset")
	if err != nil {
		return err
	}
	slos, ask, err := replayAsk(c)
	if err != nil {
		return err
	}
	out := c.String("o")
	if err := reserve(out); err != nil {
		return err
	}
	t, err := openTarget(c)
	if err != nil {
		return err
	}
	_, p, err := openPlan(c, dir)
	if err != nil {
		return err
	}
	if err := t.ready(c.Context, c.App.ErrWriter); err != nil && c.Context.Err() == nil {
		fmt.Fprintf(c.App.ErrWriter, "warning: %v; replaying all the same: each call that fails is a sample\n", err)
	}
	probe := t.probe(p, tightest(slos), &progress{w: c.App.ErrWriter})
	window, probeErr := probe(c.Context, ask, func(capacity.Window) bool { return false })
	if probeErr != nil && !errors.Is(probeErr, context.Canceled) {
		return probeErr
	}
	saved := writeSamples(out, window.Samples)
	verdict := judge(c, slos, window) // printed even where the samples could not be kept
	switch {
	case saved != nil:
		return saved
	case probeErr != nil:
		return fmt.Errorf("replay %s: interrupted; what was measured until then is above", dir)
	}
	return verdict
}

// reserve makes sure, before anything is measured, that samples can go to a file:
// that it does not exist, and that its folder does.
func reserve(name string) error {
	if name == "" {
		return nil
	}
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("-o %s: it exists; name a file that does not", name)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return fmt.Errorf("-o %s: %w", name, err)
	}
	return nil
}

func replayAsk(c *cli.Context) ([]capacity.SLO, capacity.Ask, error) {
	ask := capacity.Ask{
		Level: c.Int("agents"), Seed: c.Uint64("seed"), Warm: c.Duration("warm-up"),
		Min: c.Duration("duration"), Max: c.Duration("duration"),
	}
	switch {
	case ask.Level < 1:
		return nil, ask, usagef("--agents: got %d, want at least 1", ask.Level)
	case ask.Max <= 0:
		return nil, ask, usagef("--duration: got %v, want more than 0", ask.Max)
	case ask.Warm < 0:
		return nil, ask, usagef("--warm-up: got %v, want at least 0", ask.Warm)
	}
	var slos []capacity.SLO
	for _, text := range c.StringSlice("slo") {
		s, err := capacity.ParseSLO(text)
		if err != nil {
			return nil, ask, usagef("--slo: %v", err)
		}
		slos = append(slos, s)
	}
	return slos, ask, nil
}

// judge prints what a window holds and what it says about each service level.
func judge(c *cli.Context, slos []capacity.SLO, w capacity.Window) error {
	var judgements []capacity.Judgement
	unmet := ""
	for _, s := range slos {
		j := capacity.Judge(s, w)
		judgements = append(judgements, j)
		if j.Verdict != capacity.Pass && unmet == "" {
			unmet = fmt.Sprintf("%s: %s", s, j.Verdict)
		}
	}
	level := report.NewLevel(w, judgements)
	if err := printReport(c, level); err != nil {
		return err
	}
	if unmet != "" {
		return &answerNo{unmet}
	}
	return nil
}

func writeSamples(name string, samples []schema.Sample) error {
	if name == "" {
		return nil
	}
	w, err := schema.NewWriter[schema.Sample](name, nil)
	if err != nil {
		return err
	}
	defer w.Abort()
	if err := w.Write(samples); err != nil {
		return err
	}
	_, err = w.Close()
	return err
}
