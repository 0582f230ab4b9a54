package main

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/capstan-bench/capstan/datasets"
	"github.com/capstan-bench/capstan/datasets/smoke"
	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/replay/result"
	"github.com/capstan-bench/capstan/replay/sim"
	"github.com/capstan-bench/capstan/replay/virtual"
)

//go:embed demo_small.yaml demo_large.yaml
var demoSystems embed.FS

const (
	demoTiers = "aa-deepseek-v4-pro"
	// demoFactor is how much faster than recorded the demo replays over HTTP:
	// engine, gaps and limits alike. More, and the client's own lateness, some
	// hundred microseconds, would tell beside limits of milliseconds.
	demoFactor = 60
)

var demoEngines = []string{"small", "large"}

func demoCommand() *cli.Command {
	return &cli.Command{
		Name:  "demo",
		Usage: "the whole line on this machine, with nothing installed",
		Description: "Searches the capacity of two simulated endpoints for the shipped dataset in virtual\n" +
			"time, with the recorded gaps; confirms what it found, and refutes one step up, by\n" +
			fmt.Sprintf("replaying over HTTP with everything %d× faster; prints the table and writes an HTML\n", demoFactor) +
			"page. Takes a minute or two and needs no network.\n\nExample:\n\n  capstan demo",
		Flags: []cli.Flag{
			outFlag("`DIR` for results and report; must not exist. A new folder among the temporary ones when left out"),
			&cli.BoolFlag{Name: "no-http", Usage: "leave out the confirmation over HTTP"},
			jsonFlag,
		},
		Action: runDemo,
	}
}

func runDemo(c *cli.Context) error {
	if c.NArg() > 0 {
		return usagef("demo: takes no operands, got %q", c.Args().First())
	}
	d, err := newDemo(c)
	if err != nil {
		return err
	}
	results, err := d.run(c)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := printResults(c, results); err != nil {
		return err
	}
	if len(d.checks) > 0 && !c.Bool("json") {
		fmt.Fprintf(c.App.Writer, "\n%s\n", strings.Join(d.checks, "\n"))
	}
	page := filepath.Join(d.out, "report.html")
	if err := writePage(page, results); err != nil {
		return err
	}
	if c.Bool("json") {
		fmt.Fprintf(c.App.ErrWriter, "report: %s\n", page)
	} else {
		fmt.Fprintf(c.App.Writer, "\nreport: %s\n", page)
	}
	return nil
}

// demo is one run of the demo.
type demo struct {
	out     string
	dataset *datasets.Dataset
	tiers   []capacity.SLO
	checks  []string // what a replay over HTTP said
	say     *progress
}

func newDemo(c *cli.Context) (*demo, error) {
	out := c.String("o")
	if out == "" {
		var err error
		if out, err = os.MkdirTemp("", "capstan-demo-"); err != nil {
			return nil, fmt.Errorf("demo: %w", err)
		}
	} else if err := os.Mkdir(out, 0o777); err != nil {
		return nil, fmt.Errorf("demo: make output folder: %w", err)
	}
	dir := filepath.Join(out, "smoke")
	if err := smoke.Write(dir); err != nil {
		return nil, err
	}
	ds, err := datasets.Open(dir)
	if err != nil {
		return nil, err
	}
	tiers, ok := capacity.Tiers(demoTiers)
	if !ok {
		panic("demo: internal error: no tiers " + demoTiers)
	}
	return &demo{out: out, dataset: ds, tiers: tiers, say: &progress{w: c.App.ErrWriter}}, nil
}

// run searches every engine in virtual time, then checks the answers at the
// first tier over HTTP.
func (d *demo) run(c *cli.Context) ([]*result.Result, error) {
	var results []*result.Result
	for _, name := range demoEngines {
		r, err := d.search(c, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		results = append(results, r)
	}
	if c.Bool("no-http") {
		return results, nil
	}
	return results, d.check(c.Context, results)
}

// search finds the capacities of one engine.
func (d *demo) search(c *cli.Context, name string) (*result.Result, error) {
	params, _ := sim.Builtin(name)
	system, err := demoSystems.ReadFile("demo_" + name + ".yaml")
	if err != nil {
		return nil, err
	}
	cfg := plan.Config{Model: params.Name, GapCap: plan.DefaultGapCap, Output: plan.OutputExact, GapScale: 1}
	p, err := plan.Build(c.Context, d.dataset.Sessions(), cfg)
	if err != nil {
		return nil, err
	}
	s := &search{
		plan: p, probe: virtual.Probe(p, params), system: system, out: filepath.Join(d.out, name), progress: d.say,
		config: capacity.SearchConfig{SLOs: d.tiers, Seed: 1},
		about:  newRun(d.dataset, p, cfg, d.tiers),
	}
	s.about.Endpoints, s.about.Seed = []string{"sim:" + name}, 1
	from := time.Now()
	fmt.Fprintf(d.say.w, "%s: searching in virtual time\n", name)
	r, err := s.run(c.Context)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(d.say.w, "%s: %s of endpoint time in %s\n", name, endpointTime(r).Round(time.Minute), time.Since(from).Round(100*time.Millisecond))
	return r, nil
}

// endpointTime is how long the probes of a result would have taken on a real
// endpoint.
func endpointTime(r *result.Result) time.Duration {
	var sum time.Duration
	for _, p := range r.Search.Probes {
		sum += p.To
	}
	return sum
}
