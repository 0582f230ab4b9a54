package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/capstan-bench/capstan/datasets"
	"github.com/capstan-bench/capstan/datasets/stats"
)

func inspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "say what is in a dataset, or in one of its sessions",
		ArgsUsage: "DATASET [SESSION]",
		Description: "A dataset: sessions, turns, tokens, growth of contexts, gaps, tools, and the share of\n" +
			"input that a cache without limits would find. A session: its calls as a timeline.\n\nExample:\n\n" +
			"  capstan inspect sessions",
		Flags:  []cli.Flag{jsonFlag},
		Action: runInspect,
	}
}

func runInspect(c *cli.Context) error {
	if n := c.NArg(); n < 1 || n > 2 {
		return usagef("inspect: name a dataset, and a session if only that is meant")
	}
	ds, err := datasets.Open(c.Args().First())
	if err != nil {
		return err
	}
	if c.NArg() == 2 {
		return inspectSession(c, ds, c.Args().Get(1))
	}
	summary, err := stats.Inspect(ds.Sessions(), ds.StoredBytes())
	if err != nil {
		return err
	}
	return printReport(c, &summary)
}

func inspectSession(c *cli.Context, ds *datasets.Dataset, id string) error {
	for s, err := range ds.Sessions(id) {
		if err != nil {
			return err
		}
		timeline, err := stats.NewTimeline(s)
		if err != nil {
			return err
		}
		return printReport(c, &timeline)
	}
	return fmt.Errorf("inspect %s: no session %q; `capstan inspect %s` lists them", ds.Dir(), id, ds.Dir())
}
