package agent

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// conn is the connection that fasthttp sees. It connects only when it knows for
// which call, so that dialling obeys the call's context, and sends header and
// body together; it stamps every read; and it replaces the socket under it when
// a kept one turns out to be closed.
//
// A conn is used by one call's goroutine at a time. Only the watcher of send runs
// beside it, and only until the first byte of the response. fasthttp hands a
// conn on as soon as it holds a response without a body, such as a 204, so the
// next call waits in Write until the one before has let go.
type conn struct {
	client *Client
	raw    net.Conn // nil before the first call and after a failure
	served bool     // raw has carried a whole exchange before this one
	call   *call    // nil between calls

	mu    sync.Mutex
	freed sync.Cond // with mu: call became nil

	head []byte      // the request's header, kept until its body arrives
	iov  net.Buffers // reused by write

	watch chan firstRead  // the watcher's result; nil once it was taken
	first [firstSize]byte // what the watcher read
	rest  []byte          // of first, not yet handed on
	cut   bool            // the system answered before the body was out
}

// firstSize holds the whole response header of common servers.
const firstSize = 1024

// firstRead is what the watcher of send saw.
type firstRead struct {
	n   int
	err error
	at  time.Duration
}

// newConn returns a conn without a socket.
func newConn(client *Client) *conn {
	k := &conn{client: client}
	k.freed.L = &k.mu
	return k
}

// Write keeps the header until ReadFrom brings the body.
func (k *conn) Write(p []byte) (int, error) {
	k.mu.Lock()
	for k.call != nil {
		k.freed.Wait()
	}
	k.mu.Unlock()
	k.head = append(k.head, p...)
	return len(p), nil
}

// ReadFrom sends the request of the call that r stands for. fasthttp limits
// body streams to their announced length, hence the wrapper.
func (k *conn) ReadFrom(r io.Reader) (int64, error) {
	l, ok := r.(*io.LimitedReader)
	if !ok {
		return 0, errNoCall
	}
	c, ok := l.R.(*call)
	if !ok {
		return 0, errNoCall
	}
	k.mu.Lock()
	k.call, c.conn = c, k
	k.mu.Unlock()
	if err := k.send(); err != nil {
		return 0, err
	}
	return c.req.Body.Len, nil
}

// errNoCall says that fasthttp no longer hands body readers through as
// headFirst expects.
var errNoCall = errors.New("agent: internal error: the body did not reach the connection as a call")

// Read reads bytes of the response and stamps them.
func (k *conn) Read(p []byte) (int, error) {
	if k.call == nil {
		return 0, errNoCall
	}
	if k.watch != nil {
		if err := k.readFirst(); err != nil {
			return 0, err
		}
	}
	if len(k.rest) > 0 {
		n := copy(p, k.rest)
		k.rest = k.rest[n:]
		return n, nil
	}
	if err := k.call.extend(); err != nil {
		return 0, k.call.broken(err)
	}
	n, err := k.raw.Read(p)
	at := k.call.clock()
	k.call.arrived(p[:n], at)
	if err == io.EOF && k.call.untilClose {
		return n, err
	}
	if err != nil {
		return n, k.call.broken(err)
	}
	return n, nil
}

// readFirst waits for the response's first bytes. Where a kept connection broke
// instead, it sends the request again.
func (k *conn) readFirst() error {
	err := k.await()
	if err == nil {
		return nil
	}
	if !k.stale(err) {
		return k.call.broken(err)
	}
	k.replace()
	if err := k.attempt(); err != nil {
		return err
	}
	if k.watch == nil { // the answer came before the body was out
		return nil
	}
	if err := k.await(); err != nil {
		return k.call.broken(err)
	}
	return nil
}

// await takes the watcher's result.
func (k *conn) await() error {
	f := <-k.watch
	k.watch = nil
	k.rest = k.first[:f.n]
	k.call.arrived(k.rest, f.at)
	if f.n > 0 {
		return nil // the next read finds the error again
	}
	return f.err
}

// release ends the call's use of k. A watcher that is still waiting is ended
// with the socket.
func (k *conn) release() {
	if k.watch != nil {
		k.drop()
	}
	k.head = k.head[:0]
	k.rest = nil
	k.served = k.raw != nil
	k.mu.Lock()
	k.call = nil
	k.mu.Unlock()
	k.freed.Signal()
}

// drop closes the socket, which can carry no further call.
func (k *conn) drop() {
	if k.raw == nil {
		return
	}
	k.raw.Close()
	if k.watch != nil {
		<-k.watch
		k.watch = nil
	}
	k.raw = nil
}

// Close closes the socket.
func (k *conn) Close() error {
	if k.raw == nil {
		return nil
	}
	return k.raw.Close()
}

// LocalAddr and RemoteAddr return nil-safe addresses; nothing of ours uses them.
func (k *conn) LocalAddr() net.Addr { return k.RemoteAddr() }

// RemoteAddr returns the endpoint as configured.
func (k *conn) RemoteAddr() net.Addr { return endpoint(k.client.addr) }

// SetDeadline and its kin do nothing: deadlines are the call's.
func (k *conn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (k *conn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (k *conn) SetWriteDeadline(time.Time) error { return nil }

type endpoint string

func (e endpoint) Network() string { return "tcp" }
func (e endpoint) String() string  { return string(e) }
