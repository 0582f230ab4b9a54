package proxy

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/proxy/journal"
)

// script is what a client and an upstream send one another, piece by piece. A
// piece waits until the one before has arrived.
type script []piece

type piece struct {
	from dir
	text string
}

var scripts = map[string]script{
	"odd heads": {
		{up, "POST /v1/messages?beta=true HTTP/1.1\r\nHOST: example\r\nx-lower: 1\r\nX-Twice: a\r\nX-Twice:  b \r\nContent-length: 2\r\n\r\n{}"},
		{down, "HTTP/1.1 200 Fine\r\nx-B: 1\r\nX-a: 2\r\nContent-Length: 2\r\n\r\n{}"},
	},
	"pieces of chunks and trailers": {
		{up, "POST /v1/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{up, "3;ext=1\r\nabc\r"}, {up, "\n0"}, {up, "\r\nX-Sum: 1\r\n\r\n"},
		{down, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n"},
		{down, "8\r\ndata: 1\n\r\n"}, {down, "9\r\n: ping\n\n\r\r\n"}, {down, "0\r\nX-End: yes\r\n\r\n"},
	},
	"a head in pieces, interim answers, keep-alive": {
		{up, "POST /v1/messages HTTP/1.1\r\nHo"}, {up, "st: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r"}, {up, "\n"},
		{down, "HTTP/1.1 100 Continue\r\n\r\n"}, {up, "body"},
		{down, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"}, {down, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{up, "HEAD /v1/messages HTTP/1.1\r\nHost: x\r\n\r\n"}, {down, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"},
		{up, "POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1"}, {down, "HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nContent-Length: 1\r\n\r\n!"},
	},
	"an answer before the request is out": {
		{up, "POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345"},
		{down, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno!"}, {up, "67890"},
	},
	"until the end of the connection": {
		{up, "POST /v1/messages HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}"}, {down, "HTTP/1.0 200 OK\r\n\r\ndata: 1\n\n"}, {down, "data: 2\n\n"},
	},
	"a socket": {
		{up, "GET /v1/responses HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: a\r\n\r\n"},
		{down, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"},
		{up, "\x81\x82\x01\x02\x03\x04zx"}, {down, "\x81\x02{}"}, {down, "\x89\x00"}, {up, "\x8a\x80\x01\x02\x03\x04"}, {down, "\x81\x02[]"},
	},
	"an upgrade that is refused": {
		{up, "GET /v1/responses HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
		{down, "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n"},
		{up, "POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"}, {down, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"},
	},
	"no HTTP at all": {{up, "GET /v1/messages HTTP/1.1\r\nHost: x\r\n\r\n"}, {down, "what is this?\r\n\r\n"}, {down, "more"}},
}

// play sends the script between two connections and checks that each piece
// arrives as it was sent, in one read.
func (s script) play(t *testing.T, client, upstream func() net.Conn, sent func(string) string) {
	t.Helper()
	var c, u net.Conn
	c = client()
	defer c.Close()
	for i, p := range s {
		from, text := c, p.text
		if p.from == down {
			from = u
		}
		if _, err := io.WriteString(from, text); err != nil {
			t.Fatalf("piece %d: %v", i, err)
		}
		if u == nil {
			u = upstream()
			defer u.Close()
		}
		to, want := u, text
		if p.from == down {
			to = c
		} else {
			want = sent(text)
		}
		got := make([]byte, len(want)+100)
		to.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, err := to.Read(got)
		if err != nil || string(got[:n]) != want {
			t.Fatalf("piece %d arrived as %q, %v, want %q in one read", i, got[:n], err, want)
		}
	}
	// The upstream ends; the client sees it.
	u.(interface{ CloseWrite() error }).CloseWrite()
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := c.Read(make([]byte, 10)); err != io.EOF {
		t.Errorf("after the upstream's end the client reads %d bytes, %v", n, err)
	}
}

func accepting(t *testing.T, server *tls.Config) (addr string, next func() net.Conn) {
	t.Helper()
	conns := make(chan net.Conn, 1)
	addr = listen(t, func(c net.Conn) {
		if server != nil {
			c = tls.Server(c, server)
			if err := c.(*tls.Conn).Handshake(); err != nil {
				return
			}
		}
		conns <- c
	})
	return addr, func() net.Conn {
		select {
		case c := <-conns:
			return c
		case <-time.After(5 * time.Second):
			t.Fatal("nobody connected to the upstream")
			return nil
		}
	}
}

// Both sides see the other's bytes as they were sent, cut as they were sent, and
// the proxy records.
func TestTransparent(t *testing.T) {
	for name, s := range scripts {
		t.Run("connect/"+name, func(t *testing.T) {
			_, server, client := material(t)
			up, next := accepting(t, server)
			w := newWorld(t, func(c *Config) {
				c.Roots = client.RootCAs
				c.Certificate = func(string) (*tls.Certificate, error) { return &server.Certificates[0], nil }
			})
			dial := func() net.Conn {
				c, err := tunnel(w.addr, up, client)
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
			s.play(t, dial, next, func(text string) string { return text })
			s.check(t, w)
		})
		if !strings.Contains(s[0].text, "\r\n\r\n") {
			continue // where to send a head is known when it is whole
		}
		t.Run("base/"+name, func(t *testing.T) {
			addr, next := accepting(t, nil)
			w := newWorld(t, func(c *Config) { c.Providers = map[string]string{"p": "http://" + addr} })
			dial := func() net.Conn {
				c, err := net.Dial("tcp", w.addr)
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
			toProxy := script{}
			for _, p := range s {
				if p.from == up && strings.Contains(p.text, " /v1/") {
					p.text = strings.Replace(p.text, " /v1/", " /s/x/p/v1/", 1)
				}
				toProxy = append(toProxy, p)
			}
			toProxy.play(t, dial, next, func(text string) string {
				text = strings.Replace(text, " /s/x/p/v1/", " /v1/", 1)
				for _, host := range []string{"HOST: example", "Host: x"} {
					text = strings.Replace(text, host, host[:6]+addr, 1)
				}
				return text
			})
			s.check(t, w)
		})
	}
}

// check counts the model calls that were recorded.
func (s script) check(t *testing.T, w *world) {
	t.Helper()
	want := 0
	for _, p := range s {
		if p.from == up && (strings.HasPrefix(p.text, "POST /v1/") || strings.Contains(p.text, "Upgrade: websocket")) {
			want++
		}
	}
	xs := w.exchanges()
	got := 0
	for _, x := range xs {
		if x.Flow.Kind == journal.HTTP {
			got++
		}
	}
	if got != want {
		t.Errorf("%d exchanges were recorded, want %d: %q", got, want, told(xs))
	}
}

// What was sent in a socket's messages is recorded as messages.
func TestRecordsMessages(t *testing.T) {
	_, server, client := material(t)
	up, next := accepting(t, server)
	w := newWorld(t, func(c *Config) {
		c.Roots = client.RootCAs
		c.Certificate = func(string) (*tls.Certificate, error) { return &server.Certificates[0], nil }
	})
	dial := func() net.Conn {
		c, err := tunnel(w.addr, up, client)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	scripts["a socket"].play(t, dial, next, func(text string) string { return text })
	xs := w.exchanges()
	if len(xs) != 2 {
		t.Fatalf("exchanges %q", told(xs))
	}
	x := xs[1]
	if x.Flow.Kind != journal.WebSocket || x.Flow.Scheme != "wss" || x.request != "{z" && x.request != "{}" || x.response != "{}[]" || len(x.Response.Reads) != 2 {
		t.Errorf("exchange %q, %d reads", told(xs[1:]), len(x.Response.Reads))
	}
	if len(x.Request.Heads) != 1 || !strings.HasPrefix(x.Request.Heads[0].Line, "GET /v1/responses") {
		t.Errorf("heads %+v", x.Request.Heads)
	}
}

// An upstream that cannot be reached is a 502 that says who speaks, and a record.
func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := l.Addr().String()
	l.Close()
	w := newWorld(t, func(c *Config) { c.Providers = map[string]string{"p": "http://" + dead} })
	for _, ask := range []string{"POST /s/a/p/v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", fmt.Sprintf("CONNECT %s HTTP/1.1\r\n\r\n", dead)} {
		c, err := net.Dial("tcp", w.addr)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, ask)
		answer, err := io.ReadAll(c)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 502 ") || !strings.Contains(string(answer), "capstan: ") {
			t.Errorf("%.20q was answered by %q, %v", ask, answer, err)
		}
		c.Close()
	}
	xs := w.exchanges()
	if len(xs) != 2 || xs[0].End.Outcome != journal.Unreachable || xs[1].End.Outcome != journal.Unreachable {
		t.Errorf("exchanges %q", told(xs))
	}
}
