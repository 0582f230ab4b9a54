package main

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/capstan-bench/capstan/proxy/codec"
	"github.com/capstan-bench/capstan/schema/wire"
)

// socket is a WebSocket of Responses: each request is a message, and each event of
// its answer is one.
type socket struct {
	conn net.Conn
	out  struct {
		sync.Mutex
		*codec.Framer
		buf []byte
	}
}

const socketGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// socket takes the upgrade and answers requests, in order, until either side closes.
func (s *Server) socket(w http.ResponseWriter, r *http.Request, e *Entry) {
	key := r.Header.Get("Sec-Websocket-Key")
	if key == "" || !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		s.refuse(w, e, e.Format, http.StatusUpgradeRequired, errors.New("want a POST, or an upgrade to a WebSocket"))
		return
	}
	s.sockets.Add(1)
	defer s.sockets.Done()
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.refuse(w, e, e.Format, http.StatusInternalServerError, err)
		return
	}
	defer conn.Close()
	var agreed codec.Deflate
	sum := sha1.Sum([]byte(key + socketGUID))
	head := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(sum[:]) + "\r\n"
	if offers := strings.Join(r.Header.Values("Sec-Websocket-Extensions"), ","); strings.Contains(offers, "permessage-deflate") {
		agreed.On = true
		head += "Sec-WebSocket-Extensions: permessage-deflate\r\n"
	}
	extra := http.Header{}
	setHead(extra, e.Format, "")
	var b strings.Builder
	extra.Write(&b)
	if _, err := conn.Write([]byte(head + b.String() + "\r\n")); err != nil {
		return
	}
	e.Status = http.StatusSwitchingProtocols
	sock := &socket{conn: conn}
	sock.out.Framer = codec.NewFramer(false, agreed, 0)
	s.converse(r.Context(), sock, agreed, buffered.Reader, *e)
}

// converse reads messages and has them answered. What is being said stops when the
// client goes away.
func (s *Server) converse(ctx context.Context, sock *socket, agreed codec.Deflate, in *bufio.Reader, e Entry) {
	ctx, stop := context.WithCancel(ctx)
	requests := make(chan []byte, 16)
	var wg sync.WaitGroup
	wg.Go(func() {
		for body := range requests {
			if err := s.message(ctx, sock, body, e); err != nil {
				sock.conn.Close()
				stop()
			}
		}
	})
	unblock := context.AfterFunc(ctx, func() { sock.conn.Close() })
	reader := codec.NewSocket(codec.SocketConfig{FromClient: true, Deflate: agreed})
	closed := false
	buf := make([]byte, 32<<10)
	for !closed {
		n, err := in.Read(buf)
		if n > 0 {
			bad := reader.Feed(buf[:n], func(m codec.Message) {
				switch m.Op {
				case codec.Ping:
					sock.send(codec.Pong, m.Plain)
				case codec.Close:
					sock.send(codec.Close, m.Plain)
					closed = true
				case codec.Text:
					select {
					case requests <- append([]byte(nil), m.Plain...):
					case <-ctx.Done():
					}
				}
			})
			if bad != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	stop()
	close(requests)
	wg.Wait()
	unblock()
}

// errRefused ends a socket: a client waits on one that stays open.
var errRefused = errors.New("refused, as the script says")

// message answers one request. An error ends the socket.
func (s *Server) message(ctx context.Context, sock *socket, body []byte, e Entry) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	e.Time, e.Bytes, e.Method, e.Status = time.Now(), len(body), "WS", http.StatusOK
	defer func() {
		if s.cfg.Log != nil {
			e.TookMS = float64(time.Since(e.Time).Microseconds()) / 1000
			s.cfg.Log(e)
		}
	}()
	e.Kind = ""
	conv, err := readConversation(wire.FormatResponses, body)
	if err != nil {
		e.Status, e.Err = http.StatusBadRequest, err.Error()
		return sock.event(wire.SocketError(e.Status, "invalid_request_error", err.Error()), false)
	}
	a := s.cfg.Script.answer(conv)
	e.take(a)
	fault := s.fault(a)
	e.fault(fault)
	if fault.Kind == FaultStatus {
		e.Status = fault.status()
		if err := sock.event(wire.SocketError(e.Status, fault.code(wire.FormatResponses), "the script says so"), false); err != nil {
			return err
		}
		sock.send(codec.Close, []byte{0x03, 0xf5}) // 1013: try again later
		return errRefused
	}
	if err := s.performance(wire.FormatResponses, a, fault).play(ctx, sock); err != nil {
		e.Err = err.Error()
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

func (k *socket) send(op codec.Op, payload []byte) error {
	return k.sendIn(op, payload, len(payload)+1<<16)
}

// sendIn sends a message in fragments of at most n bytes.
func (k *socket) sendIn(op codec.Op, payload []byte, n int) error {
	k.out.Lock()
	defer k.out.Unlock()
	k.out.buf = k.out.AppendMessageIn(k.out.buf[:0], op, payload, n)
	_, err := k.conn.Write(k.out.buf)
	return err
}

func (k *socket) event(e wire.Event, split bool) error {
	if split {
		return k.sendIn(codec.Text, e.Data, max(len(e.Data)/2, 1))
	}
	return k.send(codec.Text, e.Data)
}

func (k *socket) ping() error { return k.send(codec.Ping, nil) }
