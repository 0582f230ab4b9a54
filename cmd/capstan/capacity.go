package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/capstan-bench/capstan/datasets"
	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/replay/report"
	"github.com/capstan-bench/capstan/replay/result"
)

func capacityCommand() *cli.Command {
	flags := append(replayFlags(),
		&cli.StringSliceFlag{Name: "slo", Usage: "service level `EXPR`, such as 'p25(speed)>=20 & p95(ttft)<=10s'; repeat for several"},
		&cli.StringFlag{Name: "tiers", Usage: "built-in `SET` of service levels: " + strings.Join(capacity.TierNames(), ", ")},
		&cli.StringFlag{Name: "system", Usage: "manifest `FILE` of the system under test"},
		outFlag("result `DIR` to write; must not exist"),
		&cli.IntFlag{Name: "start", Value: 1, Usage: "first level `N` of the ramp"},
		&cli.IntFlag{Name: "max-level", Usage: "highest level `N` to probe"},
		&cli.IntFlag{Name: "max-probes", Value: capacity.DefaultMaxProbes, Usage: "stop after `N` probes"},
		&cli.DurationFlag{Name: "min-window", Value: capacity.DefaultMin, Usage: "shortest window `D` of a probe"},
		&cli.DurationFlag{Name: "max-window", Value: capacity.DefaultMax, Usage: "longest window `D` of a probe that cannot tell"},
		&cli.DurationFlag{Name: "horizon", Value: capacity.DefaultHorizon, Usage: "how long `D` the answer must hold"},
		&cli.DurationFlag{Name: "warm-up", Value: capacity.DefaultWarm, Usage: "`D` between the first completed call of every agent and the window"},
		&cli.Float64Flag{Name: "resolution", Value: capacity.DefaultResolution, Usage: "stop when the interval is narrower than this `SHARE`"},
		jsonFlag,
	)
	return &cli.Command{
		Name:      "capacity",
		Usage:     "find how many agents a system carries at each service level",
		ArgsUsage: "DATASET",
		Description: "Searches for the largest number of concurrent agents that meets each service level,\n" +
			"writes a result directory and prints the table. Exit status 3: at some level of\n" +
			"service not even one agent was carried.\n\nExample:\n\n" +
			"  capstan capacity sessions --target http://127.0.0.1:8000 --model my-model \\\n" +
			"      --slo 'p25(speed)>=20 & p95(ttft)<=10s' --system system.yaml -o result",
		Flags:  flags,
		Action: runCapacity,
	}
}

func runCapacity(c *cli.Context) error {
	if err := readConfig(c); err != nil {
		return err
	}
	dir, err := operand(c, "a dataset")
	if err != nil {
		return err
	}
	s, err := openSearch(c, dir)
	if err != nil {
		return err
	}
	if err := s.target.ready(c.Context, c.App.ErrWriter); err != nil {
		if c.Context.Err() != nil {
			return fmt.Errorf("capacity %s: interrupted; nothing was measured", dir)
		}
		return fmt.Errorf("capacity %s: nothing was measured: %w", dir, err)
	}
	found, err := s.run(c.Context)
	if err != nil {
		return err
	}
	results := []*result.Result{found}
	if c.Bool("json") {
		err = report.JSON(c.App.Writer, results...)
	} else {
		err = report.Text(c.App.Writer, report.TextConfig{}, results...)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.ErrWriter, "result in %s; `capstan report %s` draws it\n", s.out, s.out)
	if c.Context.Err() != nil {
		return fmt.Errorf("capacity %s: interrupted; the answers are those found until then", dir)
	}
	return carried(found)
}

// carried is an answer of no where a tier carries not even one agent, or none
// was certain.
func carried(r *result.Result) error {
	for _, a := range r.Search.Answers {
		switch {
		case a.L > 0:
		case a.U == 1:
			return &answerNo{fmt.Sprintf("not one agent was carried at %s", a.SLO)}
		case a.U == 0:
			return &answerNo{fmt.Sprintf("no level passed or failed for certain at %s", a.SLO)}
		default:
			return &answerNo{fmt.Sprintf("no level passed for certain at %s, and %d agents were too many", a.SLO, a.U)}
		}
	}
	return nil
}

// search is one capacity search with where its result goes.
type search struct {
	target   *target
	plan     *plan.Plan
	probe    capacity.Probe
	config   capacity.SearchConfig
	about    result.Run
	system   []byte
	out      string
	progress *progress
}

func openSearch(c *cli.Context, dir string) (*search, error) {
	slos, err := serviceLevels(c)
	if err != nil {
		return nil, err
	}
	out := c.String("o")
	if out == "" {
		return nil, usagef("capacity: -o is missing: name the result directory to write")
	}
	if err := checkSearch(c); err != nil {
		return nil, err
	}
	if err := vacant(out); err != nil {
		return nil, err
	}
	system, err := readSystem(c.String("system"))
	if err != nil {
		return nil, err
	}
	t, err := openTarget(c)
	if err != nil {
		return nil, err
	}
	ds, p, err := openPlan(c, dir)
	if err != nil {
		return nil, err
	}
	s := &search{target: t, plan: p, system: system, out: out, progress: &progress{w: c.App.ErrWriter}}
	s.probe = t.guarded(t.probe(p, tightest(slos), s.progress), c.App.ErrWriter)
	s.config = capacity.SearchConfig{
		SLOs: slos, Start: c.Int("start"), MaxLevel: c.Int("max-level"), MaxProbes: c.Int("max-probes"),
		Min: c.Duration("min-window"), Max: c.Duration("max-window"), Horizon: c.Duration("horizon"),
		Warm: c.Duration("warm-up"), Resolution: c.Float64("resolution"), Seed: c.Uint64("seed"),
	}
	if s.config.Warm == 0 {
		s.config.Warm = -1 // the search's word for none
	}
	s.about, err = describe(c, ds, p, t, slos)
	return s, err
}

// serviceLevels reads --slo and --tiers.
func serviceLevels(c *cli.Context) ([]capacity.SLO, error) {
	var slos []capacity.SLO
	if name := c.String("tiers"); name != "" {
		set, ok := capacity.Tiers(name)
		if !ok {
			return nil, usagef("--tiers: got %q, want one of %s", name, strings.Join(capacity.TierNames(), ", "))
		}
		slos = append(slos, set...)
	}
	for _, text := range c.StringSlice("slo") {
		slo, err := capacity.ParseSLO(text)
		if err != nil {
			return nil, usagef("--slo: %v", err)
		}
		slos = append(slos, slo)
	}
	if len(slos) == 0 {
		return nil, usagef("capacity: name a service level with --slo, or a set with --tiers %s", strings.Join(capacity.TierNames(), "|"))
	}
	return slos, nil
}

// checkSearch refuses settings that no search could start with, before anything
// is written.
func checkSearch(c *cli.Context) error {
	least, most := c.Duration("min-window"), c.Duration("max-window")
	start, top := c.Int("start"), c.Int("max-level")
	switch {
	case least <= 0 || most < least:
		return usagef("--min-window and --max-window: got %v and %v, want more than 0, and the second not below the first", least, most)
	case c.Duration("horizon") <= 0:
		return usagef("--horizon: got %v, want more than 0", c.Duration("horizon"))
	case c.Duration("warm-up") < 0:
		return usagef("--warm-up: got %v, want at least 0", c.Duration("warm-up"))
	case start < 1:
		return usagef("--start: got %d, want at least 1", start)
	case top < 0 || top > 0 && top < start:
		return usagef("--max-level: got %d, want at least --start, which is %d", top, start)
	case c.Int("max-probes") < 1:
		return usagef("--max-probes: got %d, want at least 1", c.Int("max-probes"))
	}
	if share := c.Float64("resolution"); !(share > 0 && share < 1) {
		return usagef("--resolution: got %v, want a share between 0 and 1", share)
	}
	return nil
}

// vacant refuses an output directory that holds something, before time is spent
// on what could not be kept there.
func vacant(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("-o: %w", err)
	case len(entries) > 0:
		return fmt.Errorf("-o %s: it is not empty: it holds %s; name a directory that does not exist", dir, entries[0].Name())
	}
	return nil
}

// tightest is the shortest limit on the time to first token.
func tightest(slos []capacity.SLO) time.Duration {
	var least time.Duration
	for _, s := range slos {
		for _, cond := range s.Conds {
			if cond.Metric != capacity.TTFT {
				continue
			}
			if d := time.Duration(cond.Limit * float64(time.Second)); least == 0 || d < least {
				least = d
			}
		}
	}
	return least
}

func readSystem(name string) ([]byte, error) {
	if name == "" {
		return nil, usagef("capacity: --system is missing: a result never leaves without its system's manifest")
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read system: %w", err)
	}
	return text, checkSystem(name, text)
}

// run searches, and persists each probe as soon as it has ended. The first that
// can't be kept ends the search: what it would measure after that is lost too.
func (s *search) run(ctx context.Context) (*result.Result, error) {
	w, err := result.Create(s.out, s.about, s.system)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var window capacity.Window
	var lost error
	s.config.OnWindow = func(win capacity.Window) { window = win }
	s.config.OnProbe = func(r capacity.ProbeRecord) {
		if lost != nil {
			return
		}
		if lost = w.AddProbe(window, r); lost != nil {
			stop()
		}
		s.progress.probe(r)
	}
	from := time.Now()
	found, err := capacity.Search(ctx, s.probe, s.config)
	if lost != nil {
		return nil, fmt.Errorf("%w; the probes before it are in %s", lost, s.out)
	}
	if err != nil {
		return nil, fmt.Errorf("%w; the probes that ended are in %s", err, s.out)
	}
	if err := w.Finish(found, time.Since(from)); err != nil {
		return nil, err
	}
	return result.Open(s.out)
}

// openPlan opens a dataset and builds the plan that the flags ask for.
func openPlan(c *cli.Context, dir string) (*datasets.Dataset, *plan.Plan, error) {
	cfg, err := planConfig(c)
	if err != nil {
		return nil, nil, err
	}
	if cfg.Model == "" {
		if !strings.HasPrefix(strings.Join(c.StringSlice("target"), ""), "sim:") {
			return nil, nil, usagef("%s: --model is missing: name the model to ask the endpoint for", c.Command.Name)
		}
		cfg.Model = simulatedModel
	}
	ds, err := datasets.Open(dir)
	if err != nil {
		return nil, nil, err
	}
	p, err := plan.Build(c.Context, ds.Sessions(), cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("plan %s: %w", dir, err)
	}
	return ds, p, nil
}
