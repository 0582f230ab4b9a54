package simhttp_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/replay/agent"
	"github.com/capstan-bench/capstan/replay/simhttp"
	"github.com/capstan-bench/capstan/schema"
)

// TestFaults: each fault reaches an agent's client, over a real socket, as the
// class of failure that it stands for, and what came before it is whole.
func TestFaults(t *testing.T) {
	patience := agent.Config{TTFTTimeout: 400 * ms, IdleTimeout: 400 * ms}
	f := func(about string, fault simhttp.Fault, stream bool, want string, began bool) {
		t.Helper()
		target := listen(t, quick().Scaled(10), func(*http.Request) simhttp.Fault { return fault })
		members := `"max_tokens":5`
		if want != "fine" { // long enough for a slow machine to come to the chunk
			members = `"max_tokens":2000`
		}
		if stream {
			members += `,"stream":true`
		}
		s := sample(t, target, patience, request(members, message("user", "a", 100)))
		if got := verdict(s); !strings.HasPrefix(got, want) || (s.Chunks > 0) != began {
			t.Errorf("%s: %s after %d chunks, want %s, with tokens before it: %v", about, got, s.Chunks, want, began)
		}
	}
	f("none", simhttp.Fault{}, true, "fine", true)
	f("none", simhttp.Fault{}, false, "fine", true)
	f("500", simhttp.Fault{Status: 500, Body: `{"error":{"message":"out of memory"}}`}, true, schema.ErrStatus+": HTTP 500: out of memory", false)
	f("503", simhttp.Fault{Status: 503}, true, schema.ErrStatus+": HTTP 503", false)
	f("429", simhttp.Fault{Status: 429, Body: `{"error":{"message":"slow down"}}`}, true, schema.ErrRateLimit+": HTTP 429: slow down", false)
	f("stall at first", simhttp.Fault{Stall: time.Hour}, true, schema.ErrTimeout, false)
	f("stall later", simhttp.Fault{Stall: time.Hour, Chunk: 2}, true, schema.ErrTimeout+": read the stream: no byte for 400ms", true)
	f("stall of a plain answer", simhttp.Fault{Stall: time.Hour}, false, schema.ErrTimeout, false)
	f("short stall", simhttp.Fault{Stall: ms, Chunk: 2}, true, "fine", true)
	f("reset at first", simhttp.Fault{Reset: true}, true, schema.ErrReset, false)
	f("reset later", simhttp.Fault{Reset: true, Chunk: 2}, true, schema.ErrReset, true)
	f("reset of a plain answer", simhttp.Fault{Reset: true}, false, schema.ErrReset, false)
	f("garbage at first", simhttp.Fault{Garbage: true}, true, schema.ErrStream, false)
	f("garbage later", simhttp.Fault{Garbage: true, Chunk: 2}, true, schema.ErrStream, true)
	f("garbage of a plain answer", simhttp.Fault{Garbage: true}, false, schema.ErrStream, false)
	f("no end", simhttp.Fault{NoDone: true}, true, "fine", true) // the finish reason is end enough
	f("past the end", simhttp.Fault{Reset: true, Chunk: 99}, true, "fine", true)
}

// TestFaultTimes: a stall delays its chunk alone, and what follows it comes as
// soon as it is there.
func TestFaultTimes(t *testing.T) {
	stall := func(*http.Request) simhttp.Fault { return simhttp.Fault{Stall: 25 * ms, Chunk: 1} }
	bubble(t, quick(), stall, func(w *world) {
		got := tokens(w.stream(request(`"stream":true,"max_tokens":5`, message("user", "a", 100))))
		// Tokens are there at 20, 30, 40, 50 and 60 ms; the second chunk is held to 45 ms.
		want := []token{{20 * ms, 1}, {45 * ms, 3}, {50 * ms, 4}, {60 * ms, 5}}
		if len(got) != len(want) {
			t.Fatalf("tokens = %v, want %v", got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("tokens = %v, want %v", got, want)
				break
			}
		}
	})
	nothing := func(*http.Request) simhttp.Fault { return simhttp.Fault{NoDone: true} }
	bubble(t, quick(), nothing, func(w *world) {
		for _, e := range w.stream(request(`"stream":true,"max_tokens":5`, message("user", "a", 100))) {
			if e.done {
				t.Error("NoDone: the event that ends the stream came")
			}
		}
	})
}

// TestFaultByRequest: the hook sees the request, and picks.
func TestFaultByRequest(t *testing.T) {
	n := 0
	every := func(r *http.Request) simhttp.Fault {
		if n++; r.Method == http.MethodPost && n%2 == 0 {
			return simhttp.Fault{Status: 500, Body: "{}"}
		}
		return simhttp.Fault{}
	}
	bubble(t, quick(), every, func(w *world) {
		for i := range 4 {
			r := w.post(w.t.Context(), request(`"max_tokens":1`, message("user", "a", 100)))
			r.Body.Close()
			if want := 200 + 300*(i%2); r.StatusCode != want {
				t.Errorf("request %d: %d, want %d", i, r.StatusCode, want)
			}
		}
	})
}
