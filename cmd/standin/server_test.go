package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/capstan-bench/capstan/schema/wire"
)

// faulty is a script of one turn with a fault and a pace.
func faulty(more string) string {
	return "agents: [{name: main, turns: [{text: a text of some length, " + more + "}]}]"
}

// recorder takes an answer, with the time of each write.
type recorder struct {
	*httptest.ResponseRecorder
	began  time.Time
	writes []time.Duration
}

func (r *recorder) Write(p []byte) (int, error) {
	r.writes = append(r.writes, time.Since(r.began))
	return r.ResponseRecorder.Write(p)
}

// ask sends a request and says whether its answer was aborted.
func ask(s *Server, path string, body []byte) (r *recorder, aborted bool) {
	r = &recorder{ResponseRecorder: httptest.NewRecorder(), began: time.Now()}
	defer func() { aborted = recover() == http.ErrAbortHandler }()
	s.ServeHTTP(r, httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body)))
	return r, false
}

func TestFaultStatus(t *testing.T) {
	codes := map[string]string{wire.FormatGemini: "UNAVAILABLE"}
	for _, format := range formats() {
		s := newTestServer(t, faulty("fault: {kind: status, times: 2, retry_after: 3}"))
		path, body := newClient(t, s, format, true).user("x").request()
		for range 2 {
			r, _ := ask(s, path, body)
			code, _ := wire.ErrorText(r.Body.Bytes())
			want := codes[format]
			if want == "" {
				want = "overloaded_error"
			}
			if r.Code != 529 || r.Header().Get("Retry-After") != "3" || code != want {
				t.Errorf("%s: %d, retry after %q, %s, want 529, 3, %s", format, r.Code, r.Header().Get("Retry-After"), r.Body, want)
			}
		}
		r, _ := ask(s, path, body)
		if got := says(t, format, collect(t, format, r.Body.Bytes())); r.Code != 200 || got != "a text of some length" {
			t.Errorf("%s: after two refusals: %d, %q", format, r.Code, got)
		}
		// Another conversation is refused by itself.
		path, body = newClient(t, s, format, true).user("y").request()
		if r, _ := ask(s, path, body); r.Code != 529 {
			t.Errorf("%s: another conversation: %d, want 529", format, r.Code)
		}
	}
}

func TestFaultsInside(t *testing.T) {
	for _, format := range formats() {
		for _, stream := range []bool{true, false} {
			s := newTestServer(t, "piece: 3\n"+faulty("fault: {kind: cut, at: 0.5}"))
			path, body := newClient(t, s, format, stream).user("x").request()
			r, aborted := ask(s, path, body)
			got := r.Body.Len()
			again, whole := ask(s, path, body)
			if !aborted || got == 0 || whole || got >= again.Body.Len() {
				t.Errorf("%s, stream %t: cut %t after %d bytes, then cut %t after %d", format, stream, aborted, got, whole, again.Body.Len())
			}
			s = newTestServer(t, "piece: 3\n"+faulty("fault: {kind: error, at: 0.5, status: 503}"))
			r, aborted = ask(s, path, body)
			if reply := collect(t, format, r.Body.Bytes()); aborted || reply.Err == "" {
				t.Errorf("%s, stream %t: the error inside is %+v, aborted %t", format, stream, reply, aborted)
			}
		}
	}
}

// TestPace looks at when an answer's events go out, in virtual time.
func TestPace(t *testing.T) {
	f := func(script string, stream bool, first, last time.Duration, pings int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			for _, format := range formats() {
				s := newTestServer(t, script)
				path, body := newClient(t, s, format, stream).user("x").request()
				r, _ := ask(s, path, body)
				if got := r.writes[0]; got != first {
					t.Errorf("%s: first write after %s, want %s", format, got, first)
				}
				if got := r.writes[len(r.writes)-1]; got != last {
					t.Errorf("%s: last write after %s, want %s", format, got, last)
				}
				text := strings.ReplaceAll(r.Body.String(), `event: ping`, `: ping`)
				if format == wire.FormatMessages && stream {
					pings++ // of its own
				}
				if got := strings.Count(text, ": ping"); got != pings {
					t.Errorf("%s: %d pings, want %d", format, got, pings)
				}
				if format == wire.FormatMessages && stream {
					pings--
				}
				if got := says(t, format, collect(t, format, r.Body.Bytes())); got != "0123456789abcdef" {
					t.Errorf("%s: said %q", format, got)
				}
			}
		})
	}
	turn := func(more string) string {
		return "piece: 4\nagents: [{name: main, turns: [{text: 0123456789abcdef, " + more + "}]}]"
	}
	f(turn("pace: {}"), true, 0, 0, 0)
	f(turn("pace: {first_ms: 100, tokens_per_second: 10}"), true, 100*time.Millisecond, 400*time.Millisecond, 0)
	f(turn("pace: {first_ms: 100, tokens_per_second: 10}"), false, 600*time.Millisecond, 600*time.Millisecond, 0)
	f(turn("pace: {first_ms: 1000, ping_ms: 300}"), true, 300*time.Millisecond, time.Second, 3)
	f(turn("fault: {kind: stall, at: 0.5, stall_ms: 2000}"), true, 0, 2*time.Second, 0)
	f(turn("fault: {kind: stall, at: 1, stall_ms: 2000}"), false, 2*time.Second, 2*time.Second, 0)
}

// TestAbort stops an answer whose client went away.
func TestAbort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, faulty("pace: {first_ms: 60000}"))
		_, body := newClient(t, s, wire.FormatChat, true).user("x").request()
		ctx, stop := context.WithTimeout(context.Background(), time.Second)
		defer stop()
		began := time.Now()
		defer func() {
			if r := recover(); r != http.ErrAbortHandler || time.Since(began) != time.Second {
				t.Errorf("ended by %v after %s, want an abort after 1s", r, time.Since(began))
			}
		}()
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/v1/chat/completions", bytes.NewReader(body)).WithContext(ctx))
	})
}

func TestSplitAndGzip(t *testing.T) {
	s := newTestServer(t, "gzip: true\n"+faulty("pace: {split: 1}"))
	path, body := newClient(t, s, wire.FormatChat, true).user("x").request()
	plain, _ := ask(s, path, body)
	events := strings.Count(plain.Body.String(), "data: ")
	if len(plain.writes) != 2*events {
		t.Errorf("%d events in %d writes, want two each", events, len(plain.writes))
	}
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	r.Header.Set("Accept-Encoding", "gzip, deflate")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	unpacked, err := gzip.NewReader(w.Body)
	if err != nil || w.Header().Get("Content-Encoding") != "gzip" {
		t.Fatalf("coding %q: %v", w.Header().Get("Content-Encoding"), err)
	}
	got, err := io.ReadAll(unpacked)
	if err != nil || says(t, wire.FormatChat, collect(t, wire.FormatChat, got)) != "a text of some length" {
		t.Errorf("unpacked %s, %v", got, err)
	}
}

func TestPackedRequest(t *testing.T) {
	s := newTestServer(t, walk)
	path, body := newClient(t, s, wire.FormatResponses, true).user("x").request()
	packer, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	send := func(coding string, body []byte) int {
		r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
		r.Header.Set("Content-Encoding", coding)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Code
	}
	if got := send("zstd", packer.EncodeAll(body, nil)); got != 200 {
		t.Errorf("a zstd body: %d", got)
	}
	if got := send("zstd", body); got != 400 {
		t.Errorf("a body that is not zstd: %d, want 400", got)
	}
	if got := send("lzma", body); got != 400 {
		t.Errorf("an unknown coding: %d, want 400", got)
	}
	if got := send("identity", []byte("{")); got != 400 {
		t.Errorf("a broken body: %d, want 400", got)
	}
}

// TestOthers are requests that are no calls.
func TestOthers(t *testing.T) {
	s := newTestServer(t, "models: [m1, m2]\n"+walk)
	f := func(method, path, body string, status int, want string) {
		t.Helper()
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != status || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s %s = %d, %s, want %d with %s", method, path, w.Code, w.Body, status, want)
		}
		if w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %s: %s is no JSON", method, path, w.Body)
		}
	}
	f("GET", "/v1/models", "", 200, `"id":"m2"`)
	f("GET", "/v1/models/m9", "", 200, `"id":"m9"`)
	f("GET", "/v1/models?client_version=1", "", 200, `{"models":[]}`)
	f("POST", "/v1/messages/count_tokens", `{"messages":[]}`, 200, `"input_tokens":3`)
	f("POST", "/v1beta/models/m:countTokens", `{"contents":[]}`, 200, `"totalTokens":3`)
	f("HEAD", "/api/hello", "", 200, "")
	f("GET", "/", "", 200, "")
	f("GET", "/v1/nothing", "", 404, "not_found_error")
	f("GET", "/v1/responses", "", 426, "upgrade")
}

// TestTunnel asks a vendor's host through the proxy, as a real client does.
func TestTunnel(t *testing.T) {
	s := newTestServer(t, walk)
	var mu sync.Mutex
	var hosts []string
	s.cfg.Log = func(e Entry) {
		mu.Lock()
		defer mu.Unlock()
		hosts = append(hosts, e.Host)
	}
	ln, err := listenLocal("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serving(t, s, ln)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(s.CA()) {
		t.Fatal("the authority is no PEM")
	}
	transport := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: ln.Addr().String()}), TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	path, body := newClient(t, s, wire.FormatMessages, true).user("x").request()
	for _, host := range []string{"api.anthropic.com", "10.1.2.3:8443", "api.anthropic.com"} {
		r, err := (&http.Client{Transport: transport}).Post("https://"+host+path, "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatalf("%s: %v", host, err)
		}
		answer, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || says(t, wire.FormatMessages, collect(t, wire.FormatMessages, answer)) != "one $a $b" {
			t.Errorf("%s answered %s, %v", host, answer, err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"api.anthropic.com", "10.1.2.3:8443", "api.anthropic.com"}; !slices.Equal(hosts, want) {
		t.Errorf("the log has %q, want %q", hosts, want)
	}
}
