//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// agentTimeout bounds one run of one agent.
const agentTimeout = 90 * time.Second

const (
	task    = "Count the lists of this folder, note the counts and commit the notes."
	closing = "The lists are counted, and the notes are committed."
)

// installed is the folder with the agents, in which .ci/agents puts them.
func installed(t *testing.T) string {
	t.Helper()
	folder := os.Getenv("CAPSTAN_AGENTS")
	if folder == "" {
		t.Skip("CAPSTAN_AGENTS names no folder with installed agents: run .ci/agents")
	}
	return folder
}

// TestAgents has real coding agents work through a script: tools, two at once,
// sub-agents. Each is run against its base URL and, under its vendor's own host name,
// through a tunnel.
func TestAgents(t *testing.T) {
	folder := installed(t)
	for _, h := range harnesses {
		t.Run(h.name, func(t *testing.T) {
			s := startStage(t, "testdata/work.yaml", folder)
			out := s.run(h, h.args(s, task)...)
			s.checkWork(h, out)
			s.checkTurns(h, "main", 9, 1)
			if counters := 2; h.alone {
				s.checkTurns(h, "counter", 2, 0)
			} else {
				s.checkTurns(h, "counter", 2, counters)
			}
		})
	}
}

// TestAgentsRecorded runs them under capstan record, with the stand-in as the proxy
// behind it. Those with a base URL of their own keep it.
func TestAgentsRecorded(t *testing.T) {
	folder := installed(t)
	capstan := filepath.Join(t.TempDir(), "capstan")
	if out, err := exec.Command("go", "build", "-o", capstan, "../capstan").CombinedOutput(); err != nil {
		t.Fatalf("build capstan: %v\n%s", err, out)
	}
	for _, h := range harnesses {
		t.Run(h.name, func(t *testing.T) {
			s := startStage(t, "testdata/work.yaml", folder)
			journal := filepath.Join(s.home, "journal")
			s.prefix = []string{capstan, "record", "-o", journal, "--session", "lists", "--upstream-proxy", s.base, "--upstream-ca", s.ca, "--"}
			out := s.run(h, h.args(s, task)...)
			s.checkWork(h, out)
			s.checkTurns(h, "main", 9, 1)
			cmd := exec.Command(capstan, "journal", "list", journal)
			cmd.Env = s.env()
			list, err := cmd.CombinedOutput()
			row := regexp.MustCompile(fmt.Sprintf(`\nlists +%s +%d +0 +0 `, h.command, s.calls()))
			if err != nil || !row.Match(list) {
				t.Errorf("the journal has\n%s%v, want the session lists with all %d calls whole", list, err, s.calls())
			}
		})
	}
}

// TestAgentsCompact has them outgrow their contexts. Gemini CLI only begins anew, and
// pi compacts between two prompts.
func TestAgentsCompact(t *testing.T) {
	folder := installed(t)
	for _, h := range harnesses {
		if h.host != local || h.command == "gemini" || h.command == "pi" {
			continue
		}
		t.Run(h.name, func(t *testing.T) {
			s := startStage(t, "testdata/compact.yaml", folder)
			out := s.run(h, h.args(s, task)...)
			s.checkWork(h, out)
			s.checkTurns(h, "main", 7, 1)
			if n := s.count(AnswerCompaction); n == 0 {
				t.Error("nothing was compacted")
			}
		})
	}
}

// TestAgentsTrouble has them try again. Gemini CLI gives up on an answer that breaks
// off.
func TestAgentsTrouble(t *testing.T) {
	folder := installed(t)
	for _, h := range harnesses {
		if h.host != local || h.command == "gemini" {
			continue
		}
		t.Run(h.name, func(t *testing.T) {
			s := startStage(t, "testdata/trouble.yaml", folder)
			out := s.run(h, h.args(s, task)...)
			s.checkWork(h, out)
			faults := map[string]int{}
			for _, e := range s.log.entries {
				if e.Fault != "" {
					faults[e.Fault]++
				}
			}
			if diff := cmp.Diff(map[string]int{FaultStatus: 1, FaultCut: 1, FaultStall: 1}, faults); diff != "" {
				t.Errorf("faults (-want +got):\n%s%s", diff, s.served())
			}
		})
	}
}

// stage is a stand-in and a place for one agent to work: a home and a repository of
// its own.
type stage struct {
	*testing.T
	agents string // folder of the installed agents
	base   string // URL of the stand-in
	home   string
	repo   string
	ca     string   // file
	bundle string   // file: the system's authorities and ours
	prefix []string // of the agent's command line

	log struct {
		sync.Mutex
		entries []Entry
	}
}

func startStage(t *testing.T, script, agents string) *stage {
	t.Helper()
	text, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := ParseScript(text)
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{T: t, agents: agents, home: t.TempDir(), repo: filepath.Join(t.TempDir(), "lists")}
	server, err := NewServer(Config{Script: parsed, Log: func(e Entry) {
		s.log.Lock()
		defer s.log.Unlock()
		s.log.entries = append(s.log.entries, e)
	}})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := listenLocal("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.base = "http://" + ln.Addr().String()
	serving(t, server, ln)
	s.ca, s.bundle = filepath.Join(s.home, "ca.pem"), filepath.Join(s.home, "bundle.pem")
	system, _ := os.ReadFile("/etc/ssl/certs/ca-certificates.crt")
	s.write(s.ca, string(server.CA()))
	s.write(s.bundle, string(system)+string(server.CA()))
	s.write(filepath.Join(s.repo, "fruit.txt"), "x apple\npear\nx plum\nx fig\n")
	s.write(filepath.Join(s.repo, "nuts.txt"), "x walnut\nx hazelnut\nalmond\nx pecan\n")
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "."}, {"commit", "-q", "-m", "two lists"}} {
		s.git(args...)
	}
	return s
}

func (s *stage) write(name, text string) {
	s.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		s.Fatal(err)
	}
}

func (s *stage) git(args ...string) string {
	s.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = s.repo, s.env()
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// env is all that an agent gets of the environment. Whatever host it calls, it ends
// at the stand-in: nothing leaves the machine.
func (s *stage) env(more ...string) []string {
	env := []string{
		"PATH=" + filepath.Join(s.agents, "bin") + ":/usr/local/bin:/usr/bin:/bin", "HOME=" + s.home, "TMPDIR=" + s.home,
		"LANG=C.UTF-8", "TERM=dumb", "SHELL=/bin/bash", "CI=1",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com",
		"NODE_EXTRA_CA_CERTS=" + s.ca, "SSL_CERT_FILE=" + s.bundle,
	}
	for _, name := range []string{"HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"} {
		env = append(env, name+"="+s.base)
	}
	return append(append(env, "NO_PROXY=127.0.0.1,localhost", "no_proxy=127.0.0.1,localhost"), more...)
}

// run runs an agent in the repository and returns what it said. Its whole process
// group is killed when it takes too long, and in any case afterwards.
func (s *stage) run(h harness, args ...string) string {
	s.Helper()
	ctx, stop := context.WithTimeout(context.Background(), agentTimeout)
	defer stop()
	line := slices.Concat(s.prefix, []string{filepath.Join(s.agents, "bin", h.command)}, args)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Dir, cmd.Env = s.repo, s.env(h.env(s)...)
	began := time.Now()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	kill := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel, cmd.WaitDelay = kill, 5*time.Second
	err := cmd.Run()
	if cmd.Process != nil {
		kill()
	}
	if ctx.Err() != nil {
		err = errors.Join(fmt.Errorf("after %s", agentTimeout), err)
	}
	if err != nil {
		s.Fatalf("%s: %v\nstdout: %s\nstderr: %s\nserved: %s", h.command, err, tail(stdout.Bytes()), tail(stderr.Bytes()), s.served())
	}
	s.Logf("%s took %.1f s", h.name, time.Since(began).Seconds())
	return stdout.String()
}

func tail(b []byte) []byte { return b[max(0, len(b)-3000):] }

// served is the log in short.
func (s *stage) served() string {
	s.log.Lock()
	defer s.log.Unlock()
	var b strings.Builder
	for _, e := range s.log.entries {
		fmt.Fprintf(&b, "\n  %s %s%s %s %s %d calls=%d %d %s%s", e.Method, e.Host, e.Path, e.Kind, e.Agent, e.Turn, e.Calls, e.Status, e.Fault, e.Err)
	}
	return b.String()
}

// checkWork looks at what was done.
func (s *stage) checkWork(h harness, out string) {
	s.Helper()
	if !strings.Contains(out, closing) {
		s.Errorf("the agent's output ends without %q:\n%s", closing, tail([]byte(out)))
	}
	notes, err := os.ReadFile(filepath.Join(s.repo, "notes.md"))
	if err != nil || !strings.HasPrefix(string(notes), "# Lists\nmarked lines: 6\n") {
		s.Errorf("notes.md = %q, %v, want the counts in it", notes, err)
	}
	if log := s.git("log", "--format=%s"); log != "note the counts\ntwo lists\n" {
		s.Errorf("git log = %q, want the commit of the notes on top", log)
	}
	if s.Failed() {
		s.Log(s.served())
	}
}

// checkTurns looks whether each of the agent's turns was asked for so often, of the
// right host and in the right dialect.
func (s *stage) checkTurns(h harness, agent string, turns, want int) {
	s.Helper()
	s.log.Lock()
	defer s.log.Unlock()
	said := map[int]int{}
	for _, e := range s.log.entries {
		if e.Kind == AnswerEnd && e.Agent == agent && agent != "main" { // which may be told that others ended
			s.Errorf("%s was asked for more than the script has: turn %d", agent, e.Turn)
		}
		if e.Kind != AnswerTurn || e.Status != 200 || e.Agent != agent {
			continue
		}
		said[e.Turn]++
		if e.Format != h.format || !strings.HasPrefix(e.Host, h.host) {
			s.Errorf("a turn was asked of %s in %s, want %s in %s", e.Host, e.Format, h.host, h.format)
		}
	}
	for turn := range turns {
		if said[turn] != want {
			s.Errorf("turn %d of %s was said %d times, want %d", turn, agent, said[turn], want)
		}
	}
}

// count is how many answers of a kind were given.
func (s *stage) count(kind string) (n int) {
	s.log.Lock()
	defer s.log.Unlock()
	for _, e := range s.log.entries {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// calls is how many model calls were answered, of whatever kind, and WebSockets
// opened for them: in a journal each is an exchange.
func (s *stage) calls() (n int) {
	s.log.Lock()
	defer s.log.Unlock()
	for _, e := range s.log.entries {
		if e.Format != "" {
			n++
		}
	}
	return n
}
