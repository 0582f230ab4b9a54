package agent_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/replay/agent"
	"github.com/capstan-bench/capstan/schema"
)

// TestCheck: an endpoint is ready if it answers, and else is said to be what it
// is, within a minute.
func TestCheck(t *testing.T) {
	const body = `{"messages":[{"role":"user","content":"Hello"}]}`
	f := func(answer string, want *agent.Unready, took time.Duration) {
		t.Helper()
		p := &peer{serve: func(_ int, got []byte, c net.Conn) bool {
			if string(got) != body {
				t.Errorf("sent %q, want %q", got, body)
			}
			send(c, answer)
			return true
		}}
		bubble(t, p, agent.Config{APIKey: "sekret"}, func(k *agent.Client) {
			start := time.Now()
			err := k.Check(context.Background(), []byte(body))
			var got *agent.Unready
			if err != nil && !errors.As(err, &got) {
				t.Fatalf("Check(%.40q) = %v, want *Unready", answer, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Check(%.40q) (-want +got):\n%s", answer, diff)
			}
			if d := time.Since(start); d != took {
				t.Errorf("Check(%.40q) took %v, want %v", answer, d, took)
			}
		})
	}
	f(whole(), nil, 0)
	f(streamHead+chunk(roleEvent)+chunk(stopEvent)+chunk(doneEvent)+lastChunk, nil, 0) // empty, but an answer
	f(fixed(200, "application/json", `{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}`), nil, 0)
	f(fixed(401, "application/json", `{"error":{"message":"sekret is no key"}}`), &agent.Unready{Class: schema.ErrStatus, Status: 401, Text: "HTTP 401: [key] is no key"}, 0)
	f(fixed(429, "text/plain", "later"), &agent.Unready{Class: schema.ErrRateLimit, Status: 429, Text: "HTTP 429: later"}, 0)
	f("", &agent.Unready{Class: schema.ErrTimeout, Text: "no answer for 1m0s"}, time.Minute)
	f(streamHead+chunk(roleEvent), &agent.Unready{Class: schema.ErrTimeout, Status: 200, Text: "no answer for 1m0s"}, time.Minute)
}

// TestCheckEnds: the end of its context ends a check.
func TestCheckEnds(t *testing.T) {
	p := &peer{serve: func(int, []byte, net.Conn) bool { return true }}
	bubble(t, p, agent.Config{}, func(k *agent.Client) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := k.Check(ctx, []byte("{}")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Check() = %v, want %v", err, context.DeadlineExceeded)
		}
	})
}

// TestCheckUnreachable: where nothing listens, the text names the place.
func TestCheckUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	k := connect(t, agent.Config{}, "http://"+l.Addr().String())
	want := &agent.Unready{Class: schema.ErrConnect, Text: fmt.Sprintf("dial tcp %s: connect: connection refused", l.Addr())}
	var got *agent.Unready
	if err := k.Check(t.Context(), []byte("{}")); !errors.As(err, &got) || *got != *want {
		t.Errorf("Check() = %v, want %v", err, want)
	}
}
