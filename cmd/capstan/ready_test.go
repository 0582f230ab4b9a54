package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/capstan-bench/capstan/replay/agent"
	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/plan"
)

// up answers on one end of a pipe as long as the endpoint is up.
func up(c net.Conn, answering *atomic.Bool) {
	defer c.Close()
	buf := make([]byte, 4096)
	if _, err := c.Read(buf); err != nil {
		return
	}
	body, status := `{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}`, "200 OK"
	if !answering.Load() {
		body, status = `{"error":{"message":"loading"}}`, "503 Service Unavailable"
	}
	io.WriteString(c, "HTTP/1.1 "+status+"\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n"+body)
}

// TestGuarded: between two probes a search waits for an endpoint that does not
// answer, but not for ever; the first probe is not held up.
func TestGuarded(t *testing.T) {
	f := func(back, took time.Duration, index int, begins bool) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			var answering atomic.Bool
			place, _ := url.Parse("http://model.test")
			client, err := agent.New(agent.Config{Target: place, Dial: func(context.Context, string, string) (net.Conn, error) {
				ours, theirs := net.Pipe()
				go up(theirs, &answering)
				return ours, nil
			}})
			if err != nil {
				t.Fatal(err)
			}
			timer := time.AfterFunc(back, func() { answering.Store(true) })
			defer timer.Stop()
			began := false
			probe := func(_ context.Context, a capacity.Ask, _ func(capacity.Window) bool) (capacity.Window, error) {
				began = true
				return capacity.Window{Ask: a}, nil
			}
			var say bytes.Buffer
			x := &target{names: []string{"http://model.test"}, agents: []*agent.Client{client}, hello: hello(plan.Config{Model: "m"})}
			start := time.Now()
			_, err = x.guarded(probe, &say)(context.Background(), capacity.Ask{Index: index, Level: 1}, nil)
			if began != begins || (err == nil) != begins || time.Since(start) != took {
				t.Errorf("an endpoint back after %v: probe %d began %v after %v, %v, want %v after %v", back, index, began, time.Since(start), err, begins, took)
			}
			if err != nil && err.Error() != "--target http://model.test: HTTP 503: loading" {
				t.Errorf("error %q", err)
			}
			if want := strings.Count(say.String(), "\n"); took > 0 && want != 1 {
				t.Errorf("stderr %q, want one line", say.String())
			}
			client.Close()
			time.Sleep(time.Minute)
		})
	}
	f(0, 0, 0, true)
	f(time.Hour, 0, 0, true)
	f(12*time.Second, 15*time.Second, 1, true)
	f(time.Hour, patience, 1, false)
}

// TestHello: the hello has the members of a plan's bodies.
func TestHello(t *testing.T) {
	f := func(output, want string) {
		t.Helper()
		if got := string(hello(plan.Config{Model: "m", Output: output})); got != want {
			t.Errorf("hello(%s) = %s, want %s", output, got, want)
		}
	}
	const head = `{"messages":[{"role":"user","content":"Hello"}],"model":"m","stream":true,"stream_options":{"include_usage":true},"max_tokens":16`
	f(plan.OutputExact, head+`,"min_tokens":16,"ignore_eos":true}`)
	f(plan.OutputFree, head+`}`)
}

// TestReadyOfSeveral: of several endpoints the one that does not answer is named.
func TestReadyOfSeveral(t *testing.T) {
	fine := answering(t, http.StatusOK, "application/json", `{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}`)
	broken := answering(t, http.StatusInternalServerError, "text/plain", "broken")
	o := ended("capacity", smokeDir(t), "--target", fine, "--target", broken, "--model", "m", "--slo", "error_rate<=1%", "--system", systemFile(t), "-o", t.TempDir())
	if want := "nothing was measured: --target " + broken + ": HTTP 500: broken\n"; o.code != 1 || !strings.HasSuffix(o.errors, want) {
		t.Errorf("exit status %d, %q, want 1 and %q", o.code, o.errors, want)
	}
}
