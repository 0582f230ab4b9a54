package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/capstan-bench/capstan/proxy/journal"
)

// baseConn is a client's connection in base-URL mode. Its requests may go to
// several providers, one after another.
type baseConn struct {
	proxy   *Proxy
	client  *end
	pending []byte // read from the client and not passed on
	target  string // of the latest request
	last    place  // where that led
	link    *link
	links   sync.WaitGroup
}

// link is the connection to the provider of the latest request.
type link struct {
	place    place
	upstream *end
	trail    *trail
	replaced atomic.Bool // the client's next request goes elsewhere
	upgrade  chan bool   // what came of a request to upgrade; nil: there was none
	asked    atomic.Bool // an upgrade was asked for and not answered
}

// base serves a connection whose first request names a path of this proxy.
func (p *Proxy) base(client *end, raw, rest []byte) {
	b := &baseConn{proxy: p, client: client, pending: rest}
	for err := b.request(raw); ; err = b.request(raw) {
		if err == nil {
			raw, err = b.nextHead()
		}
		if err != nil {
			b.over(err)
			break
		}
	}
	b.links.Wait()
	client.tcp.Close()
	if b.link != nil {
		b.link.upstream.tcp.Close()
	}
}

// over carries the end of the client's way over to the upstream.
func (b *baseConn) over(err error) {
	var r *refusal
	if errors.As(err, &r) {
		if b.link != nil {
			b.link.replaced.Store(true)
			b.link.upstream.tcp.Close()
			b.links.Wait()
		}
		refuse(b.client, r.status, r.text)
		return
	}
	if b.link != nil {
		finish(up, b.client, b.link.upstream, err, b.link.trail)
	}
}

// refusal is a request that the proxy itself answers.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

// headRead is how much is read of a request at first: its head, and little of the
// body, which may go by a faster way.
const headRead = 4 << 10

// nextHead reads the head of the client's next request.
func (b *baseConn) nextHead() (raw []byte, err error) {
	for {
		b.pending = bytes.TrimLeft(b.pending, "\r\n")
		if i := bytes.Index(b.pending, headEnd); i >= 0 {
			n := i + len(headEnd)
			raw, b.pending = b.pending[:n:n], b.pending[n:]
			return raw, nil
		}
		if len(b.pending) > firstHead {
			return nil, &refusal{400, fmt.Sprintf("the head is longer than %d bytes", firstHead)}
		}
		p, err := b.client.src.read(headRead)
		if err != nil {
			return nil, err
		}
		b.pending = append(b.pending[:len(b.pending):len(b.pending)], p...)
		b.client.src.give()
	}
}

// request passes one request on.
func (b *baseConn) request(raw []byte) error {
	h := readHead(raw)
	_, target, _, ok := h.request()
	switch {
	case !ok:
		return &refusal{400, fmt.Sprintf("request line %.80q: this is an HTTP/1.1 proxy", h.line)}
	case !b.proxy.allowed(h):
		return &refusal{407, askPassword}
	}
	to, err := b.place(h, target)
	if err != nil {
		return err
	}
	if err := b.toward(to); err != nil {
		return err
	}
	facts := h.facts()
	if facts.upgrade {
		return b.upgrade(rewrite(h, to))
	}
	switch f, length := facts.request(); f {
	case noBody:
		return b.send(rewrite(h, to), 0)
	case byLength:
		return b.send(rewrite(h, to), length)
	case byChunks:
		return b.chunks(rewrite(h, to))
	}
	return &refusal{400, "the length of the request's body cannot be told"}
}

// spare is room behind a head for a body that came with it.
const spare = 1 << 10

// place is where a target leads. A client asks for the same one again and again.
func (b *baseConn) place(h head, target string) (to place, err error) {
	if target == b.target && b.link != nil {
		return b.last, nil
	}
	to, whole := absolute(target)
	if whole {
		user, _ := proxyUser(h)
		to.session = sessionName(user)
	} else if to, err = b.proxy.routes.find(target); err != nil {
		return to, &refusal{404, err.Error()}
	}
	b.target, b.last = target, to
	return to, nil
}

// rewrite is the head for the provider: its own target and Host, everything
// else as it came.
func rewrite(h head, to place) []byte {
	method, _, version, _ := h.request()
	out := make([]byte, 0, len(h.raw)+len(to.base.Host)+spare)
	for _, part := range []string{method, " ", to.target, " ", version, "\r\n"} {
		out = append(out, part...)
	}
	for rest := h.fields; len(rest) > 0; {
		line := rest
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			line = rest[:i+1]
		}
		rest = rest[len(line):]
		switch name, _, _ := bytes.Cut(line, []byte(":")); {
		case is(name, "host"):
			out = append(append(append(append(out, name...), ": "...), to.base.Host...), "\r\n"...)
		case len(name) > 6 && is(name[:6], "proxy-"): // was for us
		default:
			out = append(out, line...)
		}
	}
	return out
}

// toward connects to the provider, unless the connection is to it already.
func (b *baseConn) toward(to place) error {
	if l := b.link; l != nil {
		if l.place.same(to) {
			if l.place.session != to.session {
				l.place = to
				l.trail.tag(to.session, to.provider)
			}
			return nil
		}
		l.replaced.Store(true)
		l.upstream.tcp.Close()
		b.links.Wait()
		b.link = nil
	}
	p := b.proxy
	host, port, _ := net.SplitHostPort(address(to.base))
	f := journal.Flow{Mode: journal.BaseURL, Session: to.session, Provider: to.provider, Scheme: to.base.Scheme,
		Host: host, Client: b.client.RemoteAddr().String()}
	name := to.provider
	if name == "" {
		f.Mode, name = journal.Plain, host
	}
	t := p.newTrail(f, port)
	t.talk.deaf = f.Mode == journal.Plain && !p.record.has(host)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	upstream, err := p.reach(ctx, to.base.Scheme, host, port)
	if err != nil {
		t.unreachable(time.Now(), err)
		return &refusal{502, fmt.Sprintf("%s cannot be reached: %v", name, err)}
	}
	l := &link{place: to, upstream: upstream, trail: t, upgrade: make(chan bool, 1)}
	b.link = l
	b.links.Go(func() { b.answers(l) })
	return nil
}

// reach connects to an upstream and speaks TLS with it where its scheme is https.
func (p *Proxy) reach(ctx context.Context, scheme, host, port string) (*end, error) {
	conn, err := p.dialer.dial(ctx, net.JoinHostPort(host, port))
	if err != nil {
		return nil, err
	}
	upstream := newEnd(conn)
	if scheme != "https" {
		return upstream, nil
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	secure, err := p.secure(ctx, upstream, host)
	if err != nil {
		upstream.tcp.Close()
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return secure, nil
}

// answers passes back what the provider sends.
func (b *baseConn) answers(l *link) {
	defer close(l.upgrade)
	for {
		_, err := step(down, l.upstream, b.client, maxMove, watch{l.trail, l})
		switch {
		case err == nil:
		case l.replaced.Load():
			l.trail.ended(down, time.Now(), nil)
			return
		default:
			finish(down, l.upstream, b.client, err, l.trail)
			return
		}
	}
}

// watch is a trail that tells what became of a request to upgrade, by the status
// line that comes next.
type watch struct {
	*trail
	link *link
}

func (w watch) passed(d dir, at time.Time, p []byte) {
	w.trail.passed(d, at, p)
	w.tell(p)
}

func (w watch) gave(d dir, at time.Time, l lent, n int) {
	w.tell((*l.buf)[:n])
	w.trail.gave(d, at, l, n)
}

func (w watch) tell(p []byte) {
	if w.link.asked.Load() && w.link.asked.CompareAndSwap(true, false) {
		w.link.upgrade <- readHead(p).status() == http.StatusSwitchingProtocols
	}
}

// send passes a head and a body of known length on. What of the body is there
// already goes out with the head.
func (b *baseConn) send(head []byte, length int64) error {
	at := time.Now()
	n := min(int64(len(b.pending)), length)
	first := append(head, b.pending[:n]...)
	b.pending = b.pending[n:]
	left := length - n
	if left >= bulk {
		n, err := stepBehind(up, b.client, b.link.upstream, first, int(min(left, maxMove)), b.link.trail)
		if err != nil {
			return err
		}
		if n > 0 {
			left -= int64(n)
			first = nil
		}
	}
	if first != nil {
		if err := b.write(at, first); err != nil {
			return err
		}
	}
	for left > 0 {
		n, err := step(up, b.client, b.link.upstream, int(min(left, maxMove)), b.link.trail)
		if err != nil {
			return err
		}
		left -= int64(n)
	}
	return nil
}

// write sends what the proxy put together.
func (b *baseConn) write(at time.Time, p []byte) error {
	b.link.trail.passed(up, at, p)
	if _, err := b.link.upstream.Write(p); err != nil {
		return &writeError{err}
	}
	return nil
}

// chunks passes a head and a chunked body on.
func (b *baseConn) chunks(head []byte) error {
	body := parser{state: inChunkSize, framing: byChunks}
	first := head
	for {
		at := time.Now()
		rest, whole := body.one(b.pending, deaf{})
		if body.state == inNothing {
			return &refusal{400, "the chunks of the request's body cannot be told apart"}
		}
		n := len(b.pending) - len(rest)
		if err := b.write(at, append(first, b.pending[:n]...)); err != nil {
			return err
		}
		if b.pending = rest; whole {
			return nil
		}
		p, err := b.client.src.read(maxMove)
		if err != nil {
			return err
		}
		first, b.pending = nil, append([]byte(nil), p...)
		b.client.src.give()
	}
}

// deaf is a sink for a parser that only counts.
type deaf struct{}

func (deaf) head([]byte) (framing, int64) { return unreadable, 0 }
func (deaf) body([]byte)                  {}
func (deaf) end([]byte)                   {}
func (deaf) lost(error)                   {}
func (deaf) took([]byte)                  {}

// upgrade passes on a request to change the protocol. If the provider agrees,
// nothing after it is HTTP.
func (b *baseConn) upgrade(head []byte) error {
	b.link.asked.Store(true)
	if err := b.write(time.Now(), head); err != nil {
		return err
	}
	if agreed, open := <-b.link.upgrade; !open {
		return io.EOF
	} else if !agreed {
		return nil
	}
	if len(b.pending) > 0 {
		if err := b.write(time.Now(), b.pending); err != nil {
			return err
		}
		b.pending = nil
	}
	for {
		if _, err := step(up, b.client, b.link.upstream, maxMove, b.link.trail); err != nil {
			return err
		}
	}
}
