package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/capstan-bench/capstan/datasets"
	"github.com/capstan-bench/capstan/datasets/convert"
	"github.com/capstan-bench/capstan/replay/result"
	"github.com/capstan-bench/capstan/schema"
)

func importCommand() *cli.Command {
	var about, notes strings.Builder
	for _, f := range convert.Formats() {
		fmt.Fprintf(&about, "  %-6s %s\n", f.Name, f.About)
		if f.Note != "" {
			fmt.Fprintf(&notes, "\n%s\n", f.Note)
		}
	}
	return &cli.Command{
		Name:      "import",
		Usage:     "make a dataset from sessions in another format",
		ArgsUsage: "FORMAT PATH…",
		Description: "Reads files, or all files of folders, and writes one dataset. A line that cannot be\n" +
			"read ends the import and leaves no dataset.\n\nFormats:\n\n" + about.String() + notes.String() +
			"\nExample:\n\n  capstan import pi session.jsonl -o sessions",
		Flags: []cli.Flag{
			outFlag("dataset `DIR` to write; must not exist or be empty"),
			&cli.StringFlag{Name: "name", Usage: "heading of the dataset's card"},
			&cli.StringFlag{Name: "license", Usage: "licence of the sessions, as the Hugging Face Hub names it"},
		},
		Action: runImport,
	}
}

func runImport(c *cli.Context) error {
	if c.NArg() < 2 {
		return usagef("import: name a format and what to read; see `capstan import --help`")
	}
	out := c.String("o")
	if out == "" {
		return usagef("import: -o is missing: name the dataset to write")
	}
	format, err := convert.Named(c.Args().First())
	if err != nil {
		return usagef("%v", err)
	}
	_, statErr := os.Stat(out)
	card := datasets.Card{Name: c.String("name"), License: c.String("license"), Producer: "capstan " + result.ToolVersion()}
	sessions, calls := 0, 0
	err = convert.Dataset(out, card, format, c.Args().Tail(), func(s *schema.Session) {
		sessions++
		calls += len(s.Calls)
		fmt.Fprintf(c.App.ErrWriter, "%s: %d calls\n", s.ID, len(s.Calls))
		for _, w := range convert.Warnings(s) {
			fmt.Fprintf(c.App.ErrWriter, "%s: warning: %s\n", s.ID, w)
		}
	})
	if err != nil {
		if os.IsNotExist(statErr) {
			os.Remove(filepath.Clean(out)) // only if nothing is in it
		}
		return err
	}
	if format.Note != "" {
		fmt.Fprintf(c.App.ErrWriter, "note: %s\n", format.Note)
	}
	fmt.Fprintf(c.App.Writer, "%s: %d sessions, %d calls\n", out, sessions, calls)
	return nil
}
