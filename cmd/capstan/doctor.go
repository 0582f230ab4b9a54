package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/capstan-bench/capstan/proxy"
	"github.com/capstan-bench/capstan/proxy/launch"
)

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name:      "doctor",
		Usage:     "find what keeps an agent from being recorded",
		ArgsUsage: "[HARNESS…]",
		Description: "Looks at this machine, at the agent tools that it has (or those that are named), at their\n" +
			"configuration and at the environment; then starts the proxy, and has real TLS clients make\n" +
			"a call through it, with the environment that a recording would give them. Nothing leaves\n" +
			"the machine without --online. Exit status 3 if there is a problem.\n\nExample:\n\n  capstan doctor claude",
		Flags: []cli.Flag{
			jsonFlag,
			&cli.BoolFlag{Name: "online", Usage: "try whether the providers can be reached"},
		},
		Action: runDoctor,
	}
}

// Grades of findings.
const (
	gradeOK      = "ok"
	gradeNote    = "note"
	gradeProblem = "problem"
)

// finding is one thing that the doctor found.
type finding struct {
	Grade string `json:"grade"`
	About string `json:"about"`
	Text  string `json:"text"`
}

// checkup collects findings.
type checkup struct{ Findings []finding }

func (d *checkup) add(grade, about, format string, args ...any) {
	d.Findings = append(d.Findings, finding{grade, about, fmt.Sprintf(format, args...)})
}

func runDoctor(c *cli.Context) error {
	var harnesses []launch.Harness
	for _, name := range c.Args().Slice() {
		h, ok := launch.Find(name)
		if !ok {
			return usagef("doctor: %q is not known; known are %s", name, strings.Join(harnessNames(), ", "))
		}
		harnesses = append(harnesses, h)
	}
	named := len(harnesses) > 0
	if !named {
		harnesses = launch.Harnesses()
	}
	d := &checkup{}
	authority := d.authority()
	d.environment(os.Environ())
	for _, h := range harnesses {
		d.harness(c.Context, h, named)
	}
	if authority != nil {
		d.probe(c.Context, authority)
	}
	if c.Bool("online") {
		d.online(c.Context)
	}
	if err := d.print(c.App.Writer, c.Bool("json")); err != nil {
		return err
	}
	if err := c.Context.Err(); err != nil {
		return errors.New("doctor: interrupted")
	}
	if n := d.count(gradeProblem); n > 0 {
		return &answerNo{fmt.Sprintf("doctor: %d problems", n)}
	}
	return nil
}

func (d *checkup) count(grade string) (n int) {
	for _, f := range d.Findings {
		if f.Grade == grade {
			n++
		}
	}
	return n
}

func (d *checkup) print(w io.Writer, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(d.Findings)
	}
	for _, f := range d.Findings {
		if _, err := fmt.Fprintf(w, "%-8s %-12s %s\n", f.Grade, f.About, f.Text); err != nil {
			return err
		}
	}
	return nil
}

// authority looks at capstan's own folder. The authority is made if there is
// none, for the probe needs one.
func (d *checkup) authority() *launch.Authority {
	home, err := launch.Home()
	if err != nil {
		d.add(gradeProblem, "authority", "%v", err)
		return nil
	}
	a, made, err := launch.OpenAuthority(home, proxy.RecordHosts())
	if err != nil {
		d.add(gradeProblem, "authority", "%v", err)
		return nil
	}
	_, until := a.Valid()
	what := "there is one"
	if made {
		what = "made one"
	}
	d.add(gradeOK, "authority", "%s in %s, valid to %s", what, home, until.Format(time.DateOnly))
	for _, h := range proxy.RecordHosts() {
		if !a.Covers(h) {
			d.add(gradeProblem, "authority", "it does not vouch for %s, which is then not recorded: `capstan ca rotate`", h)
		}
	}
	return a
}

// environment looks at the variables that steer clients.
func (d *checkup) environment(env []string) {
	in := launch.Inherit(env, launch.Unknown(), nil, proxy.RecordHosts())
	if in.Via != nil {
		d.add(gradeNote, "environment", "the proxy %s is set; a recording reaches the world through it", launch.ShownURL(in.Via.String()))
	}
	for _, n := range in.Notes {
		d.add(gradeProblem, "environment", "%s", n)
	}
	for name, target := range in.Providers {
		d.add(gradeNote, "environment", "the base URL of %s is %s; a recording stands in for it", name, launch.ShownURL(target))
	}
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		if hides := launch.HidesRecorded(os.Getenv(name), proxy.RecordHosts()); len(hides) > 0 {
			d.add(gradeNote, "environment", "%s keeps recorded hosts from a proxy (%s); `capstan record` leaves that out for its command", name, strings.Join(hides, ", "))
		}
	}
	if strings.Contains(os.Getenv("NODE_OPTIONS"), "--use-system-ca") {
		d.add(gradeProblem, "environment", "NODE_OPTIONS has --use-system-ca, with which some versions of Claude Code trust no other certificates: unset it")
	}
	if os.Getenv("NODE_TLS_REJECT_UNAUTHORIZED") == "0" {
		d.add(gradeNote, "environment", "NODE_TLS_REJECT_UNAUTHORIZED=0: Node trusts everybody")
	}
}

// harness looks at one agent tool. One that is not installed is a problem only
// if it was named.
func (d *checkup) harness(ctx context.Context, h launch.Harness, named bool) {
	path := ""
	for _, command := range h.Commands {
		if p, err := exec.LookPath(command); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		if named {
			d.add(gradeProblem, h.Name, "not found in PATH: %s", strings.Join(h.Commands, ", "))
		}
		return
	}
	if version, err := versionOf(ctx, path); err != nil {
		d.add(gradeNote, h.Name, "%s is there, but does not tell its version: %v", path, err)
	} else {
		d.add(gradeOK, h.Name, "%s: %s", path, version)
	}
	d.settings(h)
}

// versionOf asks a program for its version.
func versionOf(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.Env = append(os.Environ(), "DISABLE_AUTOUPDATER=1", "OPENCODE_DISABLE_AUTOUPDATE=1", "NO_COLOR=1")
	cmd.WaitDelay = time.Second
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	told := strings.TrimSpace(string(out))
	if told == "" {
		told = strings.TrimSpace(said.String()) // pi's way
	}
	text, _, _ := strings.Cut(told, "\n")
	if err != nil {
		return "", err
	}
	if text == "" || len(text) > 200 {
		return "", errors.New("it printed something else")
	}
	return orDash(text), nil
}

// settings looks at what a harness's configuration says about where calls go.
func (d *checkup) settings(h launch.Harness) {
	home, err := os.UserHomeDir()
	if err != nil {
		return
	}
	dir, err := os.Getwd()
	if err != nil {
		dir = home
	}
	settings := launch.Settings(h, home, dir, os.Environ())
	in := launch.Inherit(nil, h, settings, proxy.RecordHosts())
	for _, s := range settings {
		_, stands := in.Providers[s.Provider]
		switch {
		case s.Variable != "" && h.Name == "claude":
			d.add(gradeNote, h.Name, "%s goes over the environment; `capstan record` overrides it with --settings", s.Shown())
		case s.Variable != "":
			d.add(gradeProblem, h.Name, "%s may lead past the recording: take it out, and set %s in the environment", s.Shown(), s.Variable)
		case stands && s.URL != "":
			d.add(gradeNote, h.Name, "%s; a recording stands in for it", s.Shown())
		case s.Provider == "" && s.URL != "":
			d.add(gradeNote, h.Name, "%s: what goes there is not recorded unless its host is on the record list", s.Shown())
		}
	}
	for _, n := range in.Notes {
		d.add(gradeProblem, h.Name, "%s", n)
	}
}

// online tries to reach the providers, as a recording would.
func (d *checkup) online(ctx context.Context) {
	roots, err := upstreamRoots(os.Environ(), "")
	if err != nil {
		d.add(gradeProblem, "online", "%v", err)
		return
	}
	via := launch.Inherit(os.Environ(), launch.Unknown(), nil, nil).Via
	for _, host := range []string{"api.anthropic.com", "api.openai.com", "generativelanguage.googleapis.com"} {
		if err := reachHost(ctx, host, via, roots); err != nil {
			d.add(gradeProblem, "online", "%s cannot be reached: %v", host, err)
		} else {
			d.add(gradeOK, "online", "%s can be reached", host)
		}
	}
}

// tempJournal makes room for the probe's journal.
func tempJournal() (dir string, remove func(), err error) {
	root, err := os.MkdirTemp("", "capstan-doctor-")
	if err != nil {
		return "", nil, err
	}
	return filepath.Join(root, "journal"), func() { os.RemoveAll(root) }, nil
}

// withoutSteering is an environment without the variables that a probe sets.
func withoutSteering(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		switch strings.ToUpper(name) {
		case "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY":
			return true
		}
		return false
	})
}
