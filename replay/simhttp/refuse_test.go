package simhttp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/capstan-bench/capstan/replay/agent"
	"github.com/capstan-bench/capstan/replay/sim"
	"github.com/capstan-bench/capstan/replay/simhttp"
	"github.com/capstan-bench/capstan/schema"
)

func parse(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// listen serves an engine on a real socket until the test ends.
func listen(t *testing.T, params sim.Params, fault func(*http.Request) simhttp.Fault) (target string) {
	t.Helper()
	server, err := simhttp.New(params)
	if err != nil {
		t.Fatal(err)
	}
	server.Fault = fault
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, ln) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve() = %v", err)
		}
	})
	return "http://" + ln.Addr().String()
}

// refusal checks that a response is an error in JSON, as vLLM has it, and returns
// its message.
func refusal(t *testing.T, about string, r *http.Response, status int) (message string) {
	t.Helper()
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("%s: %v", about, err)
	}
	var e struct {
		Error struct {
			Message, Type string
			Code          int
		}
	}
	err = json.Unmarshal(text, &e)
	if r.StatusCode != status || err != nil || e.Error.Message == "" || e.Error.Type == "" || e.Error.Code != status ||
		r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s: %d, %s, %.300q, want %d and an error in JSON", about, r.StatusCode, r.Header.Get("Content-Type"), text, status)
	}
	return e.Error.Message
}

// TestBadRequests: a body that cannot be understood is a 400 that says why.
func TestBadRequests(t *testing.T) {
	target := listen(t, quick().Scaled(100), nil)
	f := func(body, want string) {
		t.Helper()
		r, err := http.Post(target+"/v1/chat/completions", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatalf("post(%.80q): %v", body, err)
		}
		if message := refusal(t, fmt.Sprintf("post(%.80q)", body), r, 400); !strings.Contains(message, want) {
			t.Errorf("post(%.80q) = %q, want %q in it", body, message, want)
		}
	}
	f(``, "")
	f(`{`, "")
	f(`null`, "")
	f(`[]`, "")
	f(`7`, "")
	f(`{}`, "messages")
	f(`{"model":"m"}`, "messages")
	f(`{"messages":[]}`, "at least one message")
	f(`{"messages":"hello"}`, "messages")
	f(`{"messages":[{"role":"user","content":"x"}]`, "")
	f(`{"messages":[{"role":"user","content":"x"}]}}`, "")
	f(`{"messages":[{"role":"user","content":"x"}],"max_tokens":tru}`, "")
	f(strings.Repeat(`[`, 100_000), "")
	f(`{"messages":`+strings.Repeat(`[`, 100_000)+strings.Repeat(`]`, 100_000)+`}`, "")
	f("\x00\xff\xfe", "")

	one := message("user", "a", 100)
	for _, members := range []string{`"max_tokens":-1`, `"max_tokens":0`, `"max_tokens":1.5`, `"max_tokens":"5"`, `"max_tokens":1e9`,
		`"max_tokens":10000000000`, `"max_tokens":99999999999999999999`, `"max_tokens":[]`} {
		f(request(members, one), "max_tokens: got")
	}
	f(request(`"max_completion_tokens":-1`, one), "max_completion_tokens: got -1, want a whole number from 1")
	f(request(`"min_tokens":-1`, one), "min_tokens: got -1, want a whole number from 0")
	f(request(`"min_tokens":6,"max_tokens":5`, one), "min_tokens: got 6, want at most max_tokens, which is 5")
	f(request(`"max_tokens":5,"min_tokens":6`, one), "min_tokens: got 6, want at most max_tokens, which is 5")
}

// TestTooLarge: a body that is announced too large is refused before it is sent,
// and one that does not come whole is told so.
func TestTooLarge(t *testing.T) {
	target := listen(t, quick().Scaled(100), nil)
	f := func(announced int64, sent, want string, status int) {
		t.Helper()
		c, err := net.Dial("tcp", strings.TrimPrefix(target, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", announced, sent)
		if announced < 1000 {
			c.(*net.TCPConn).CloseWrite()
		}
		r, err := http.ReadResponse(newReader(c), nil)
		if err != nil {
			t.Fatalf("announced %d: %v", announced, err)
		}
		if message := refusal(t, fmt.Sprintf("announced %d", announced), r, status); !strings.Contains(message, want) {
			t.Errorf("announced %d: %q, want %q in it", announced, message, want)
		}
	}
	f(256<<20+1, "", "larger than 268435456 bytes", 413)
	f(1<<62, "", "larger than 268435456 bytes", 413)
	f(100, `{"messages":[`, "did not come whole", 400)
}

// TestRoutes: what is not there, and what is there for another method, in JSON.
func TestRoutes(t *testing.T) {
	target := listen(t, quick(), nil)
	f := func(method, path string, status int, allow, want string) {
		t.Helper()
		q, _ := http.NewRequest(method, target+path, nil)
		r, err := http.DefaultTransport.RoundTrip(q)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Header.Get("Allow"); got != allow {
			t.Errorf("%s %s: Allow = %q, want %q", method, path, got, allow)
		}
		if message := refusal(t, method+" "+path, r, status); !strings.Contains(message, want) {
			t.Errorf("%s %s = %q, want %q in it", method, path, message, want)
		}
	}
	f("GET", "/", 404, "", "nothing at /")
	f("POST", "/v1/completions", 404, "", "nothing at /v1/completions")
	f("POST", "/chat/completions", 404, "", "nothing at /chat/completions")
	f("GET", "/v1/chat/completions", 405, "POST", "/v1/chat/completions wants POST, got GET")
	f("PUT", "/v1/chat/completions", 405, "POST", "wants POST, got PUT")
	f("POST", "/v1/models", 405, "GET", "/v1/models wants GET")
	f("DELETE", "/metrics", 405, "GET", "/metrics wants GET")
	f("POST", "/health", 405, "GET", "/health wants GET")
}

// TestOverflow: what does not fit the context, or the memory, is refused in words
// that an agent's client classes as such.
func TestOverflow(t *testing.T) {
	small := quick().Scaled(100)
	small.KVTokens = 512
	f := func(params sim.Params, members string, size int, class string) {
		t.Helper()
		target := listen(t, params, nil)
		for _, stream := range []string{``, `,"stream":true`} {
			s := sample(t, target, agent.Config{}, request(members+stream, message("user", "a", size)))
			got := "fine"
			if s.Error != nil {
				got = *s.Error
			}
			if got != class {
				t.Errorf("%d tokens of prompt, %s%s: %s, want %s", size, members, stream, verdict(s), class)
			}
			if class == schema.ErrContext && (s.HTTPStatus == nil || *s.HTTPStatus != 400) {
				t.Errorf("%d tokens of prompt, %s: status %v, want 400", size, members, s.HTTPStatus)
			}
		}
	}
	quick := quick().Scaled(100)
	f(quick, `"max_tokens":96`, 4000, "fine")
	f(quick, `"max_tokens":97`, 4000, schema.ErrContext)
	f(quick, `"max_tokens":1`, 4097, schema.ErrContext)
	f(quick, `"temperature":0`, 4096, schema.ErrContext)
	f(quick, `"temperature":0`, 4095, "fine")
	f(quick, `"max_tokens":1000000000`, 100, schema.ErrContext)
	f(small, `"max_tokens":12`, 500, "fine")
	f(small, `"max_tokens":13`, 500, schema.ErrContext)
	f(small, `"temperature":0`, 600, schema.ErrContext)
}
