package proxy

import (
	"strings"
	"time"

	"github.com/capstan-bench/capstan/proxy/codec"
	"github.com/capstan-bench/capstan/proxy/journal"
	"github.com/capstan-bench/capstan/schema/secrets"
)

// socket is an upgraded connection: a WebSocket, or something that is not
// recorded. Each message of the client's begins an exchange; those of the
// upstream belong to the exchange that was begun last.
type socket struct {
	talk  *talk
	by    *exchange // that asked for the upgrade
	sides [2]*codec.Socket
	call  *exchange // begun last
	blind bool      // not a WebSocket, not recorded, or broken
}

// newSocket is made when the upstream agrees to an upgrade, with the head of its
// answer.
func newSocket(t *talk, by *exchange, h head) *socket {
	s := &socket{talk: t, by: by, blind: by.tape == nil || !strings.EqualFold(h.get("Upgrade"), "websocket")}
	if s.blind {
		return s
	}
	deflate, err := codec.ParseExtensions(h.get("Sec-WebSocket-Extensions"))
	if err != nil {
		by.note(down, "undecoded", err.Error())
		s.blind = true
		return s
	}
	s.sides[up] = codec.NewSocket(codec.SocketConfig{FromClient: true, Deflate: deflate})
	s.sides[down] = codec.NewSocket(codec.SocketConfig{Deflate: deflate})
	return s
}

// feed takes what one side sent.
func (s *socket) feed(w *way, p []byte) {
	s.open(w.at)
	s.talk.count(w.dir, len(p))
	if s.blind {
		return
	}
	err := s.sides[w.dir].Feed(p, func(m codec.Message) { s.message(w, m) })
	if err != nil {
		s.talk.rec.stats.unparsed.Add(1)
		s.close(w.at, journal.Unparsed, err.Error())
		s.blind = true
	}
}

// open ends the exchange that asked for the upgrade: it has its answer.
func (s *socket) open(at time.Duration) {
	if len(s.talk.calls) == 0 {
		return
	}
	for _, x := range s.talk.calls {
		x.finish(at, journal.Complete, "")
	}
	s.talk.calls, s.talk.current = nil, [2]*exchange{}
}

// message takes a whole message. One message is one read of the journal, so that
// messages can be told apart.
func (s *socket) message(w *way, m codec.Message) {
	if m.Op != codec.Text && m.Op != codec.Binary {
		return
	}
	if w.dir == up {
		s.finish(w.at, journal.Complete, "")
		s.begin(w.at)
	}
	x := s.call
	if x == nil {
		return // the upstream spoke first
	}
	b := &x.half[w.dir]
	if w.dir == up && len(m.Plain) > 0 {
		m.Plain = s.talk.rec.keep.scrub.scrub(m.Plain)
	}
	b.redact.Feed(w.at, 0, m.Plain)
	b.redact.Flush()
	b.wire += m.Wire
	if m.Err != nil {
		x.note(w.dir, "undecoded", m.Err.Error())
	}
	x.tape.Feed(direction(w.dir), w.at, int(m.Wire), b.plain)
	b.plain = b.plain[:0]
}

// begin opens an exchange with the heads of the handshake, which hold what the
// client says about itself.
func (s *socket) begin(at time.Duration) {
	keep := &s.talk.rec.keep
	if keep.paused() {
		return
	}
	flow := s.by.flow
	flow.Kind, flow.At, flow.Started = journal.WebSocket, at, s.talk.rec.start.Add(at)
	flow.ID = ""
	flow.Scheme = strings.Replace(flow.Scheme, "http", "ws", 1)
	x := &exchange{rec: s.talk.rec, flow: flow, tape: keep.journal.Begin(flow)}
	for d := range x.half {
		b := &x.half[d]
		x.tape.Head(direction(dir(d)), at, s.by.heads[d])
		b.redact = secrets.NewRedactor(keep.learned, func(_ time.Duration, _ int, p []byte) { b.add(p) })
	}
	s.talk.rec.stats.calls.Add(1)
	s.talk.rec.stats.open.Add(1)
	s.call = x
}

// finish ends the exchange that was begun last.
func (s *socket) finish(at time.Duration, o journal.Outcome, why string) {
	if s.call != nil {
		s.call.finish(at, o, why)
		s.call = nil
	}
}

// close is the end of the connection. What was asked last is complete as far as
// anybody can tell who does not read the messages.
func (s *socket) close(at time.Duration, o journal.Outcome, why string) {
	s.open(at)
	s.finish(at, o, why)
}

// lose says that bytes are missing: frames cannot be told apart any more.
func (s *socket) lose() { s.blind = true }
