//go:build unix

package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/replay/sim"
	"github.com/capstan-bench/capstan/replay/simhttp"
)

// child is the program in a process of its own.
type child struct {
	t      *testing.T
	cmd    *exec.Cmd
	out    bytes.Buffer
	errors bytes.Buffer // complete after end
	lines  chan string  // of stderr
}

// begin starts the program; what it has not ended by itself is killed when the
// test is over.
func begin(t *testing.T, args ...string) *child {
	t.Helper()
	c := &child{t: t, cmd: exec.Command("capstan", args...), lines: make(chan string, 1000)}
	c.cmd.Stdout = &c.out
	pipe, err := c.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.cmd.Process.Kill() })
	go func() {
		defer close(c.lines)
		r := bufio.NewScanner(io.TeeReader(pipe, &c.errors))
		for r.Scan() {
			c.lines <- r.Text()
		}
	}()
	return c
}

// await waits for a line of stderr.
func (c *child) await(part string) {
	c.t.Helper()
	late := time.After(time.Minute)
	for {
		select {
		case line, ok := <-c.lines:
			if !ok {
				c.t.Fatalf("stderr ended without %q: %s", part, c.errors.String())
			}
			if strings.Contains(line, part) {
				return
			}
		case <-late:
			c.t.Fatalf("no %q on stderr for a minute", part)
		}
	}
}

// end sends a signal and returns how the program ended.
func (c *child) end(signal os.Signal) outcome {
	c.t.Helper()
	if err := c.cmd.Process.Signal(signal); err != nil {
		c.t.Fatal(err)
	}
	for range c.lines {
	}
	c.cmd.Wait()
	return outcome{c.cmd.ProcessState.ExitCode(), c.out.String(), c.errors.String()}
}

// working is an endpoint that answers everything.
func working(t *testing.T) string {
	return faulty(t, func(*sim.Params) {}, simhttp.Fault{})
}

// awaitCalls waits until a simulated endpoint has answered n calls.
func awaitCalls(t *testing.T, target string, n int) {
	t.Helper()
	count := regexp.MustCompile(`(?m)^vllm:request_success_total\{.*\} (\d+)$`)
	for late := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		r, err := http.Get(target + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r.Body)
		r.Body.Close()
		m := count.FindSubmatch(text)
		if err != nil || m == nil || time.Now().After(late) {
			t.Fatalf("%d calls do not come: %v, %s", n, err, text)
		}
		if got, _ := strconv.Atoi(string(m[1])); got >= n {
			return
		}
	}
}

// TestInterruptReplay: what was measured until the interrupt is printed and kept,
// and is not overwritten by the next run.
func TestInterruptReplay(t *testing.T) {
	t.Parallel()
	dir, target, file := smokeDir(t), working(t), filepath.Join(t.TempDir(), "samples.parquet")
	args := []string{"replay", dir, "--target", target, "--model", "m", "--agents", "1", "--duration", "1h", "--warm-up", "0s",
		"--gap-scale", "0.001", "--gap-cap", "10ms", "--slo", "p25(speed)>=1", "-o", file}
	c := begin(t, args...)
	awaitCalls(t, target, 50)
	o := c.end(os.Interrupt)
	if want := "capstan: replay " + dir + ": interrupted; what was measured until then is above"; o.code != 1 || o.lastLine() != want {
		t.Errorf("exit status %d, %q, want 1 and %q", o.code, o.errors, want)
	}
	samples := readAll(t, file)
	if len(samples) == 0 || !strings.HasPrefix(o.out, "agents   1, ") || !strings.Contains(o.out, "p25(speed)>=1") {
		t.Errorf("%d samples, and printed:\n%s", len(samples), o.out)
	}
	again := ended(args...)
	if want := "capstan: -o " + file + ": it exists; name a file that does not\n"; again.code != 1 || again.errors != want {
		t.Errorf("again: exit status %d, %q, want 1 and %q", again.code, again.errors, want)
	}
	if kept := readAll(t, file); len(kept) != len(samples) {
		t.Errorf("%d samples after the second run, want the %d of the first", len(kept), len(samples))
	}
}

// TestInterruptCapacity: a search that is interrupted leaves a result that
// verifies and says so.
func TestInterruptCapacity(t *testing.T) {
	t.Parallel()
	dir, target, out := smokeDir(t), working(t), filepath.Join(t.TempDir(), "result")
	args := []string{"capacity", dir, "--target", target, "--model", "m", "--slo", "p25(speed)>=1", "--system", systemFile(t), "-o", out,
		"--min-window", "1s", "--max-window", "2s", "--horizon", "1h", "--warm-up", "0s", "--gap-scale", "0.001", "--gap-cap", "10ms", "--max-level", "2"}
	c := begin(t, args...)
	c.await("probe 0: ")
	o := c.end(syscall.SIGTERM)
	if want := "capstan: capacity " + dir + ": interrupted; the answers are those found until then"; o.code != 1 || o.lastLine() != want {
		t.Errorf("exit status %d, %q, want 1 and %q", o.code, o.errors, want)
	}
	if !strings.Contains(o.out, "interrupted") {
		t.Errorf("printed without a warning:\n%s", o.out)
	}
	if v := ended("verify", out); v.code != 0 {
		t.Errorf("verify: exit status %d, %s%s", v.code, v.out, v.errors)
	}
	if r := ended("report", out); r.code != 0 || !strings.Contains(r.out, "interrupted") {
		t.Errorf("report: exit status %d, %s%s", r.code, r.out, r.errors)
	}
	again := ended(args...)
	if want := "capstan: -o " + out + ": it is not empty: "; again.code != 1 || !strings.HasPrefix(again.errors, want) || strings.Count(again.errors, "\n") != 1 {
		t.Errorf("again: exit status %d, %q, want 1 and one line that begins %q", again.code, again.errors, want)
	}
}

// TestKillCapacity: of a search that is killed, the probes that ended are left,
// for report; verify says in one line that it is not whole.
func TestKillCapacity(t *testing.T) {
	t.Parallel()
	dir, target, out := smokeDir(t), working(t), filepath.Join(t.TempDir(), "result")
	c := begin(t, "capacity", dir, "--target", target, "--model", "m", "--slo", "p25(speed)>=1", "--system", systemFile(t), "-o", out,
		"--min-window", "1s", "--max-window", "2s", "--horizon", "1h", "--warm-up", "0s", "--gap-scale", "0.001", "--gap-cap", "10ms", "--max-level", "2")
	c.await("probe 0: ")
	if o := c.end(os.Kill); o.code != -1 || o.out != "" {
		t.Errorf("exit status %d, printed %q, want a kill and nothing", o.code, o.out)
	}
	if r := ended("report", out); r.code != 0 || r.out == "" {
		t.Errorf("report: exit status %d, %s%s", r.code, r.out, r.errors)
	}
	if v := ended("verify", out); v.code != 1 || strings.Count(v.errors, "\n") != 1 || !strings.Contains(v.errors, "cut off") {
		t.Errorf("verify: exit status %d, %q, want 1 and one line", v.code, v.errors)
	}
}

// TestInterruptBeforeMeasuring: an interrupt while an endpoint is waited for
// leaves nothing.
func TestInterruptBeforeMeasuring(t *testing.T) {
	t.Parallel()
	asked := make(chan bool, 10)
	target := answeringLate(t, asked)
	dir, out := smokeDir(t), filepath.Join(t.TempDir(), "result")
	c := begin(t, "capacity", dir, "--target", target, "--model", "m", "--slo", "p25(speed)>=1", "--system", systemFile(t), "-o", out)
	<-asked
	o := c.end(os.Interrupt)
	if want := "capstan: capacity " + dir + ": interrupted; nothing was measured\n"; o.code != 1 || o.errors != want {
		t.Errorf("exit status %d, %q, want 1 and %q", o.code, o.errors, want)
	}
	if _, err := os.Lstat(out); err == nil {
		t.Error("a result was begun")
	}
}

// TestSimulate: the program prints its address, answers there, and ends well on
// both signals, also with a stream open.
func TestSimulate(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		c := &child{t: t, cmd: exec.Command("capstan", "simulate", "small", "--listen", "127.0.0.1:0", "--speed", "10"), lines: make(chan string)}
		close(c.lines)
		c.cmd.Stderr = &c.errors
		pipe, err := c.cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.cmd.Process.Kill() })
		address, err := bufio.NewReader(pipe).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		body := strings.NewReader(`{"messages":[{"role":"user","content":"Hello"}],"stream":true,"max_tokens":200000,"ignore_eos":true}`)
		r, err := http.Post(strings.TrimSpace(address)+"/v1/chat/completions", "application/json", body)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		if line, err := bufio.NewReader(r.Body).ReadString('\n'); err != nil || !strings.HasPrefix(line, "data: {") {
			t.Errorf("answer %q, %v, want an event", line, err)
		}
		if o := c.end(signal); o.code != 0 || o.errors != "" {
			t.Errorf("%v: exit status %d, stderr %q, want 0 and nothing", signal, o.code, o.errors)
		}
	}
}

// answeringLate is an endpoint that tells when it is asked, and answers when the
// test is over.
func answeringLate(t *testing.T, asked chan<- bool) string {
	over := make(chan bool)
	target := listenOn(t, func(http.ResponseWriter, *http.Request) {
		asked <- true
		<-over
	})
	t.Cleanup(func() { close(over) })
	return target
}
