package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/capstan-bench/capstan/datasets"
	"github.com/capstan-bench/capstan/replay/result"
	"github.com/capstan-bench/capstan/schema/bundle"
)

func verifyCommand() *cli.Command {
	return &cli.Command{
		Name:      "verify",
		Usage:     "check a dataset or a result",
		ArgsUsage: "DIR",
		Description: "A dataset: every file's hash, every row, every reference, every request rebuilt and\n" +
			"hashed. A result: every file's hash, and the verdicts computed again from the samples.\n" +
			"Exit status 3: something is wrong, and is listed.\n\nExample:\n\n  capstan verify sessions",
		Flags:  []cli.Flag{jsonFlag},
		Action: runVerify,
	}
}

func runVerify(c *cli.Context) error {
	dir, err := operand(c, "a dataset or a result")
	if err != nil {
		return err
	}
	kind, err := kindOf(dir)
	if err != nil {
		return err
	}
	if kind == result.Kind {
		return verifyResult(c, dir)
	}
	return verifyDataset(c, dir)
}

// kindOf reads what a directory claims to be.
func kindOf(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, bundle.ManifestName))
	if err != nil {
		return "", fmt.Errorf("verify %s: no manifest: %w; a dataset or result whose writing was cut off has none", dir, err)
	}
	var m struct{ Kind string }
	if err := json.Unmarshal(text, &m); err != nil {
		return "", fmt.Errorf("verify %s: read %s: %w", dir, bundle.ManifestName, err)
	}
	if m.Kind != result.Kind && m.Kind != datasets.Kind {
		return "", fmt.Errorf("verify %s: %s: got kind %q, want %s or %s", dir, bundle.ManifestName, m.Kind, datasets.Kind, result.Kind)
	}
	return m.Kind, nil
}

func verifyDataset(c *cli.Context, dir string) error {
	r, err := datasets.Verify(dir)
	if err != nil {
		return err
	}
	if err := printReport(c, &r); err != nil {
		return err
	}
	if !r.OK() {
		return &answerNo{fmt.Sprintf("verify %s: %s; the first: %s: %s", dir, problems(len(r.Problems)+r.More), r.Problems[0].Place, r.Problems[0].Text)}
	}
	return nil
}

func verifyResult(c *cli.Context, dir string) error {
	found, err := result.Verify(dir)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		err = printJSON(c.App.Writer, append([]result.Problem{}, found...))
	} else {
		err = printProblems(c.App.Writer, dir, found)
	}
	if err != nil || len(found) == 0 {
		return err
	}
	return &answerNo{fmt.Sprintf("verify %s: %s; the first: %s", dir, problems(len(found)), found[0])}
}

func problems(n int) string {
	if n == 1 {
		return "1 problem"
	}
	return fmt.Sprintf("%d problems", n)
}

func printProblems(w io.Writer, dir string, found []result.Problem) error {
	if len(found) == 0 {
		_, err := fmt.Fprintf(w, "result    %s: every file and every verdict holds\n", dir)
		return err
	}
	for _, p := range found {
		if _, err := fmt.Fprintf(w, "problem   %s\n", oneLine(p.String())); err != nil {
			return err
		}
	}
	return nil
}

// textual is a report in a form for people.
type textual interface{ Text(io.Writer) error }

func printReport(c *cli.Context, r textual) error {
	if c.Bool("json") {
		return printJSON(c.App.Writer, r)
	}
	return r.Text(c.App.Writer)
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}
