package proxy

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/elazarl/goproxy"
)

// The bars on latency compare what the proxy adds to a call with what the least
// thinkable relay adds, in one run, call by call in turn, on connections made
// afresh every round: how fast a connection is depends on how the kernel
// happened to tune it. Everything is recorded.
const barRounds = 11

// pace is how many calls a round has, and how far apart they are.
type pace struct {
	calls int
	pause time.Duration
}

var (
	warm   = pace{calls: 1000}                            // one after another
	spaced = pace{calls: 60, pause: 2 * time.Millisecond} // so much at a time that the recorder needs a moment
)

// peer is one way from a client to the upstream.
type peer struct {
	name string
	dial func() (net.Conn, error)
	path string // what the request names
	host string // likewise

	conn   net.Conn
	server net.Conn // the upstream's end, of streams
	took   []time.Duration
}

// listen serves connections until the benchmark ends.
func listen(tb testing.TB, handle func(net.Conn)) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go handle(c)
		}
	}()
	return l.Addr().String()
}

// endpoint is an upstream that answers each request at once, and gives the
// connection of one that asks for events to streams.
type endpoint struct{ streams chan net.Conn }

var shortAnswer = []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")

func (e *endpoint) serve(c net.Conn) {
	buf, want := make([]byte, 0, 1<<20), 0
	for {
		n, err := c.Read(buf[len(buf):cap(buf)])
		if err != nil {
			c.Close()
			return
		}
		buf = buf[:len(buf)+n]
		if want == 0 {
			i := bytes.Index(buf, headEnd)
			if i < 0 {
				continue
			}
			_, size := readHead(buf[:i+len(headEnd)]).facts().request()
			want = i + len(headEnd) + int(size)
		}
		if len(buf) < want {
			continue
		}
		if bytes.Contains(buf[:100], []byte("/events")) {
			c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"))
			e.streams <- c
			return
		}
		c.Write(shortAnswer)
		buf, want = buf[:0], 0
	}
}

// both copies both ways with nothing but io.Copy.
func both(c, u net.Conn) {
	go func() {
		io.Copy(u, c)
		u.(interface{ CloseWrite() error }).CloseWrite()
	}()
	io.Copy(c, u)
	c.Close()
	u.Close()
}

// plainPeers are the ways without TLS: straight, through a bare TCP relay,
// through the proxy in base-URL mode.
func plainPeers(b *testing.B) (*endpoint, []*peer, func()) {
	e := &endpoint{make(chan net.Conn, 1)}
	up := listen(b, e.serve)
	bare := listen(b, func(c net.Conn) {
		u, err := net.Dial("tcp", up)
		if err != nil {
			c.Close()
			return
		}
		both(c, u)
	})
	w := newWorld(b, func(c *Config) { c.Providers = map[string]string{"up": "http://" + up} })
	to := func(addr string) func() (net.Conn, error) {
		return func() (net.Conn, error) { return net.Dial("tcp", addr) }
	}
	return e, []*peer{
		{name: "direct", dial: to(up), host: up}, {name: "relay", dial: to(bare), host: up},
		{name: "proxy", dial: to(w.addr), host: w.addr, path: "/s/bench/up"},
	}, w.stop
}

// tlsPeers are the ways with TLS on both sides: straight, through a bare pump
// between two TLS connections, through interception, through stock goproxy with
// a tuned transport and cached certificates, which records nothing.
func tlsPeers(b *testing.B) (*endpoint, []*peer, func()) {
	e := &endpoint{make(chan net.Conn, 1)}
	ca := newAuthority(b)
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	leaf, err := ca.leaf("127.0.0.1")
	if err != nil {
		b.Fatal(err)
	}
	server := &tls.Config{Certificates: []tls.Certificate{*leaf}, NextProtos: []string{"http/1.1"}}
	client := &tls.Config{RootCAs: roots, NextProtos: []string{"http/1.1"}, ServerName: "127.0.0.1"}
	up := listen(b, func(c net.Conn) { e.serve(tls.Server(c, server)) })
	bare := listen(b, func(c net.Conn) {
		u, err := tls.Dial("tcp", up, client)
		if err != nil {
			c.Close()
			return
		}
		both(tls.Server(c, server), u)
	})
	w := newWorld(b, func(c *Config) {
		c.Roots = roots
		c.Certificate = func(string) (*tls.Certificate, error) { return leaf, nil }
	})
	straight := func(addr string) func() (net.Conn, error) {
		return func() (net.Conn, error) { return tls.Dial("tcp", addr, client) }
	}
	tunnelled := func(addr string) func() (net.Conn, error) {
		return func() (net.Conn, error) { return tunnel(addr, up, client) }
	}
	return e, []*peer{
		{name: "direct", dial: straight(up), host: up}, {name: "relay", dial: straight(bare), host: up},
		{name: "proxy", dial: tunnelled(w.addr), host: up}, {name: "goproxy", dial: tunnelled(stock(b, client, leaf)), host: up},
	}, w.stop
}

// tunnel asks a proxy for a tunnel and speaks TLS through it.
func tunnel(proxy, to string, config *tls.Config) (net.Conn, error) {
	c, err := net.Dial("tcp", proxy)
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", to, to); err != nil {
		return nil, err
	}
	var answer [200]byte
	n, err := c.Read(answer[:])
	if err != nil || !bytes.HasPrefix(answer[:n], []byte("HTTP/1.1 200")) && !bytes.HasPrefix(answer[:n], []byte("HTTP/1.0 200")) {
		return nil, fmt.Errorf("the proxy answered %q, %w", answer[:n], err)
	}
	t := tls.Client(c, config)
	return t, t.Handshake()
}

// stock is goproxy's own interception, tuned as its users tune it.
func stock(b *testing.B, client *tls.Config, leaf *tls.Certificate) string {
	g := goproxy.NewProxyHttpServer()
	g.KeepAcceptEncoding = true
	g.ConnectDial = nil
	g.Tr = &http.Transport{TLSClientConfig: client, DisableCompression: true, MaxIdleConnsPerHost: 256}
	action := &goproxy.ConnectAction{Action: goproxy.ConnectMitm, TLSConfig: func(string, *goproxy.ProxyCtx) (*tls.Config, error) {
		return &tls.Config{Certificates: []tls.Certificate{*leaf}, NextProtos: []string{"http/1.1"}}, nil
	}}
	g.OnRequest().HandleConnect(goproxy.FuncHttpsHandler(func(host string, _ *goproxy.ProxyCtx) (*goproxy.ConnectAction, string) {
		return action, host
	}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &http.Server{Handler: g}
	b.Cleanup(func() { s.Close() })
	go s.Serve(l)
	return l.Addr().String()
}

// rounds measures every peer in turn and returns each peer's median of each
// round, in microseconds.
func rounds(b *testing.B, at pace, peers []*peer, open func(*peer), once func(*peer) time.Duration) [][]float64 {
	medians := make([][]float64, len(peers))
	for range barRounds {
		for _, p := range peers {
			var err error
			if p.conn, err = p.dial(); err != nil {
				b.Fatalf("%s: %v", p.name, err)
			}
			p.took = p.took[:0]
			open(p)
		}
		for range at.calls {
			for _, p := range peers {
				if at.pause > 0 {
					time.Sleep(at.pause)
				}
				p.took = append(p.took, once(p))
			}
		}
		for i, p := range peers {
			slices.Sort(p.took)
			medians[i] = append(medians[i], float64(p.took[len(p.took)/2])/1e3)
			p.conn.Close()
			if p.server != nil {
				p.server.Close()
			}
		}
	}
	return medians
}

// compare reports what each peer adds to the first, and the proxy's (the third's)
// against the relay's (the second's).
func compare(b *testing.B, peers []*peer, medians [][]float64, bar float64) {
	var ratios []float64
	added := func(i, round int) float64 { return medians[i][round] - medians[0][round] }
	for i := 1; i < len(peers); i++ {
		var x []float64
		for round := range barRounds {
			x = append(x, added(i, round))
		}
		report(b, x, peers[i].name+"-µs")
	}
	for round := range barRounds {
		ratios = append(ratios, added(2, round)/added(1, round))
	}
	slices.Sort(ratios)
	b.Logf("proxy ÷ relay by round: %.2f", ratios)
	b.ReportMetric(ratios[len(ratios)/2]/bar, "x-of-bar")
}

// report gives a figure's median, and its range beside it.
func report(b *testing.B, x []float64, unit string) {
	slices.Sort(x)
	b.ReportMetric(x[len(x)/2], unit)
	b.ReportMetric(x[0], unit+"-min")
	b.ReportMetric(x[len(x)-1], unit+"-max")
}

type peersOf func(*testing.B) (*endpoint, []*peer, func())

// call measures calls of a size.
func call(b *testing.B, size int, bar float64, of peersOf) {
	_, peers, stop := of(b)
	at := warm
	if size > 1000 {
		at = spaced
	}
	compare(b, peers, rounds(b, at, peers, func(*peer) {}, caller(b, peers, size)), bar)
	stop()
}

// caller sends a request of a size and waits for the answer.
func caller(b *testing.B, peers []*peer, size int) func(*peer) time.Duration {
	requests := map[*peer][]byte{}
	for _, p := range peers {
		requests[p] = fmt.Appendf(nil, "POST %s/v1/chat/completions HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench/1.0\r\nAccept: */*\r\n"+
			"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", p.path, p.host, size, bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size])
	}
	answer := make([]byte, 4096)
	return func(p *peer) time.Duration {
		from := time.Now()
		if _, err := p.conn.Write(requests[p]); err != nil {
			b.Fatal(err)
		}
		for got := 0; !bytes.HasSuffix(answer[:got], []byte("\r\n\r\n{}")); {
			n, err := p.conn.Read(answer[got:])
			if err != nil {
				b.Fatalf("%s: %v", p.name, err)
			}
			got += n
		}
		return time.Since(from)
	}
}

// event measures server-sent events.
func event(b *testing.B, bar float64, of peersOf) {
	e, peers, stop := of(b)
	open, once := streamer(b, e)
	compare(b, peers, rounds(b, warm, peers, open, once), bar)
	stop()
}

// streamer opens a stream of events, and sends one and waits for it.
func streamer(b *testing.B, e *endpoint) (open func(*peer), once func(*peer) time.Duration) {
	text := fmt.Appendf(nil, "data: {\"id\":\"x\",\"choices\":[{\"delta\":{\"content\":\"%s\"}}]}\n\n", bytes.Repeat([]byte("tok "), 30))
	got := make([]byte, 4096)
	open = func(p *peer) {
		fmt.Fprintf(p.conn, "GET %s/events HTTP/1.1\r\nHost: %s\r\n\r\n", p.path, p.host)
		p.server = <-e.streams
		for n := 0; !bytes.HasSuffix(got[:n], headEnd); {
			k, err := p.conn.Read(got[n:])
			if err != nil {
				b.Fatalf("%s: %v", p.name, err)
			}
			n += k
		}
	}
	once = func(p *peer) time.Duration {
		want := len(text)
		if p.name == "goproxy" { // it adds the framing of a chunk
			want += len(fmt.Sprintf("%x\r\n\r\n", len(text)))
		}
		from := time.Now()
		p.server.Write(text)
		if _, err := io.ReadFull(p.conn, got[:want]); err != nil {
			b.Fatalf("%s: %v", p.name, err)
		}
		return time.Since(from)
	}
	return open, once
}

// The added median of a warm call in base-URL mode, plain, is at most 1.3 times
// what a bare TCP relay adds; of an event, 1.2 times.
func BenchmarkBarPlain(b *testing.B) {
	b.Run("call=2B", func(b *testing.B) {
		for b.Loop() {
			call(b, 2, 1.3, plainPeers)
		}
	})
	b.Run("call=200KB", func(b *testing.B) {
		for b.Loop() {
			call(b, 200<<10, 1.3, plainPeers)
		}
	})
	b.Run("event", func(b *testing.B) {
		for b.Loop() {
			event(b, 1.2, plainPeers)
		}
	})
}

// Through interception, the added median is at most 1.2 times what a bare pump
// between two TLS connections adds, and less than what stock goproxy adds.
func BenchmarkBarTLS(b *testing.B) {
	b.Run("call=2B", func(b *testing.B) {
		for b.Loop() {
			call(b, 2, 1.2, tlsPeers)
		}
	})
	b.Run("call=200KB", func(b *testing.B) {
		for b.Loop() {
			call(b, 200<<10, 1.2, tlsPeers)
		}
	})
	b.Run("event", func(b *testing.B) {
		for b.Loop() {
			event(b, 1.2, tlsPeers)
		}
	})
}

// A fresh connection through interception, up to the first answer, takes at most
// 1.5 times what it takes straight. Clients keep their TLS sessions, as agents do
// not, in neither way.
func BenchmarkBarFresh(b *testing.B) {
	for b.Loop() {
		_, peers, stop := tlsPeers(b)
		answer := make([]byte, 1000)
		fresh := func(p *peer) time.Duration {
			time.Sleep(spaced.pause)
			from := time.Now()
			c, err := p.dial()
			if err != nil {
				b.Fatalf("%s: %v", p.name, err)
			}
			fmt.Fprintf(c, "POST /v1/messages HTTP/1.1\r\nHost: %s\r\nContent-Length: 2\r\n\r\n{}", p.host)
			for got := 0; !bytes.HasSuffix(answer[:got], []byte("\r\n\r\n{}")); {
				n, err := c.Read(answer[got:])
				if err != nil {
					b.Fatalf("%s: %v", p.name, err)
				}
				got += n
			}
			took := time.Since(from)
			c.Close()
			return took
		}
		took := make([][]float64, len(peers))
		var ratios []float64
		for range barRounds {
			medians := make([]float64, len(peers))
			for range 20 {
				for _, p := range peers {
					p.took = append(p.took, fresh(p))
				}
			}
			for i, p := range peers {
				slices.Sort(p.took)
				medians[i] = float64(p.took[len(p.took)/2]) / 1e3
				took[i] = append(took[i], medians[i])
				p.took = p.took[:0]
			}
			ratios = append(ratios, medians[2]/medians[0])
		}
		for i, p := range peers {
			report(b, took[i], p.name+"-µs")
		}
		slices.Sort(ratios)
		b.Logf("proxy ÷ direct by round: %.2f", ratios)
		b.ReportMetric(ratios[len(ratios)/2]/1.5, "x-of-bar")
		stop()
	}
}
