package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// dir is the way that bytes go.
type dir uint8

const (
	up   dir = iota // from the client to the upstream
	down            // from the upstream to the client
)

// end is one end of a pump: a TCP connection, or TLS over one.
type end struct {
	net.Conn
	tcp *net.TCPConn // at the bottom
	src source
}

// newEnd is a connection as it is: TCP, or the inside of a tunnel over TCP.
func newEnd(c net.Conn) *end {
	switch c := c.(type) {
	case *net.TCPConn:
		return &end{Conn: c, tcp: c, src: newTCPSource(c)}
	case interface{ NetConn() net.Conn }:
		return &end{Conn: c.(net.Conn), tcp: newEnd(c.NetConn()).tcp, src: &connSource{conn: c.(net.Conn)}}
	}
	panic(fmt.Sprintf("proxy: internal error: a connection over %T", c))
}

// closeWrite says that no more comes, as far as the connection can say so.
func (e *end) closeWrite() {
	if c, ok := e.Conn.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
}

// reset breaks the connection, so that its peer sees an error and not an end.
func (e *end) reset() {
	e.tcp.SetLinger(0)
	e.tcp.Close()
}

// tap sees what a pump passes on, with the time at which it was read. It must
// return soon.
type tap interface {
	// passed keeps nothing of p.
	passed(d dir, at time.Time, p []byte)
	// gave is told of n bytes in a buffer that it owns from then on.
	gave(d dir, at time.Time, l lent, n int)
	// moved is told of n bytes that lie in kept, which it owns from then on.
	moved(d dir, at time.Time, kept *pipe, n int)
	// ended says how one way ended: properly, or with an error.
	ended(d dir, at time.Time, err error)
}

// pump passes bytes both ways until both have ended, and sees that one side
// ends as the other did: with a proper end, or broken.
func pump(client, upstream *end, t tap) {
	var both sync.WaitGroup
	both.Go(func() { pass(up, client, upstream, t) })
	pass(down, upstream, client, t)
	both.Wait()
	client.tcp.Close()
	upstream.tcp.Close()
}

// pass copies one way until it ends.
func pass(d dir, from, to *end, t tap) {
	for {
		if _, err := step(d, from, to, maxMove, t); err != nil {
			finish(d, from, to, err, t)
			return
		}
	}
}

// maxMove stands for no limit on one step.
const maxMove = 1 << 30

// step passes on what comes next, at most most bytes, and says how many. What one
// read brought is one write, so what the one side sent together reaches the other
// together.
func step(d dir, from, to *end, most int, t tap) (n int, err error) {
	if n, err = stepBulk(d, from, to, most, t); n > 0 || err != nil {
		return n, err
	}
	p, err := from.src.read(most)
	if err != nil {
		return 0, err
	}
	at := time.Now()
	n = len(p)
	if n < worthKeeping {
		t.passed(d, at, p) // first: what it causes must not be seen before it
		_, err = to.Write(p)
		from.src.give()
	} else {
		_, err = to.Write(p)
		t.gave(d, at, from.src.keep(), n)
	}
	if err != nil {
		return n, &writeError{err}
	}
	return n, nil
}

// worthKeeping is the number of bytes from which a buffer is handed over to the
// tap instead of being copied.
const worthKeeping = 4 << 10

// writeError says that it was the side written to that failed.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

// finish carries the end of one way over to the other side.
func finish(d dir, from, to *end, err error, t tap) {
	at := time.Now()
	var failed *writeError
	switch {
	case errors.As(err, &failed):
		// Nobody takes these bytes any more: their sender learns of it as it
		// would have from the taker.
		from.reset()
	case errors.Is(err, io.EOF):
		t.ended(d, at, nil)
		to.closeWrite()
		from.follow(to)
		return
	case errors.Is(err, io.ErrUnexpectedEOF): // TCP ended and TLS had not
		to.tcp.CloseWrite()
	default:
		to.reset()
	}
	t.ended(d, at, err)
}

// follow waits, after TLS has ended, for the connection under it to end, and
// ends that of the other side likewise.
func (e *end) follow(to *end) {
	s, ok := e.src.(*tlsSource)
	if !ok {
		return
	}
	if err := s.rest(); errors.Is(err, io.EOF) {
		to.tcp.CloseWrite()
	} else {
		to.reset()
	}
}
