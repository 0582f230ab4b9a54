package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"

	"github.com/urfave/cli/v2"
)

// childStatus ends a command whose child ended with another status than 0. The
// child has said why.
type childStatus struct{ code int }

func (e *childStatus) Error() string { return fmt.Sprintf("the command ended with status %d", e.code) }

// stdio is what a child reads and writes.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

func newStdio(c *cli.Context) stdio { return stdio{os.Stdin, c.App.Writer, c.App.ErrWriter} }

// terminal tells whether the child has one.
func (s stdio) terminal() bool { return terminal(s.in) || terminal(s.out) || terminal(s.err) }

// runChild runs a command and returns its exit status, that of a shell: 128 and
// the signal where one ended it. meanwhile runs until the command has ended.
//
// With a terminal the child stays in capstan's process group, so that the
// terminal's keys and job control reach both; interrupts and quits are then the
// child's alone to act on, and other signals are passed on to it. Without one the
// child leads a group of its own, and every signal is passed on to that.
func runChild(argv, env []string, s stdio, meanwhile func(context.Context)) (status int, err error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.in, s.out, s.err
	shared := s.terminal()
	if !shared {
		ownGroup(cmd)
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, passedSignals...)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if meanwhile != nil {
			meanwhile(ctx)
		}
	}()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case sig := <-signals:
			pass(cmd, sig, shared)
		case err := <-ended:
			cancel()
			<-watched
			return exitStatus(cmd, err)
		}
	}
}

// exitStatus is the status that a shell would give.
func exitStatus(cmd *exec.Cmd, err error) (int, error) {
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	if code := cmd.ProcessState.ExitCode(); code >= 0 {
		return code, nil
	}
	return 128 + endingSignal(cmd.ProcessState), nil
}
