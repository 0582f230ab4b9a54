package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/capstan-bench/capstan/proxy"
	"github.com/capstan-bench/capstan/proxy/launch"
)

func caCommand() *cli.Command {
	return &cli.Command{
		Name:      "ca",
		Usage:     "the certificate authority of recordings: show, export, rotate",
		ArgsUsage: "COMMAND",
		Description: "Tunnels to model providers are opened with certificates of an authority that belongs to\n" +
			"you on this machine. It can vouch for those hosts and no others, and only what a\n" +
			"recording starts trusts it.\n\nExample:\n\n  capstan ca show",
		HideHelpCommand: true,
		Action:          needsSubcommand,
		Subcommands: []*cli.Command{
			{
				Name: "show", Usage: "say what the authority is", Action: runCAShow,
				Description: "Exit status 1 if there is none yet.\n\nExample:\n\n  capstan ca show",
			},
			{
				Name: "export", Usage: "write the certificate, without its key", Action: runCAExport,
				Description: "For agents on this machine that no recording starts, and for --listen.\n\nExample:\n\n  capstan ca export -o capstan-ca.pem",
				Flags:       []cli.Flag{outFlag("write to `FILE` instead of stdout")},
			},
			{
				Name: "rotate", Usage: "replace the authority", Action: runCARotate,
				Description: "Makes a new key. Recordings that are under way keep the old one; what was exported of it\nis to be removed.\n\nExample:\n\n" +
					"  capstan ca rotate --host llm.corp.example",
				Flags: []cli.Flag{&cli.StringSliceFlag{Name: "host", Usage: "let it vouch for `HOST` too; repeat for several"}},
			},
		},
	}
}

func openCA(c *cli.Context) (*launch.Authority, error) {
	if c.NArg() != 0 {
		return nil, usagef("ca %s: got an operand, want none", c.Command.Name)
	}
	home, err := launch.Home()
	if err != nil {
		return nil, err
	}
	return launch.LoadAuthority(home)
}

func runCAShow(c *cli.Context) error {
	a, err := openCA(c)
	if err != nil {
		return err
	}
	from, until := a.Valid()
	w := c.App.Writer
	fmt.Fprintf(w, "subject      %s\nvalid        %s to %s\nfingerprint  sha256 %s\nvouches for  %s\n", a.Subject(),
		from.Format(time.DateOnly), until.Format(time.DateOnly), a.Fingerprint(), strings.Join(a.Hosts(), "\n             "))
	for _, h := range proxy.RecordHosts() {
		if !a.Covers(h) {
			fmt.Fprintf(c.App.ErrWriter, "it does not vouch for %s, which is on the record list; `capstan ca rotate` makes one that does\n", h)
		}
	}
	return nil
}

func runCAExport(c *cli.Context) error {
	a, err := openCA(c)
	if err != nil {
		return err
	}
	name := c.String("o")
	if name == "" {
		_, err = c.App.Writer.Write(a.PEM())
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("-o %s: it exists; name a file that does not", name)
	}
	if err != nil {
		return fmt.Errorf("export authority: %w", err)
	}
	_, err = f.Write(a.PEM())
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("export authority: %w", err)
	}
	return nil
}

func runCARotate(c *cli.Context) error {
	if c.NArg() != 0 {
		return usagef("ca rotate: got an operand, want none")
	}
	home, err := launch.Home()
	if err != nil {
		return err
	}
	hosts := slices.Concat(proxy.RecordHosts(), c.StringSlice("host"))
	for _, h := range c.StringSlice("host") {
		if h == "" || strings.ContainsAny(h, ":/@ ") || !strings.Contains(strings.TrimPrefix(h, "*."), ".") {
			return usagef("--host: got %q, want the name of a host such as llm.corp.example", h)
		}
	}
	a, err := launch.RotateAuthority(home, hosts)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.ErrWriter, "made a certificate authority, sha256 %s\n", a.Fingerprint())
	return nil
}
