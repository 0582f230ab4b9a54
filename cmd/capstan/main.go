// Capstan records coding-agent sessions, publishes them as datasets, replays
// them against an inference endpoint, and says how many agents it carries and
// what each costs.
//
// What goes where: the answer of a command is on stdout, and nothing else is.
// Progress, warnings and errors are on stderr; an error is one line that begins
// with "capstan: ", in lower case, without a full stop. Exit status: 0 success,
// 1 failure, 2 wrong usage, 3 measured, and the answer is no (a service level
// that no level meets, a verification that found something); record passes on
// that of the command it runs. An interrupted command leaves files that open.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"unicode"

	"github.com/urfave/cli/v2"

	"github.com/capstan-bench/capstan/replay/result"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	code := run(ctx, os.Args, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program; it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	app := newApp(stdout, stderr)
	args, err := permute(app, args)
	if err == nil {
		err = app.RunContext(ctx, args)
	}
	if err == nil {
		return 0
	}
	var no *answerNo
	if errors.As(err, &no) {
		if no.why != "" {
			fmt.Fprintf(stderr, "capstan: %s\n", oneLine(no.why))
		}
		return 3
	}
	var child *childStatus
	if errors.As(err, &child) {
		return child.code
	}
	fmt.Fprintf(stderr, "capstan: %s\n", oneLine(err.Error()))
	var usage *usageError
	if errors.As(err, &usage) {
		return 2
	}
	return 1
}

// oneLine keeps text that may come from a stranger's file or server on its line,
// and from steering the terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return ' '
		case r == ' ' || unicode.IsPrint(r):
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// usageError is a mistake in how a command was called.
type usageError struct{ msg string }

func (e *usageError) Error() string { return e.msg }

func usagef(format string, a ...any) error {
	return &usageError{fmt.Sprintf(format, a...)}
}

// answerNo ends a command that worked and whose answer is no.
type answerNo struct{ why string }

func (e *answerNo) Error() string { return e.why }

func newApp(stdout, stderr io.Writer) *cli.App {
	app := &cli.App{
		Name:            "capstan",
		Usage:           "how many of my coding agents can this machine serve, and what does each cost?",
		Version:         result.ToolVersion(),
		HideHelpCommand: true,
		Writer:          stdout,
		ErrWriter:       stderr,
		ExitErrHandler:  func(*cli.Context, error) {},
		OnUsageError:    onUsageError,
		Action:          unknownCommand,
		Commands: []*cli.Command{
			demoCommand(), importCommand(), inspectCommand(), verifyCommand(), replayCommand(),
			capacityCommand(), reportCommand(), simulateCommand(),
			recordCommand(), packCommand(), journalCommand(), caCommand(), doctorCommand(),
		},
		DisableSliceFlagSeparator: true, // an SLO may hold commas
	}
	for _, c := range app.Commands {
		c.OnUsageError = onUsageError
		for _, sub := range c.Subcommands {
			sub.OnUsageError = onUsageError
		}
	}
	return app
}

func onUsageError(_ *cli.Context, err error, _ bool) error {
	return usagef("%v; see --help", err)
}

// unknownCommand runs when no command was named, or one that does not exist.
func unknownCommand(c *cli.Context) error {
	if name := c.Args().First(); name != "" {
		return usagef("unknown command %q; `capstan --help` lists them", name)
	}
	return cli.ShowAppHelp(c)
}
