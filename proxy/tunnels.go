package proxy

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"sync"

	"github.com/elazarl/goproxy"
)

// tunnels carries what is not recorded: tunnels to other hosts, and plain
// proxying. goproxy does it; its interception is not used.
type tunnels struct {
	conns  chan net.Conn
	done   chan struct{}
	once   sync.Once
	server *http.Server
	addr   net.Addr
}

// newTunnels reaches upstreams through the proxy via, if it is not nil.
func newTunnels(d *dialer, addr net.Addr) *tunnels {
	g := goproxy.NewProxyHttpServer()
	g.Logger = log.New(io.Discard, "", 0) // it would print URLs, which may hold keys
	g.KeepAcceptEncoding = true
	g.ConnectDial, g.ConnectDialWithReq = nil, nil // it took a proxy from our environment
	dial := func(ctx context.Context, _, addr string) (net.Conn, error) { return d.dial(ctx, addr) }
	g.ConnectDialWithReq = func(r *http.Request, network, addr string) (net.Conn, error) {
		return dial(r.Context(), network, addr)
	}
	g.Tr = &http.Transport{
		DialContext: dial, TLSClientConfig: d.tls, DisableCompression: true,
		MaxIdleConnsPerHost: 64, Proxy: func(*http.Request) (*url.URL, error) { return nil, nil },
	}
	t := &tunnels{conns: make(chan net.Conn), done: make(chan struct{}), addr: addr}
	t.server = &http.Server{Handler: g, ErrorLog: g.Logger.(*log.Logger)}
	return t
}

// take hands over a connection of which something was read already.
func (t *tunnels) take(c *net.TCPConn, read []byte) {
	select {
	case t.conns <- &replayConn{TCPConn: c, read: read}:
	case <-t.done:
		c.Close()
	}
}

var _ net.Listener = (*tunnels)(nil)

// Accept gives the next connection that was taken.
func (t *tunnels) Accept() (net.Conn, error) {
	select {
	case c := <-t.conns:
		return c, nil
	case <-t.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (t *tunnels) Close() error {
	t.once.Do(func() { close(t.done) })
	return nil
}

// Addr is the proxy's own address.
func (t *tunnels) Addr() net.Addr { return t.addr }

// replayConn gives what was read from the connection once more.
type replayConn struct {
	*net.TCPConn
	read []byte
}

func (c *replayConn) Read(p []byte) (int, error) {
	if len(c.read) > 0 {
		n := copy(p, c.read)
		c.read = c.read[n:]
		return n, nil
	}
	return c.TCPConn.Read(p)
}

// WriteTo hides that of TCPConn, which would leave out what was read.
func (c *replayConn) WriteTo(w io.Writer) (int64, error) {
	if len(c.read) > 0 {
		n, err := w.Write(c.read)
		if c.read = c.read[n:]; err != nil {
			return int64(n), err
		}
		more, err := c.TCPConn.WriteTo(w)
		return int64(n) + more, err
	}
	return c.TCPConn.WriteTo(w)
}
