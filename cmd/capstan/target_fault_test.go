package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/datasets/smoke"
	"github.com/capstan-bench/capstan/replay/sim"
	"github.com/capstan-bench/capstan/replay/simhttp"
	"github.com/capstan-bench/capstan/schema"
)

// outcome is how a command ended.
type outcome struct {
	code        int
	out, errors string
}

// lastLine is the last line of stderr.
func (o outcome) lastLine() string {
	lines := strings.Split(strings.TrimSuffix(o.errors, "\n"), "\n")
	return lines[len(lines)-1]
}

// ended runs the program to its end, in a process of its own: urfave/cli keeps
// the help flag in a global, so that two runs in one process are a data race.
func ended(args ...string) outcome {
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // then it is killed: status -1
	defer cancel()
	cmd := exec.CommandContext(ctx, "capstan", args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		return outcome{-1, "", err.Error()}
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

func smokeDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "smoke")
	if err := smoke.Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

const testSystem = `name: test
vendor: nobody
accelerators: {vendor: nobody, product: chip, count: 1, memory: [{kind: HBM, gib: 96, gb_per_s: 4000}]}
software: {engine: sim, version: "1"}
`

func systemFile(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "system.yaml")
	if err := os.WriteFile(name, []byte(testSystem), 0o666); err != nil {
		t.Fatal(err)
	}
	return name
}

// answering is an endpoint that answers everything alike.
func answering(t *testing.T, status int, kind, body string) string {
	return listenOn(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
}

func listenOn(t *testing.T, f http.HandlerFunc) string {
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL
}

// serving is an endpoint that does f with each connection, which is no HTTP.
func serving(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c)
			}()
		}
	}()
	return "http://" + ln.Addr().String()
}

// refusing is a port on which nothing listens.
func refusing(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return "http://" + ln.Addr().String()
}

// faulty is an endpoint that answers a hello as it should, and does fault with
// each larger request.
func faulty(t *testing.T, change func(*sim.Params), fault simhttp.Fault) string {
	t.Helper()
	params, _ := sim.Builtin("small")
	params = params.Scaled(1000)
	change(&params)
	server, err := simhttp.New(params)
	if err != nil {
		t.Fatal(err)
	}
	server.Fault = func(r *http.Request) simhttp.Fault {
		if r.ContentLength < 400 {
			return simhttp.Fault{}
		}
		return fault
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		server.Serve(ctx, ln)
	}()
	t.Cleanup(func() { stop(); <-ended })
	return "http://" + ln.Addr().String()
}

// badTargets are endpoints of which nobody gets an answer, with what is said of
// them.
func badTargets(t *testing.T) []struct{ name, target, class, text string } {
	const html = "<!doctype html>\n<html><body>Welcome</body></html>\n"
	plain := answering(t, 200, "text/html", html)
	return []struct{ name, target, class, text string }{
		{"refuses", refusing(t), schema.ErrConnect, "connection refused"},
		{"resets", serving(t, func(c net.Conn) { c.Read(make([]byte, 1)); c.(*net.TCPConn).SetLinger(0) }), schema.ErrReset, "wait for the response: "},
		{"closes", serving(t, func(net.Conn) {}), schema.ErrReset, ""},
		{"stalls", serving(t, func(c net.Conn) { io.Copy(io.Discard, c) }), schema.ErrTimeout, "no token for 150ms"},
		{"500", answering(t, 500, "application/json", `{"error":{"message":"CUDA error.","type":"InternalServerError"}}`), schema.ErrStatus, "HTTP 500 InternalServerError: CUDA error"},
		{"503", answering(t, 503, "text/plain", "loading"), schema.ErrStatus, "HTTP 503: loading"},
		{"401", answering(t, 401, "application/json", `{"error":{"message":"no key"}}`), schema.ErrStatus, "HTTP 401: no key; --api-key-env names"},
		{"403", answering(t, 403, "application/json", `{"error":{"message":"not yours"}}`), schema.ErrStatus, "HTTP 403: not yours; --api-key-env names"},
		{"404", answering(t, 404, "application/json", `{"error":{"message":"The model m does not exist."}}`), schema.ErrStatus, "does not exist; check --model and the URL's path"},
		{"400", answering(t, 400, "application/json", `{"error":{"message":"Unrecognized argument: ignore_eos"}}`), schema.ErrStatus, "ignore_eos; --output free does without it"},
		{"context", answering(t, 400, "application/json", `{"error":{"message":"This model's maximum context length is 8 tokens."}}`), schema.ErrContext, "maximum context length is 8 tokens"},
		{"long", answering(t, 500, "text/plain", strings.Repeat("so sorry ", 100_000)), schema.ErrStatus, "HTTP 500: so sorry"},
		{"broken stream", answering(t, 200, "text/event-stream", "data: {\"choices\": [{]\n\n"), schema.ErrStream, "check that Chat Completions are served there"},
		{"not HTTP", serving(t, func(c net.Conn) { io.WriteString(c, "SSH-2.0-OpenSSH_9.6\r\n"); io.Copy(io.Discard, c) }), schema.ErrStream, "check that Chat Completions are served there"},
		{"a page", plain, schema.ErrTruncated, "check that Chat Completions are served there"},
		{"no TLS", "https" + strings.TrimPrefix(plain, "http"), schema.ErrConnect, "TLS"},
	}
}

// TestReplayBadTarget: what is wrong is said at once, in one line that names the
// target; every call is a sample of its class; the samples are kept.
func TestReplayBadTarget(t *testing.T) {
	dir, seen := smokeDir(t), map[string]bool{}
	for _, bad := range badTargets(t) {
		if seen[bad.class] {
			continue // one of a class is enough: what differs is said in the same place
		}
		seen[bad.class] = true
		t.Run(bad.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "samples.parquet")
			o := ended("replay", dir, "--target", bad.target, "--model", "m", "--agents", "2", "--duration", "200ms",
				"--warm-up", "0s", "--gap-scale", "0.001", "--gap-cap", "10ms", "--ttft-timeout", "150ms", "-o", file, "--slo", "p25(speed)>=1")
			if o.code != 3 || !strings.HasPrefix(o.lastLine(), "capstan: p25(speed)>=1: ") {
				t.Errorf("exit status %d, %q, want 3 and the service level", o.code, o.errors)
			}
			first, _, _ := strings.Cut(o.errors, "\n")
			if !strings.HasPrefix(first, "warning: --target "+bad.target+": ") || !strings.Contains(first, bad.text) || len(first) > 600 {
				t.Errorf("stderr begins %q, want a warning that names %s and says %q", first, bad.target, bad.text)
			}
			samples := readAll(t, file)
			for _, s := range samples {
				if s.Error == nil || *s.Error != bad.class && *s.Error != schema.ErrUnended {
					t.Errorf("a sample of class %v, want %s", s.Error, bad.class)
				}
			}
			if len(samples) == 0 || !strings.Contains(o.out, fmt.Sprintf("%d calls", len(samples))) || !strings.Contains(o.out, "error    "+bad.class+": ") {
				t.Errorf("%d samples, and printed:\n%s", len(samples), o.out)
			}
		})
	}
}

func readAll(t *testing.T, file string) (all []schema.Sample) {
	t.Helper()
	for s, err := range schema.Read[schema.Sample](file) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// TestReplayRateLimited: a 429 is warned of, stamped and never a PASS.
func TestReplayRateLimited(t *testing.T) {
	target := answering(t, 429, "application/json", `{"error":{"message":"Rate limit reached"}}`)
	o := ended("replay", smokeDir(t), "--target", target, "--model", "m", "--agents", "2", "--duration", "200ms",
		"--warm-up", "0s", "--gap-scale", "0.001", "--gap-cap", "10ms", "--slo", "error_rate<=100%")
	if o.code != 3 || strings.Contains(o.out, "PASS") || !strings.Contains(o.out, "warning  rate-limited, not capacity: the system answered HTTP 429") {
		t.Errorf("exit status %d, want 3, the stamp and no PASS:\n%s", o.code, o.out)
	}
	if !strings.Contains(o.errors, "Rate limit reached; rate-limited, not capacity") {
		t.Errorf("stderr %q, want a warning", o.errors)
	}
}

// searchFor runs a short capacity search.
func searchFor(t *testing.T, dir, target, out, slo string) outcome {
	t.Helper()
	return ended("capacity", dir, "--target", target, "--model", "m", "--slo", slo, "--system", systemFile(t), "-o", out,
		"--min-window", "100ms", "--max-window", "300ms", "--horizon", "300ms", "--max-probes", "1", "--warm-up", "0s", "--gap-scale", "0.001", "--gap-cap", "10ms",
		"--ttft-timeout", "150ms", "--max-level", "1")
}

// TestCapacityBadTarget: a search of an endpoint that answers nobody ends before
// it begins, says why in one line, and leaves nothing behind.
func TestCapacityBadTarget(t *testing.T) {
	dir := smokeDir(t)
	unknown := struct{ name, target, class, text string }{"no such host", "http://no-such-host.invalid", "", "no-such-host.invalid"}
	for _, bad := range append(badTargets(t), unknown) { // how soon a name is known not to be depends on the network
		t.Run(bad.name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "result")
			from := time.Now()
			o := searchFor(t, dir, bad.target, out, "p25(speed)>=1")
			prefix := fmt.Sprintf("capstan: capacity %s: nothing was measured: --target %s: ", dir, bad.target)
			if o.code != 1 || o.out != "" || !strings.HasPrefix(o.errors, prefix) || !strings.Contains(o.errors, bad.text) ||
				strings.Count(o.errors, "\n") != 1 || strings.HasSuffix(o.errors, ".\n") || len(o.errors) > len(prefix)+400 {
				t.Errorf("exit status %d, %q, %q, want 1 and one line on %s that says %q", o.code, o.out, o.errors, bad.target, bad.text)
			}
			if _, err := os.Lstat(out); err == nil {
				t.Error("a result was begun")
			}
			if took := time.Since(from); took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// TestCapacityFaults: an endpoint that answers a hello and fails the work gets an
// answer of no, from samples that verify.
func TestCapacityFaults(t *testing.T) {
	dir := smokeDir(t)
	same := func(*sim.Params) {}
	for _, bad := range []struct {
		name, target, class, text string
	}{
		{"429", faulty(t, same, simhttp.Fault{Status: 429}), schema.ErrRateLimit, "rate-limited, not capacity"},
		{"always 429", answering(t, 429, "text/plain", "slow down"), schema.ErrRateLimit, "rate-limited, not capacity"},
		{"500", faulty(t, same, simhttp.Fault{Status: 500}), schema.ErrStatus, ""},
		{"reset", faulty(t, same, simhttp.Fault{Reset: true}), schema.ErrReset, ""},
		{"stall", faulty(t, same, simhttp.Fault{Stall: time.Hour}), schema.ErrTimeout, ""},
		{"broken stream", faulty(t, same, simhttp.Fault{Garbage: true}), schema.ErrStream, ""},
		{"context", faulty(t, func(p *sim.Params) { p.MaxContext = 200 }, simhttp.Fault{}), schema.ErrContext, ""},
	} {
		t.Run(bad.name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "result")
			o := searchFor(t, dir, bad.target, out, "error_rate<=99%")
			if o.code != 3 || strings.Contains(o.errors, "PASS") {
				t.Errorf("exit status %d, %q, want 3 and no PASS", o.code, o.errors)
			}
			if v := ended("verify", out); v.code != 0 {
				t.Errorf("verify: exit status %d, %s%s", v.code, v.out, v.errors)
			}
			r := ended("report", out)
			if r.code != 0 || !strings.Contains(r.out, bad.text) {
				t.Errorf("report: exit status %d, %s, want %q in\n%s", r.code, r.errors, bad.text, r.out)
			}
			for _, s := range readAll(t, filepath.Join(out, "samples", "probe-000.parquet")) {
				if s.Error == nil || *s.Error != bad.class && *s.Error != schema.ErrUnended {
					t.Errorf("a sample of class %v, want %s", s.Error, bad.class)
				}
			}
		})
	}
}
