package agent_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/replay/agent"
	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/schema"
)

func parse(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// connect returns a client of a real endpoint.
func connect(t testing.TB, c agent.Config, target string) *agent.Client {
	t.Helper()
	c.Target = parse(t, target)
	k, err := agent.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

// raw serves each accepted TCP connection by f.
func raw(t *testing.T, f func(n int, c *net.TCPConn)) (target string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(n, c.(*net.TCPConn))
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// skim reads a request of step up to its end.
func skim(c net.Conn) bool {
	var got []byte
	b := make([]byte, 4096)
	for !bytes.Contains(got, []byte(`hello"}]}`)) {
		n, err := c.Read(b)
		if err != nil {
			return false
		}
		got = append(got, b[:n]...)
	}
	return true
}

// large is a step with a body of n more bytes, in segments of 1000.
func large(n int) agent.Request {
	r := step(4)
	last := len(r.Body.Segs) - 1
	segs := append([][]byte(nil), r.Body.Segs[:last]...)
	pad := bytes.Repeat([]byte(" "), 1000)
	for range n / len(pad) {
		segs = append(segs, pad)
		r.Body.Len += int64(len(pad))
	}
	r.Body.Segs = append(segs, r.Body.Segs[last])
	return r
}

func TestDoRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := "http://" + l.Addr().String()
	l.Close()
	s, notes := do(context.Background(), connect(t, agent.Config{}, target), step(4))
	if str(s.Error) != schema.ErrConnect || s.SentUS != nil || len(notes) != 3 || !strings.Contains(str(s.ErrorText), "refused") {
		t.Errorf("error %s: %s, notes %v; want connect, refused, three notes", str(s.Error), str(s.ErrorText), notes)
	}
}

func TestDoDialTimeout(t *testing.T) {
	c := agent.Config{DialTimeout: time.Millisecond, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	s, _ := do(context.Background(), connect(t, c, "http://127.0.0.1:1"), step(4))
	if str(s.Error) != schema.ErrConnect {
		t.Errorf("error %s: %s; want connect", str(s.Error), str(s.ErrorText))
	}
}

// The system resets the connection: before the response, inside its header,
// inside the stream.
func TestDoReset(t *testing.T) {
	for _, part := range []string{"", streamHead[:30], streamHead + chunk(event(" abc"))} {
		target := raw(t, func(_ int, c *net.TCPConn) {
			skim(c)
			send(c, part)
			time.Sleep(20 * time.Millisecond)
			c.SetLinger(0)
		})
		s, _ := do(context.Background(), connect(t, agent.Config{}, target), step(4))
		if str(s.Error) != schema.ErrReset || s.Reconnects != 0 {
			t.Errorf("reset after %q: error %s: %s, %d reconnects; want reset, 0", part, str(s.Error), str(s.ErrorText), s.Reconnects)
		}
	}
}

// A server that closes kept connections early costs a reconnect and no error,
// whether the close is seen before the request is sent or only after.
func TestDoStaleConnection(t *testing.T) {
	const keep = 30 * time.Millisecond
	t.Run("closed while idle", func(t *testing.T) {
		target := raw(t, func(_ int, c *net.TCPConn) {
			skim(c)
			send(c, whole())
			time.Sleep(keep)
		})
		k := connect(t, agent.Config{}, target)
		for i, want := range []int32{0, 1, 1} {
			s, _ := do(context.Background(), k, step(4))
			if s.Error != nil || s.Reconnects != want {
				t.Errorf("call %d: error %s: %s, %d reconnects; want none, %d", i, str(s.Error), str(s.ErrorText), s.Reconnects, want)
			}
			time.Sleep(3 * keep)
		}
	})
	t.Run("closed on the next request", func(t *testing.T) {
		target := raw(t, func(_ int, c *net.TCPConn) {
			skim(c)
			send(c, whole())
			c.Read(make([]byte, 1))
			c.SetLinger(0)
		})
		k := connect(t, agent.Config{}, target)
		for i, want := range []int32{0, 1, 1} {
			s, notes := do(context.Background(), k, step(4))
			if s.Error != nil || s.Reconnects != want || len(notes) != 3 {
				t.Errorf("call %d: error %s: %s, %d reconnects, notes %v; want none, %d, three", i, str(s.Error), str(s.ErrorText), s.Reconnects, notes, want)
			}
		}
	})
	t.Run("and the new one too", func(t *testing.T) {
		target := raw(t, func(n int, c *net.TCPConn) {
			if n == 0 {
				skim(c)
				send(c, whole())
			}
			c.Read(make([]byte, 1))
			c.SetLinger(0)
		})
		k := connect(t, agent.Config{}, target)
		do(context.Background(), k, step(4))
		s, _ := do(context.Background(), k, step(4))
		if str(s.Error) != schema.ErrReset || s.Reconnects != 1 {
			t.Errorf("error %s, %d reconnects; want reset, 1", str(s.Error), s.Reconnects)
		}
	})
}

// A refusal that comes while the body is still being written is heard.
func TestDoEarlyRefusal(t *testing.T) {
	for range 10 {
		target := raw(t, func(_ int, c *net.TCPConn) {
			c.Read(make([]byte, 4096))
			send(c, fixed(429, "application/json", `{"error":{"message":"slow down"}}`))
		})
		s, _ := do(context.Background(), connect(t, agent.Config{}, target), large(8<<20))
		if str(s.Error) != schema.ErrRateLimit || s.WrittenUS != nil {
			t.Fatalf("error %s: %s, written %v; want rate_limit, never written", str(s.Error), str(s.ErrorText), ms(s.WrittenUS))
		}
	}
}

// A server that neither reads nor answers is a timeout, not a hang.
func TestDoWriteStalls(t *testing.T) {
	target := raw(t, func(_ int, c *net.TCPConn) { time.Sleep(500 * time.Millisecond) })
	k := connect(t, agent.Config{TTFTTimeout: 50 * time.Millisecond}, target)
	s, _ := do(context.Background(), k, large(32<<20))
	if str(s.Error) != schema.ErrTimeout || s.WrittenUS != nil {
		t.Errorf("error %s: %s; want timeout", str(s.Error), str(s.ErrorText))
	}
}

// echo answers with a whole stream and remembers what it was asked.
type echo struct {
	path, query, auth, encoding, session string
	body                                 []byte
	proto                                int
}

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.path, e.query, e.proto = r.URL.Path, r.URL.RawQuery, r.ProtoMajor
	e.auth, e.encoding, e.session = r.Header.Get("Authorization"), r.Header.Get("Accept-Encoding"), r.Header.Get("X-Session")
	e.body, _ = io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "text/event-stream")
	io.WriteString(w, event(" abc")+stopEvent+usageEvent(5, 0, 1)+doneEvent)
}

func TestDoTargets(t *testing.T) {
	f := func(suffix, wantPath, wantQuery string) {
		t.Helper()
		var e echo
		srv := httptest.NewServer(&e)
		defer srv.Close()
		k := connect(t, agent.Config{APIKey: "k1"}, srv.URL+suffix)
		req := step(1)
		req.Headers = []agent.Header{{Name: "X-Session", Value: "s1"}}
		s, _ := do(context.Background(), k, req)
		k.Close()
		if s.Error != nil {
			t.Fatalf("%s: %s", suffix, str(s.ErrorText))
		}
		if e.path != wantPath || e.query != wantQuery {
			t.Errorf("%s: server saw %s?%s, want %s?%s", suffix, e.path, e.query, wantPath, wantQuery)
		}
		if e.auth != "Bearer k1" || e.encoding != "identity" || e.session != "s1" || string(e.body) != stepBody {
			t.Errorf("%s: server saw key %q, encoding %q, session %q, body %s", suffix, e.auth, e.encoding, e.session, e.body)
		}
	}
	f("", "/v1/chat/completions", "")
	f("/", "/v1/chat/completions", "")
	f("/v1", "/v1/chat/completions", "")
	f("/openai/v1/", "/openai/v1/chat/completions", "")
	f("/v1/chat/completions", "/v1/chat/completions", "")
	f("/deployments/m?api-version=1", "/deployments/m/chat/completions", "api-version=1")
}

func TestDoTLS(t *testing.T) {
	var e echo
	srv := httptest.NewUnstartedServer(&e)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // the handshake that we refuse
	srv.StartTLS()
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(file, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	k := connect(t, agent.Config{CAFile: file}, srv.URL)
	req := large(600 << 10)
	for range 2 {
		s, _ := do(context.Background(), k, req)
		if s.Error != nil || s.Reconnects != 0 || int64(len(e.body)) != req.Body.Len {
			t.Fatalf("over TLS: %s, %d reconnects, %d bytes of %d", str(s.ErrorText), s.Reconnects, len(e.body), req.Body.Len)
		}
	}
	k.Close()
	s, _ := do(context.Background(), connect(t, agent.Config{}, srv.URL), step(1))
	if str(s.Error) != schema.ErrConnect || !strings.Contains(str(s.ErrorText), "certificate") {
		t.Errorf("with an unknown authority: %s: %s; want connect, certificate", str(s.Error), str(s.ErrorText))
	}
}

// Many calls on one client at once keep their bodies and answers apart, and the
// plan's segments are not written to.
func TestDoConcurrent(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, event(string(body[38:38+plan.SaltLen]))+stopEvent+usageEvent(int(r.ContentLength), 0, 1)+doneEvent)
	}))
	defer srv.Close()
	k := connect(t, agent.Config{}, srv.URL)
	req := large(100 << 10)
	var bad atomic.Int32
	done := make(chan bool)
	for g := range 16 {
		go func() {
			mine := req
			copy(mine.ProbeSalt[:], strings.Repeat(string(rune('a'+g)), plan.SaltLen))
			for range 20 {
				s, _ := do(context.Background(), k, mine)
				if s.Error != nil || *s.InputTokens != req.Body.Len {
					bad.Add(1)
				}
			}
			done <- true
		}()
	}
	for range 16 {
		<-done
	}
	k.Close()
	if bad.Load() > 0 {
		t.Errorf("%d calls failed", bad.Load())
	}
	if string(req.Body.Segs[0]) != `{"messages":[{"role":"user","content":"` || req.Body.Segs[1] != nil {
		t.Error("the plan's segments were written to")
	}
}
