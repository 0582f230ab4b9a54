package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/capstan-bench/capstan/replay/report"
	"github.com/capstan-bench/capstan/replay/result"
)

func reportCommand() *cli.Command {
	return &cli.Command{
		Name:      "report",
		Usage:     "print one result, or several side by side",
		ArgsUsage: "RESULT…",
		Description: "Prints the capacity table. With -o it writes one self-contained HTML page besides.\n" +
			"Results that answer different questions (another dataset, gap cap, output policy, …)\n" +
			"are not set side by side: the error names what differs.\n\nExample:\n\n" +
			"  capstan report result-a result-b -o report.html",
		Flags: []cli.Flag{
			outFlag("write an HTML page to `FILE`"),
			jsonFlag,
			&cli.BoolFlag{Name: "bench", Usage: "print the Go benchmark format, for benchstat"},
		},
		Action: runReport,
	}
}

func runReport(c *cli.Context) error {
	if c.NArg() == 0 {
		return usagef("report: name at least one result")
	}
	if c.Bool("json") && c.Bool("bench") {
		return usagef("report: --json and --bench exclude each other")
	}
	var results []*result.Result
	for _, dir := range c.Args().Slice() {
		r, err := openResult(dir)
		if err != nil {
			return err
		}
		results = append(results, r)
	}
	if err := printResults(c, results); err != nil {
		return err
	}
	if out := c.String("o"); out != "" {
		if err := writePage(out, results); err != nil {
			return err
		}
		fmt.Fprintf(c.App.ErrWriter, "wrote %s\n", out)
	}
	return nil
}

// openResult opens a result, or what an interrupted search left of one.
func openResult(dir string) (*result.Result, error) {
	r, err := result.Open(dir)
	if err == nil {
		return r, nil
	}
	if partial, perr := result.OpenPartial(dir); perr == nil {
		return partial, nil
	}
	return nil, err
}

func printResults(c *cli.Context, results []*result.Result) error {
	switch {
	case c.Bool("json"):
		return report.JSON(c.App.Writer, results...)
	case c.Bool("bench"):
		return report.Bench(c.App.Writer, results...)
	}
	return report.Text(c.App.Writer, report.TextConfig{}, results...)
}

// writePage writes the HTML page beside its final name first, so that a page
// that is there is whole.
func writePage(name string, results []*result.Result) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".report-*")
	if err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err := report.HTML(f, results...); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}
