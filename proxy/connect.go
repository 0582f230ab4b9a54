package proxy

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/capstan-bench/capstan/proxy/journal"
)

// handshakeTimeout bounds a TLS handshake with either side.
const handshakeTimeout = 30 * time.Second

// connect answers CONNECT: with an intercepted tunnel to a host that is
// recorded, with an untouched one to any other.
func (p *Proxy) connect(client *end, h head, target string, rest []byte) {
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		refuse(client, 400, fmt.Sprintf("CONNECT %.80q: want a host and a port", target))
		return
	}
	user, _ := proxyUser(h)
	opened := p.config.Certificate != nil && p.record.has(host) && !p.stopped()
	if p.config.Asked != nil {
		p.config.Asked(host, opened)
	}
	if !opened {
		p.tunnels.take(client.tcp, append(h.raw, rest...))
		return
	}
	t := p.newTrail(journal.Flow{Mode: journal.Connect, Session: sessionName(user), Scheme: "https", Host: host, Client: client.RemoteAddr().String()}, port)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	conn, err := p.dialer.dial(ctx, target)
	if err != nil {
		t.unreachable(time.Now(), err)
		refuse(client, 502, fmt.Sprintf("%s cannot be reached: %v", target, err))
		return
	}
	upstream := newEnd(conn)
	if _, err := io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		upstream.tcp.Close()
		return
	}
	p.intercept(ctx, client, upstream, host, rest, t)
}

// intercept speaks TLS with both sides, each for itself and at the same time,
// and passes the text between them. A client that does not begin with TLS is
// passed on as it is.
func (p *Proxy) intercept(ctx context.Context, client, upstream *end, host string, rest []byte, t *trail) {
	record := newRecordConn(client, rest)
	if record.fill() != nil {
		client.tcp.Close()
		upstream.tcp.Close()
		return
	}
	if record.rest[0] != recordTypeHandshake {
		first := append([]byte(nil), record.rest...)
		client.src.give()
		if _, err := upstream.Write(first); err == nil {
			t.passed(up, time.Now(), first)
			pump(client, upstream, t)
		}
		return
	}
	type handshaken struct {
		end *end
		err error
	}
	outward := make(chan handshaken, 1)
	bounded, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	go func() {
		e, err := p.secure(bounded, upstream, host)
		outward <- handshaken{e, err}
	}()
	inner := tls.Server(record, p.serverTLS(host))
	err := inner.HandshakeContext(bounded)
	out := <-outward
	near := tlsEnd(inner, record, client)
	switch {
	case err != nil: // the client does not trust us, or is gone
		p.alarm("the client at %s refused the certificate for %s: %v; does it know the CA?", client.RemoteAddr(), host, err)
		upstream.tcp.Close()
		client.tcp.Close()
	case out.err != nil:
		t.unreachable(time.Now(), out.err)
		refuse(near, 502, fmt.Sprintf("%s: TLS: %v", host, out.err))
		upstream.tcp.Close()
	default:
		pump(near, out.end, t)
	}
}

const recordTypeHandshake = 0x16

// secure speaks TLS with an upstream. ctx bounds the handshake.
func (p *Proxy) secure(ctx context.Context, upstream *end, host string) (*end, error) {
	config := p.clientTLS.Clone() // shares the cache of sessions
	config.ServerName = host
	record := newRecordConn(upstream, nil)
	conn := tls.Client(record, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return tlsEnd(conn, record, upstream), nil
}

// serverTLS is how clients of a host are spoken to: one configuration a host, so
// that a client can resume its session.
func (p *Proxy) serverTLS(host string) *tls.Config {
	if known, ok := p.hosts.Load(host); ok {
		return known.(*tls.Config)
	}
	config, _ := p.hosts.LoadOrStore(host, p.newServerTLS(host))
	return config.(*tls.Config)
}

func (p *Proxy) newServerTLS(host string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		// The way from the client is this machine's own or a local network, so
		// the cheapest key exchange serves.
		CurvePreferences:            []tls.CurveID{tls.X25519, tls.CurveP256},
		DynamicRecordSizingDisabled: true, // one write is one record
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if hello.ServerName != "" {
				return p.config.Certificate(hello.ServerName)
			}
			return p.config.Certificate(host)
		},
	}
}

// proxyUser reads Proxy-Authorization.
func proxyUser(h head) (user, password string) {
	scheme, encoded, _ := strings.Cut(h.get("Proxy-Authorization"), " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", ""
	}
	plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return "", ""
	}
	user, password, _ = strings.Cut(string(plain), ":")
	return user, password
}

// sessionName is a session tag from what a client sent: bounded, without control
// characters.
func sessionName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), 256)]
}
