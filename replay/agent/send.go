package agent

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/capstan-bench/capstan/schema"
)

// staleAfter is how soon after the request was out a kept connection must break
// to count as one that the server had closed before. Later breaks are the
// system's.
const staleAfter = time.Second

// past is a deadline that wakes whoever waits.
var past = time.Unix(1, 0)

// send sends the call's request, on a new connection where the kept one is dead.
func (k *conn) send() error {
	if k.raw != nil && !alive(k.raw) {
		k.replace()
	}
	err := k.attempt()
	if err == nil || !k.stale(err) {
		return err
	}
	k.replace()
	return k.attempt()
}

// stale reports whether err means no more than that the server closed a kept
// connection before it saw this request.
func (k *conn) stale(err error) bool {
	c := k.call
	if !k.served || c.reconnects > 0 || c.readBytes > 0 || c.ctx.Err() != nil || isTimeout(err) {
		return false
	}
	return !c.has(written) || c.clock()-c.at[written] <= staleAfter
}

// replace gives up the socket that a call found dead.
func (k *conn) replace() {
	c := k.call
	k.raw.Close()
	k.raw, k.served = nil, false
	c.reconnects++
	c.class = ""
	if c.has(sent) {
		c.connecting += c.clock() - c.at[sent]
		c.have &^= 1<<sent | 1<<written
	}
}

// attempt connects if need be, and writes header and body. When it returns nil,
// either the request is out and the watcher waits for the answer, or the answer
// came first and its first bytes are in k.rest.
func (k *conn) attempt() error {
	c := k.call
	if k.raw == nil {
		from := c.clock()
		raw, err := k.client.connect(c.ctx)
		c.connecting += c.clock() - from
		if err != nil {
			if exhausted(err) {
				err = fmt.Errorf("%s: %w", ownLimit, err)
			}
			return c.fail(schema.ErrConnect, err)
		}
		k.raw = raw
	}
	c.begin(k.raw)
	k.cut = false
	k.watch = make(chan firstRead, 1)
	go k.listen(k.raw, k.watch, c.clock)

	c.stamp(sent, c.clock())
	n, err := k.write()
	c.sentBytes += n
	if err == nil {
		c.stamp(written, c.clock())
		return nil
	}
	return k.overtaken(err)
}

// listen waits for the first bytes of the response, also while the request is
// still going out: a system that refuses a request early would otherwise never
// be heard, because its close follows its answer and makes the write fail.
func (k *conn) listen(raw net.Conn, watch chan<- firstRead, clock func() time.Duration) {
	n, err := raw.Read(k.first[:])
	at := clock()
	if n == 0 || refusal(k.first[:n]) {
		raw.SetWriteDeadline(past) // stops a write that no one reads; else harmless
	}
	watch <- firstRead{n, err, at}
}

// refusal reports whether p begins the response of a system that does not want
// the rest of the request.
func refusal(p []byte) bool {
	const line = "HTTP/1.1 4"
	return len(p) >= len(line) && string(p[:5]) == line[:5] && (p[9] == '4' || p[9] == '5')
}

// overtaken looks, after the write failed with err, for an answer that came
// before the request was out. Having one, the call goes on with it.
func (k *conn) overtaken(err error) error {
	c := k.call
	if c.ctx.Err() == nil && !isTimeout(err) {
		k.raw.SetReadDeadline(time.Now().Add(time.Second))
	}
	first := k.await()
	if len(k.rest) > 0 {
		k.cut = true
		return nil
	}
	// The write that the watcher stopped says less than what stopped it.
	if isTimeout(err) && first != nil && !isTimeout(first) {
		err = first
	}
	return c.broken(err)
}

// write hands header and body to the kernel and returns how many bytes went.
func (k *conn) write() (int64, error) {
	c := k.call
	if tcp, ok := k.raw.(*net.TCPConn); ok {
		// One writev, nothing copied. WriteTo eats the slice it is given.
		k.iov = c.segments(append(k.iov[:0], k.head))
		v := k.iov
		n, err := v.WriteTo(tcp)
		clear(k.iov)
		return n, err
	}
	// Anything else pays for each Write (TLS: a record): gather small pieces.
	w := writers.Get().(*bufio.Writer)
	defer writers.Put(w)
	t := &tally{w: k.raw}
	w.Reset(t)
	k.iov = c.segments(append(k.iov[:0], k.head))
	for _, seg := range k.iov {
		if _, err := w.Write(seg); err != nil {
			break
		}
	}
	clear(k.iov)
	err := w.Flush()
	w.Reset(nil)
	return t.n, err
}

var writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 64<<10) }}

// tally counts what went through.
type tally struct {
	w io.Writer
	n int64
}

func (t *tally) Write(p []byte) (int, error) {
	n, err := t.w.Write(p)
	t.n += int64(n)
	return n, err
}

// ownLimit begins the error text of a connection that this machine had no room
// for.
const ownLimit = "client: no room for another connection"

// exhausted reports whether err is a limit of this machine: open files, ports or
// buffers.
func exhausted(err error) bool {
	for _, own := range []error{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}

// OwnLimit reports whether a call failed because this machine had no room for
// another connection, which says nothing about the system.
func OwnLimit(s *schema.Sample) bool {
	return s.Error != nil && *s.Error == schema.ErrConnect && s.ErrorText != nil && strings.HasPrefix(*s.ErrorText, ownLimit)
}

// connect opens a connection and, where the target wants it, TLS on it.
func (k *Client) connect(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	raw, err := k.dial(ctx, "tcp", k.addr)
	if err != nil || k.tls == nil {
		return raw, err
	}
	t := tls.Client(raw, k.tls)
	if err := t.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return t, nil
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
