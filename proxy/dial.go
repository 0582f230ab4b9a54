package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// dialTimeout bounds how long an upstream may take to accept a connection.
const dialTimeout = 30 * time.Second

// dialer opens connections to upstreams, straight or through a proxy.
type dialer struct {
	via    *url.URL               // http or https proxy; nil: straight
	direct func(host string) bool // hosts that are reached without it; nil: none
	tls    *tls.Config            // of upstreams; also of via
}

// straight tells whether an address is reached without the proxy.
func (d *dialer) straight(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && d.direct != nil && d.direct(host)
}

// dial opens a TCP connection to a host and port. Through a proxy over TLS it is
// not one, and the second result carries the text.
func (d *dialer) dial(ctx context.Context, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	through := d.via != nil && !d.straight(addr)
	first := addr
	if through {
		first = address(d.via)
	}
	var nd net.Dialer
	c, err := nd.DialContext(ctx, "tcp", first)
	if err != nil {
		return nil, err // names what was dialled
	}
	if !through {
		return c, nil
	}
	tunnel, err := d.through(ctx, c, addr)
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("through proxy %s: %w", d.via.Host, err)
	}
	return tunnel, nil
}

// through asks the proxy behind c for a tunnel.
func (d *dialer) through(ctx context.Context, c net.Conn, addr string) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok {
		c.SetDeadline(deadline)
		defer c.SetDeadline(time.Time{})
	}
	if d.via.Scheme == "https" {
		config := d.tls.Clone()
		config.ServerName, config.NextProtos = d.via.Hostname(), nil
		secure := tls.Client(c, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		c = secure
	}
	ask := fmt.Sprintf("CONNECT %s HTTP/1.1\r\nHost: %s\r\n", addr, addr)
	if u := d.via.User; u != nil {
		password, _ := u.Password()
		ask += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)) + "\r\n"
	}
	if _, err := io.WriteString(c, ask+"\r\n"); err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(&oneByOne{c}, 16)
	r, err := http.ReadResponse(in, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return nil, fmt.Errorf("read answer to CONNECT: %w", err)
	}
	if r.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the proxy answered %s", r.Status)
	}
	if in.Buffered() > 0 {
		return nil, errors.New("the proxy sent more than its answer")
	}
	return c, nil
}

// oneByOne reads single bytes, so that nothing behind an answer is taken.
type oneByOne struct{ net.Conn }

func (o *oneByOne) Read(p []byte) (int, error) { return o.Conn.Read(p[:min(1, len(p))]) }
