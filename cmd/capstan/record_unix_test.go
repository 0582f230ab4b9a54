//go:build unix

package main

import (
	"bufio"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/proxy/journal"
)

// station is a place to record in: a home of its own, and a model provider.
type station struct {
	t        *testing.T
	dir      string
	journal  string
	env      []string
	provider *httptest.Server
	begun    chan bool // a call has begun
	goOn     chan bool // what a call waits for; nil: nothing
}

func newStation(t *testing.T) *station {
	t.Helper()
	s := &station{t: t, dir: t.TempDir(), begun: make(chan bool, 100)}
	s.journal = filepath.Join(s.dir, "journal")
	s.provider = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: {\"type\":\"message_start\"}\n\n")
		w.(http.Flusher).Flush()
		s.begun <- true
		if s.goOn != nil {
			select {
			case <-s.goOn:
			case <-r.Context().Done():
				return
			}
		}
		fmt.Fprint(w, "data: {\"type\":\"message_stop\"}\n\n")
	}))
	t.Cleanup(s.provider.Close)
	home := filepath.Join(s.dir, "home")
	for _, dir := range []string{home, filepath.Join(s.dir, "tmp")} {
		if err := os.MkdirAll(filepath.Join(dir, ".claude"), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	s.env = append(os.Environ(), "HOME="+home, "CAPSTAN_HOME="+filepath.Join(s.dir, "capstan"), "TMPDIR="+filepath.Join(s.dir, "tmp"),
		"ANTHROPIC_BASE_URL="+s.provider.URL, "HTTPS_PROXY=", "NO_PROXY=")
	return s
}

// record begins a recording of a command.
func (s *station) record(args ...string) *child {
	return s.begin(append([]string{"capstan", "record", "-o", s.journal, "--session", "s"}, args...)...)
}

func (s *station) begin(args ...string) *child {
	s.t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = s.env
	return start(s.t, cmd)
}

// start is begin for a command that is made already.
func start(t *testing.T, cmd *exec.Cmd) *child {
	t.Helper()
	c := &child{t: t, cmd: cmd, lines: make(chan string, 1000)}
	cmd.Stdout = &c.out
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	go func() {
		defer close(c.lines)
		for r := bufio.NewScanner(pipe); r.Scan(); {
			c.errors.WriteString(r.Text() + "\n")
			c.lines <- r.Text()
		}
	}()
	return c
}

// calls are the exchanges in the journal, by whether they are finished.
func (s *station) calls() (finished, unfinished int) {
	s.t.Helper()
	r, err := journal.Open(s.journal, journal.ReadConfig{})
	if err != nil {
		s.t.Fatal(err)
	}
	for x, err := range r.Exchanges() {
		switch {
		case err != nil:
			s.t.Errorf("read journal: %v", err)
		case x.Finished:
			finished++
		default:
			unfinished++
		}
	}
	return finished, unfinished
}

// TestRecordPassesSignals: what is sent to capstan reaches the command, which
// decides what to do; its status comes back and the journal is closed.
func TestRecordPassesSignals(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		s := newStation(t)
		c := s.record("--", "sh", "-c", "agent -n 1 && exec agent -wait")
		c.await("agent: ready")
		o := c.end(sig)
		if want := "got " + sig.String() + "\n"; o.code != 7 || o.out != want || !strings.Contains(o.errors, "recorded 1 calls") {
			t.Errorf("%v: exit status %d, printed %q, %q, want 7 and %q", sig, o.code, o.out, o.errors, want)
		}
		if n, open := s.calls(); n != 1 || open != 0 {
			t.Errorf("%v: %d calls and %d unfinished, want 1 and none", sig, n, open)
		}
	}
}

// files lists what lies under a folder, with its text.
func files(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %q\n", path, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestRecordKilled: when capstan is killed in the middle of a call, its command
// goes on, the user's configuration is as it was, the journal can be read, and
// the next recording removes the folder of the run.
func TestRecordKilled(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	s.goOn = make(chan bool)
	defer close(s.goOn)
	home := filepath.Join(s.dir, "home")
	settings := filepath.Join(home, ".claude", "settings.json")
	if err := os.WriteFile(settings, []byte(`{"env":{"ANTHROPIC_BASE_URL":"`+s.provider.URL+`"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	before, mark := files(t, home), filepath.Join(s.dir, "mark")
	if err := os.WriteFile(filepath.Join(s.dir, "child.sh"), []byte("claude -n 1; claude -mark "+mark+" -p\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	c := s.record("--harness", "claude", "--via", "base-url", "--", "claude", "-n", "1")
	// The configuration asks for --settings, which the command here does not know.
	c.await("flag provided but not defined: -settings")
	c.end(syscall.SIGTERM)
	c = s.record("--", "sh", filepath.Join(s.dir, "child.sh"))
	<-s.begun
	for late := time.Now().Add(30 * time.Second); time.Now().Before(late); time.Sleep(10 * time.Millisecond) {
		if _, open := s.calls(); open == 1 { // what is on disk survives
			break
		}
	}
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	c.cmd.Wait()
	for late := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(mark); err == nil {
			break
		}
		if time.Now().After(late) {
			t.Fatal("the command did not go on")
		}
	}
	if got := files(t, home); got != before {
		t.Errorf("under HOME there is\n%swant\n%s", got, before)
	}
	if n, open := s.calls(); n != 0 || open != 1 {
		t.Errorf("%d calls and %d unfinished, want none and 1", n, open)
	}
	left, _ := filepath.Glob(filepath.Join(s.dir, "tmp", "capstan-run-*"))
	if len(left) != 1 {
		t.Fatalf("folders of runs: %v, want one", left)
	}
	then := time.Now().Add(-time.Hour)
	if err := os.Chtimes(left[0], then, then); err != nil {
		t.Fatal(err)
	}
	o := s.record("--", "agent").end(syscall.Signal(0))
	if left, _ := filepath.Glob(filepath.Join(s.dir, "tmp", "capstan-run-*")); o.code != 0 || left != nil {
		t.Errorf("after another recording (%d, %s): %v, want nothing", o.code, o.errors, left)
	}
}

// small mounts a filesystem of a few bytes.
func small(t *testing.T, size string) string {
	dir := t.TempDir()
	if os.Getuid() != 0 {
		t.Skip("only root can mount a small disk to fill")
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("a small disk to fill cannot be mounted here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

// TestRecordDiskFull: a full disk is told loudly. By default the agent goes on,
// and the end is 1; or nothing is served.
func TestRecordDiskFull(t *testing.T) {
	f := func(name, inside string, status int, served bool, flags []string, want ...string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStation(t)
			s.journal = filepath.Join(small(t, "1m"), "journal")
			o := s.record(append(flags, "--", "sh", "-c", inside)...).end(syscall.Signal(0))
			for _, text := range append(want, "RECORDING IN TROUBLE") {
				if !strings.Contains(o.errors, text) {
					t.Errorf("no %q on stderr:\n%s", text, o.errors)
				}
			}
			if got := strings.Contains(o.out, "served"); o.code != status || got != served {
				t.Errorf("exit status %d, served %v, want %d:\n%s", o.code, got, status, o.errors)
			}
			s.calls() // can be read
		})
	}
	f("serve", "agent -n 6 -size 400000 && sleep 1 && agent -n 2 -seed 90 && echo served", 1, true, nil,
		"serving on", "capstan: record into", "not everything was recorded")
	f("refuse", "n=0; while [ $n -lt 100 ]; do agent -n 6 -seed $n -size 400000 || exit 9; n=$((n+6)); done", 9, false, []string{"--on-trouble", "refuse"},
		"refusing new connections", "503", "nothing is served that cannot be recorded")
}

// exports reads what a standing proxy prints, up to its comment about base URLs.
func exports(t *testing.T, c *child, until string) string {
	t.Helper()
	for late := time.Now().Add(30 * time.Second); time.Now().Before(late); time.Sleep(10 * time.Millisecond) {
		if text, err := os.ReadFile(c.cmd.Args[len(c.cmd.Args)-1]); err == nil && strings.Contains(string(text), until) {
			return string(text)
		}
	}
	t.Fatalf("%q is not printed", until)
	return ""
}

// TestRecordListen: what a standing proxy prints is all that a shell needs.
func TestRecordListen(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	out := filepath.Join(s.dir, "exports.sh")
	s.env = append(s.env, "ANTHROPIC_BASE_URL=")
	c := s.begin("sh", "-c", `exec capstan record -o "$1" --session team --provider mine="$2" --listen 127.0.0.1:0 > "$3"`, "sh", s.journal, s.provider.URL, out)
	text := exports(t, c, "/mine stands for")
	var base string
	for line := range strings.Lines(text) {
		if url, target, ok := strings.Cut(strings.TrimPrefix(line, "#   "), " stands for "); ok && strings.TrimSpace(target) == s.provider.URL {
			base = url
		}
	}
	if !strings.HasSuffix(base, "/s/team/mine") {
		t.Fatalf("printed:\n%s", text)
	}
	use := s.begin("sh", "-c", `. "$1"; ANTHROPIC_BASE_URL="$2" agent -n 2 -print "HTTPS_PROXY SSL_CERT_FILE NODE_EXTRA_CA_CERTS" && cat "$NODE_EXTRA_CA_CERTS"`, "sh", out, base)
	o := use.end(syscall.Signal(0))
	if block, _ := pem.Decode([]byte(o.out[max(0, strings.Index(o.out, "-----BEGIN")):])); o.code != 0 || block == nil || !strings.Contains(o.out, "HTTPS_PROXY=http://team:x@127.0.0.1:") {
		t.Errorf("exit status %d, %s, printed %s", o.code, o.errors, o.out)
	}
	if end := c.end(syscall.SIGINT); end.code != 0 || !strings.Contains(end.errors, "recorded 2 calls") {
		t.Errorf("exit status %d, %s, want 0", end.code, end.errors)
	}
	if left, _ := filepath.Glob(filepath.Join(s.dir, "tmp", "capstan-run-*")); left != nil {
		t.Errorf("left: %v", left)
	}
}

// TestRecordListenForOthers: a proxy that others reach asks for the password,
// which is printed nowhere.
func TestRecordListenForOthers(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	out := filepath.Join(s.dir, "exports.sh")
	s.env = append(s.env, "ANTHROPIC_BASE_URL=", "TEAM=ann:Correct-Horse-9")
	c := s.begin("sh", "-c", `exec capstan record -o "$1" --listen 0.0.0.0:0 --allow-remote --proxy-user-env TEAM > "$2"`, "sh", s.journal, out)
	text := exports(t, c, "export SSL_CERT_FILE=")
	if strings.Contains(text, "Correct-Horse-9") || !strings.Contains(text, `export HTTPS_PROXY="http://${TEAM}@`) {
		t.Errorf("printed:\n%s", text)
	}
	_, after, _ := strings.Cut(text, "${TEAM}@")
	port, _, _ := strings.Cut(after[strings.LastIndexByte(after[:strings.IndexByte(after, '"')], ':')+1:], `"`)
	for user, want := range map[string]string{"ann:Correct-Horse-9@": "503", "bob:Correct-Horse-9@": "503", "ann:wrong@": "407", "": "407"} {
		// A port that nothing listens on: who may use the proxy is told that.
		o := s.begin("sh", "-c", `curl -s -o /dev/null -w '%{http_connect}' -x "http://$1127.0.0.1:$2" https://127.0.0.1:1/; exit 0`, "sh", user, port).end(syscall.Signal(0))
		if want == "503" && o.out != "502" && o.out != "500" && o.out != want || want == "407" && o.out != want {
			t.Errorf("as %q: %q, want %s", user, o.out, want)
		}
	}
	if end := c.end(syscall.SIGTERM); end.code != 0 || strings.Contains(end.errors, "Correct-Horse-9") {
		t.Errorf("exit status %d, %s", end.code, end.errors)
	}
}

// TestExitStatus: a command that could not be waited for is an error.
func TestExitStatus(t *testing.T) {
	if _, err := exitStatus(&exec.Cmd{}, errors.New("broken")); err == nil {
		t.Error("exitStatus = nil, want the error")
	}
}
