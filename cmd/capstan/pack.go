package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/capstan-bench/capstan/datasets"
	"github.com/capstan-bench/capstan/datasets/convert"
	"github.com/capstan-bench/capstan/proxy/assemble"
	"github.com/capstan-bench/capstan/proxy/journal"
	"github.com/capstan-bench/capstan/replay/result"
	"github.com/capstan-bench/capstan/schema/tokens"
)

func packCommand() *cli.Command {
	return &cli.Command{
		Name:      "pack",
		Usage:     "make a dataset from journals",
		ArgsUsage: "JOURNAL…",
		Description: "Reads what was recorded, tells sessions, agents and calls apart, and writes one dataset.\n" +
			"What became of every exchange is counted on stderr and kept with its session. While it\n" +
			"works, a file without a name beside the dataset holds what is new in the recording.\n\n" +
			"Where a part of a journal cannot be read, the dataset is made of the rest and the exit\n" +
			"status is 1.\n\nExamples:\n\n  capstan pack journal -o sessions\n" +
			"  capstan pack monday tuesday -o week --session claude-20261125-161455-4f2a",
		Flags: []cli.Flag{
			outFlag("dataset `DIR` to write; must not exist or be empty"),
			&cli.StringFlag{Name: "name", Usage: "heading of the dataset's card"},
			&cli.StringFlag{Name: "license", Usage: "licence of the sessions, as the Hugging Face Hub names it"},
			&cli.StringSliceFlag{Name: "session", Usage: "pack only the session with this `ID` or tag; repeat for several"},
			&cli.StringFlag{Name: "identity", Usage: "`FILE` of age identities that open an encrypted journal"},
		},
		Action: runPack,
	}
}

func runPack(c *cli.Context) error {
	out := c.String("o")
	switch {
	case c.NArg() == 0:
		return usagef("pack: name the journals to read; see `capstan pack --help`")
	case out == "":
		return usagef("pack: -o is missing: name the dataset to write")
	}
	keys, err := identities(c.String("identity"))
	if err != nil {
		return err
	}
	spool, drop, err := newSpool(filepath.Dir(filepath.Clean(out)))
	if err != nil {
		return err
	}
	defer drop()
	p := &packing{wanted: c.StringSlice("session"), found: map[string]bool{}, log: c.App.ErrWriter}
	counter, err := tokens.Open(tokens.O200k)
	if err != nil {
		return err
	}
	p.to = assemble.New(spool, assemble.Config{Count: counter.Count, Tokenizer: counter.Name(), Keep: p.keep})
	for _, dir := range c.Args().Slice() {
		if err := p.read(c.Context, dir, keys); err != nil {
			return fmt.Errorf("pack %s: %w", dir, err)
		}
	}
	card := datasets.Card{Name: c.String("name"), License: c.String("license"), Producer: "capstan " + result.ToolVersion()}
	if err := p.write(c.Context, out, card); err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	r := p.to.Report()
	fmt.Fprintf(c.App.Writer, "%s: %d sessions, %d calls\n", out, r.Sessions, r.Calls)
	if n := len(p.damage); n > 0 {
		return fmt.Errorf("pack: %d parts of the journals could not be read, the dataset holds the rest; the first: %w", n, p.damage[0])
	}
	return nil
}

// newSpool makes a file that nobody else can read, in dir, where the dataset will
// be too. Where the system allows it, the file has no name, so that it is gone
// however the program ends.
func newSpool(dir string) (*os.File, func(), error) {
	f, err := os.CreateTemp(dir, ".capstan-pack-*")
	if err != nil {
		return nil, nil, fmt.Errorf("pack: %w", err)
	}
	if runtime.GOOS != "windows" {
		os.Remove(f.Name())
	}
	return f, func() {
		f.Close()
		os.Remove(f.Name())
	}, nil
}

// packing is journals on their way into a dataset.
type packing struct {
	to     *assemble.Assembler
	wanted []string        // sessions or tags; none: all
	found  map[string]bool // of those
	damage []error
	log    io.Writer
}

func (p *packing) keep(id, tag string) bool {
	if len(p.wanted) == 0 {
		return true
	}
	keep := false
	for _, w := range p.wanted {
		if w == id || w == tag {
			p.found[w], keep = true, true
		}
	}
	return keep
}

// read adds the exchanges of a journal. A part that is damaged is passed over; one
// that is only closed to us ends it.
func (p *packing) read(ctx context.Context, dir string, keys []string) error {
	r, err := journal.Open(dir, journal.ReadConfig{Identities: keys})
	if err != nil {
		return err
	}
	n := 0
	for x, err := range r.Exchanges() {
		var corrupt *journal.CorruptError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &corrupt):
			p.damage = append(p.damage, fmt.Errorf("%s: %w", dir, err))
			fmt.Fprintf(p.log, "%s: warning: %v\n", dir, err)
			continue
		case errors.Is(err, journal.ErrSealed) && len(keys) == 0:
			return fmt.Errorf("%w: name the file of yours with --identity", err)
		case err != nil:
			return err
		}
		n++
		if err := p.to.Add(x); err != nil {
			return err
		}
	}
	fmt.Fprintf(p.log, "%s: %d exchanges\n", dir, n)
	for _, g := range r.Gaps() {
		fmt.Fprintf(p.log, "%s: warning: nothing is left of %d exchanges between %s and %s: %s\n",
			dir, g.Exchanges, g.Since.Format("15:04:05"), g.Until.Format("15:04:05"), g.Cause)
	}
	return nil
}

// write builds the sessions and writes them.
func (p *packing) write(ctx context.Context, out string, card datasets.Card) error {
	_, statErr := os.Stat(out)
	w, err := datasets.Create(out, card)
	if err != nil {
		return err
	}
	defer func() {
		w.Abort()
		if os.IsNotExist(statErr) {
			os.Remove(filepath.Clean(out)) // only if nothing is in it
		}
	}()
	for s, err := range p.to.Sessions() {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = w.Add(s)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(p.log, "%s: %d calls\n", s.ID, len(s.Calls))
		for _, warning := range convert.Warnings(s) {
			fmt.Fprintf(p.log, "%s: warning: %s\n", s.ID, warning)
		}
	}
	if err := p.complete(); err != nil {
		return err
	}
	return w.Close()
}

// complete tells what was left out, and says whether there is anything to write.
func (p *packing) complete() error {
	r := p.to.Report()
	var why []string
	for w := range r.Left {
		why = append(why, w)
	}
	slices.Sort(why)
	for _, w := range why {
		fmt.Fprintf(p.log, "left out: %d of %d exchanges: %s\n", r.Left[w], r.Exchanges, w)
	}
	var missing []string
	for _, w := range p.wanted {
		if !p.found[w] {
			missing = append(missing, w)
		}
	}
	switch {
	case len(missing) > 0:
		return fmt.Errorf("no session is called %s", strings.Join(missing, ", "))
	case r.Sessions == 0:
		return fmt.Errorf("no model call among %d exchanges", r.Exchanges)
	}
	return nil
}
