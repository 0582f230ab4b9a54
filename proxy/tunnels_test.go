package proxy

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// Hosts that are not on the list are tunnelled: the client sees the upstream's
// own certificate, and nothing is recorded.
func TestTunnelsOthers(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Hosts = []string{"api.example"} })
	up := w.upstream(events(2, 0))
	c := w.client("someone")
	resp, err := c.Get(up.URL + "/v1/messages")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || strings.Count(string(body), "event") != 2 {
		t.Errorf("got %q, %v", body, err)
	}
	if got := resp.TLS.PeerCertificates[0]; !got.Equal(up.Certificate()) {
		t.Errorf("the certificate is %v's, want the upstream's", got.Subject)
	}
	plain := httptest.NewServer(events(1, 0))
	defer plain.Close()
	if got := get(t, c, plain.URL+"/v1/messages"); got != "data: event 0\n\n" {
		t.Errorf("plain proxying gave %q", got)
	}
	c.CloseIdleConnections()
	if xs := w.exchanges(); len(xs) > 0 {
		t.Errorf("recorded %q", told(xs))
	}
}

func get(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	resp, err := c.Get(url)
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

// A host on the list is recorded without TLS too. Nothing that was for the proxy
// reaches it.
func TestRecordsPlainProxying(t *testing.T) {
	w := newWorld(t, nil)
	var heads atomic.Value
	up := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		heads.Store(r.Header.Clone())
		fmt.Fprint(rw, r.Host, r.RequestURI)
	}))
	defer up.Close()
	c := w.client("sess7")
	if got, want := post(t, c, up.URL+"/v1/chat/completions?x=1", "{}"), strings.TrimPrefix(up.URL, "http://")+"/v1/chat/completions?x=1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if h := heads.Load().(http.Header); h.Get("Proxy-Authorization") != "" || h.Get("Proxy-Connection") != "" {
		t.Errorf("the upstream got %v", h)
	}
	c.CloseIdleConnections()
	xs := w.exchanges()
	if len(xs) != 1 || xs[0].Flow.Mode.String() != "plain" || xs[0].Flow.Session != "sess7" || xs[0].request != "{}" {
		t.Errorf("recorded %q", told(xs))
	}
}

// corporate is a proxy as companies have them: it wants a password.
func corporate(t *testing.T, asked *atomic.Int64) *url.URL {
	addr := listen(t, func(c net.Conn) {
		defer c.Close()
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil || r.Method != "CONNECT" {
			return
		}
		if !strings.HasPrefix(r.Header.Get("Proxy-Authorization"), "Basic ") {
			io.WriteString(c, "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
			return
		}
		u, err := net.Dial("tcp", r.Host)
		if err != nil {
			io.WriteString(c, "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
			return
		}
		asked.Add(1)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nX-Proxy: corporate\r\n\r\n")
		both(c, u)
	})
	return &url.URL{Scheme: "http", Host: addr, User: url.UserPassword("me", "pass")}
}

// Upstreams are reached through another proxy, and trusted by a private CA, on
// every way: intercepted, tunnelled, by base URL.
func TestChains(t *testing.T) {
	var asked atomic.Int64
	plain := httptest.NewServer(events(1, 0))
	defer plain.Close()
	via := corporate(t, &asked)
	w := newWorld(t, func(c *Config) {
		c.Via = via
		c.Providers = map[string]string{"p": plain.URL}
	})
	up := w.upstream(events(1, 0))
	c := w.client("")
	if got := post(t, c, up.URL+"/v1/messages", "{}"); got != "data: event 0\n\n" {
		t.Errorf("intercepted: %q", got)
	}
	straight := &http.Client{Transport: &http.Transport{}}
	defer straight.CloseIdleConnections()
	if got := post(t, straight, "http://"+w.addr+"/p/v1/messages", "{}"); got != "data: event 0\n\n" {
		t.Errorf("by base URL: %q", got)
	}
	other, err := tunnel(w.addr, strings.Replace(strings.TrimPrefix(up.URL, "https://"), "127.0.0.1", "localhost", 1), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatalf("tunnelled: %v", err)
	}
	other.Close()
	if asked.Load() != 3 {
		t.Errorf("the other proxy was asked %d times, want 3", asked.Load())
	}
	via.User = nil
	resp, err := straight.Post("http://"+w.addr+"/s/new/p/v1/messages", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	c.CloseIdleConnections()
	if xs := w.exchanges(); len(xs) < 2 {
		t.Errorf("recorded %q", told(xs))
	}
}

// A proxy that asks for a password gives nothing without it.
func TestAuthorizes(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Authorize = func(user, password string) bool { return user == "sess" && password == "x" }
	})
	up := w.upstream(events(1, 0))
	if got := post(t, w.client("sess"), up.URL+"/v1/messages", "{}"); got != "data: event 0\n\n" {
		t.Errorf("with the password: %q", got)
	}
	if _, err := w.client("other").Get(up.URL + "/v1/messages"); err == nil || !strings.Contains(err.Error(), "Proxy Authentication Required") {
		t.Errorf("without it: %v", err)
	}
}

// Hosts that are named are reached without the other proxy, and hosts that a
// tunnel was asked for are told.
func TestChainsNotToAll(t *testing.T) {
	var asked atomic.Int64
	var tunnels atomic.Value
	w := newWorld(t, func(c *Config) {
		c.Via = corporate(t, &asked)
		c.Direct = func(host string) bool { return host == "127.0.0.1" }
		c.Asked = func(host string, opened bool) { tunnels.Store(fmt.Sprint(host, opened)) }
	})
	up := w.upstream(events(1, 0))
	if got := post(t, w.client(""), up.URL+"/v1/messages", "{}"); got != "data: event 0\n\n" {
		t.Errorf("got %q", got)
	}
	if tunnels.Load() != "127.0.0.1true" {
		t.Errorf("Asked was told %v", tunnels.Load())
	}
	other, err := tunnel(w.addr, strings.Replace(strings.TrimPrefix(up.URL, "https://"), "127.0.0.1", "localhost", 1), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	if tunnels.Load() != "localhostfalse" || asked.Load() != 1 {
		t.Errorf("Asked was told %v, and the other proxy was asked %d times, want localhost and once", tunnels.Load(), asked.Load())
	}
}
