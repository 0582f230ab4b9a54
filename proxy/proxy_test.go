package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/proxy/journal"
)

// events answers with so many server-sent events, some time apart.
func events(n int, gap time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range n {
			fmt.Fprintf(w, "data: event %d\n\n", i)
			w.(http.Flusher).Flush()
			time.Sleep(gap)
		}
	}
}

func post(t *testing.T, c *http.Client, url, body string) string {
	t.Helper()
	resp, err := c.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestIntercepts(t *testing.T) {
	w := newWorld(t, nil)
	up := w.upstream(events(5, time.Millisecond))
	c := w.client("sess42")
	var want []string
	for i := range 3 {
		want = append(want, post(t, c, up.URL+"/v1/messages?beta=true", strings.Repeat("x", i*100_000)))
	}
	xs := w.exchanges()
	if len(xs) != 3 {
		t.Fatalf("%d exchanges, want 3", len(xs))
	}
	for i, x := range xs {
		if x.Flow.Session != "sess42" || x.Flow.Mode != journal.Connect || x.Flow.Scheme != "https" || x.End.Outcome != journal.Complete || x.End.Err != "" {
			t.Errorf("exchange %d: %+v %+v", i, x.Flow, x.End)
		}
		if x.request != strings.Repeat("x", i*100_000) || x.response != want[i] {
			t.Errorf("exchange %d: request of %d bytes, response %q, want %d and %q", i, len(x.request), x.response, i*100_000, want[i])
		}
		if n := len(x.Response.Reads); n < 5 {
			t.Errorf("exchange %d: the response came in %d reads, want each event's", i, n)
		}
	}
}

func TestBaseURL(t *testing.T) {
	up := httptest.NewServer(events(3, time.Millisecond))
	defer up.Close()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Host, r.RequestURI)
	}))
	defer other.Close()
	w := newWorld(t, func(c *Config) {
		c.Providers = map[string]string{"one": up.URL, "two": other.URL + "/base"}
	})
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	big := strings.Repeat("0123456789", 30_000)
	if got := post(t, c, "http://"+w.addr+"/s/run%2F7/one/v1/chat/completions", big); strings.Count(got, "event") != 3 {
		t.Errorf("got %q", got)
	}
	if got, want := post(t, c, "http://"+w.addr+"/two/v1/messages?beta=true", "{}"), strings.TrimPrefix(other.URL, "http://")+" /base/v1/messages?beta=true"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	post(t, c, "http://"+w.addr+"/s/b/one/v1/chat/completions", "small")
	resp, err := c.Get("http://" + w.addr + "/nobody/v1")
	if err != nil || resp.StatusCode != 404 {
		t.Errorf("an unknown provider gave %v, %v", resp, err)
	}
	resp.Body.Close()
	xs := w.exchanges()
	if len(xs) != 3 || xs[0].Flow.Session != "run/7" || xs[1].Flow.Provider != "two" || xs[2].Flow.Session != "b" {
		t.Fatalf("exchanges %q", told(xs))
	}
	if xs[0].request != big || xs[2].request != "small" || !bytes.Contains([]byte(xs[0].response), []byte("event 2")) {
		t.Error("the bodies are not what was sent")
	}
}

// An abort of the client reaches the upstream, before the first byte too.
func TestAbort(t *testing.T) {
	gone := make(chan time.Time, 1)
	w := newWorld(t, nil)
	up := w.upstream(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		gone <- time.Now()
	})
	c := w.client("")
	c.Timeout = 100 * time.Millisecond
	from := time.Now()
	if _, err := c.Post(up.URL+"/v1/messages", "application/json", strings.NewReader("{}")); err == nil {
		t.Fatal("the call was answered")
	}
	aborted := time.Now()
	select {
	case at := <-gone:
		if late := at.Sub(aborted); late > time.Second {
			t.Errorf("the upstream learned %v after the client's abort at %v", late, aborted.Sub(from))
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the upstream never learned of the abort")
	}
	xs := w.exchanges()
	if len(xs) != 1 || xs[0].End.Outcome != journal.ClientCut {
		t.Errorf("exchanges %q", told(xs))
	}
}

// Ending the proxy ends calls under way and idle connections, and what passed is
// in the journal.
func TestEndsWithOpenConnections(t *testing.T) {
	w := newWorld(t, nil)
	up := w.upstream(func(rw http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(rw, "data: first\n\n")
		rw.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	plain := httptest.NewServer(events(1, 0))
	defer plain.Close()
	c := w.client("")
	resp, err := c.Post(up.URL+"/v1/messages", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var first [13]byte
	if _, err := io.ReadFull(resp.Body, first[:]); err != nil {
		t.Fatal(err)
	}
	done := make(chan []recorded)
	go func() { done <- w.exchanges() }()
	select {
	case xs := <-done:
		if len(xs) != 1 || xs[0].response != "data: first\n\n" || xs[0].End.Outcome == journal.Complete {
			t.Errorf("exchanges %q", told(xs))
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the proxy does not end")
	}
}
