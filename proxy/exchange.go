package proxy

import (
	"fmt"
	"hash"
	"strings"
	"time"

	"github.com/capstan-bench/capstan/proxy/codec"
	"github.com/capstan-bench/capstan/proxy/journal"
	"github.com/capstan-bench/capstan/schema/secrets"
)

// exchange is one request and its response on their way into the journal.
type exchange struct {
	rec     *recorder
	tape    *journal.Tape // nil: it passes and is not recorded
	method  string
	upgrade bool // the request asks for another protocol
	half    [2]half
	attrs   map[string]string
	flow    journal.Flow
	heads   [2]journal.Head // of a request to upgrade
}

// half is one direction of an exchange.
type half struct {
	decode *codec.Decoder // nil: as it comes
	redact *secrets.Redactor
	sum    hash.Hash
	wire   int64
	done   bool
	read   int    // wire bytes of the entry under way
	plain  []byte // that became known with it

	// A request's body is looked at as a whole before any of it is written.
	held  []byte
	reads []journal.Read // that make up held
}

// way is one direction of a talk while one entry is parsed.
type way struct {
	talk    *talk
	dir     dir
	at      time.Duration
	touched []*exchange
}

var _ sink = (*way)(nil)

// head begins a request, or the response to the oldest one.
func (w *way) head(raw []byte) (framing, int64) {
	h := readHead(raw)
	if w.dir == up {
		return w.request(h)
	}
	return w.response(h)
}

func (w *way) request(h head) (framing, int64) {
	t := w.talk
	method, target, _, ok := h.request()
	if !ok {
		return unreadable, 0
	}
	f := h.facts()
	x := &exchange{rec: t.rec, method: method, upgrade: f.upgrade, flow: t.flow}
	t.calls = append(t.calls, x)
	t.current[up] = x
	keep := &t.rec.keep
	if !t.deaf && keep.wanted(method, target) && !keep.paused() {
		x.flow.At, x.flow.Started = w.at, t.rec.start.Add(w.at)
		x.tape = keep.journal.Begin(x.flow)
		t.rec.stats.calls.Add(1)
		t.rec.stats.open.Add(1)
		x.head(w, h, journal.Main)
	}
	return f.request()
}

func (w *way) response(h head) (framing, int64) {
	t := w.talk
	if len(t.calls) == 0 {
		return unreadable, 0 // a response that nobody asked for
	}
	x := t.calls[0]
	t.current[down] = x
	kind := journal.Main
	status := h.status()
	if status >= 100 && status < 200 && status != 101 {
		kind = journal.Informational
	}
	x.head(w, h, kind)
	f, n := h.responseFraming(x.method)
	switch {
	case f == unframed && !x.upgrade:
		return unreadable, 0
	case f == unframed:
		t.socket = newSocket(t, x, h)
	case kind == journal.Informational:
		return interim, 0
	case f == unreadable:
		return f, 0
	}
	return f, n
}

// head writes a head down, without what may not be kept.
func (x *exchange) head(w *way, h head, kind journal.HeadKind) {
	if x.tape == nil {
		return
	}
	if kind == journal.Main {
		x.begin(w.dir, h)
	}
	kept := x.rec.keep.head(w.dir, h)
	kept.Kind = kind
	x.tape.Head(direction(w.dir), w.at, kept)
	if x.upgrade && kind == journal.Main {
		x.heads[w.dir] = kept
	}
}

func direction(d dir) journal.Dir {
	if d == up {
		return journal.Request
	}
	return journal.Response
}

// begin makes a direction ready for its body.
func (x *exchange) begin(d dir, h head) {
	b := &x.half[d]
	tape := x.tape
	b.redact = secrets.NewRedactor(x.rec.keep.learned, func(at time.Duration, wire int, plain []byte) {
		tape.Feed(direction(d), at, wire, plain)
	})
	coding := h.get("Content-Encoding")
	if coding == "" || strings.EqualFold(coding, "identity") {
		return
	}
	decode, err := codec.NewDecoder(coding, codec.Limit{})
	if err != nil {
		x.note(d, "undecoded", err.Error())
		return
	}
	b.decode = decode
}

// note adds an attribute about one direction.
func (x *exchange) note(d dir, name, value string) {
	if x.attrs == nil {
		x.attrs = map[string]string{}
	}
	x.attrs[direction(d).String()+"_"+name] = value
}

// took counts wire bytes.
func (w *way) took(p []byte) {
	x := w.talk.current[w.dir]
	if x == nil || x.tape == nil {
		return
	}
	b := &x.half[w.dir]
	if b.sum == nil {
		b.sum = x.rec.keep.journal.WireHash()
	}
	b.sum.Write(p)
	b.wire += int64(len(p))
	b.read += len(p)
	w.touch(x)
}

func (w *way) touch(x *exchange) {
	if n := len(w.touched); n == 0 || w.touched[n-1] != x {
		w.touched = append(w.touched, x)
	}
}

func (w *way) body(p []byte) {
	if w.talk.socket != nil {
		w.talk.socket.feed(w, p)
		return
	}
	x := w.talk.current[w.dir]
	if x == nil || x.tape == nil {
		return
	}
	w.touch(x)
	b := &x.half[w.dir]
	if b.decode == nil {
		b.add(p)
		return
	}
	if err := b.decode.Feed(p, b.add); err != nil {
		x.note(w.dir, "undecoded", err.Error())
	}
}

// add takes plain bytes.
func (b *half) add(p []byte) { b.plain = append(b.plain, p...) }

func (w *way) end(trailers []byte) {
	x := w.talk.current[w.dir]
	if x == nil {
		return
	}
	if x.tape != nil {
		w.touch(x)
		x.half[w.dir].close(x, w.dir)
		if len(trailers) > 0 {
			kept := x.rec.keep.head(w.dir, head{fields: trailers})
			kept.Kind = journal.Trailer
			x.tape.Head(direction(w.dir), w.at, kept)
		}
	}
	x.half[w.dir].done = true
	if w.dir == down {
		w.talk.calls = w.talk.calls[1:] // the oldest one's response, by HTTP's order
	}
	if x.half[up].done && x.half[down].done {
		w.flush()
		outcome := journal.Complete
		if w.talk.over[up] { // agents never half-close: it had gone, and what came after it was for nobody
			outcome = journal.ClientCut
		}
		x.finish(w.at, outcome, "")
	} else if w.dir == down {
		w.talk.late = append(w.talk.late, x) // the answer came before the request was out
	}
}

// close ends the decoding of a direction.
func (b *half) close(x *exchange, d dir) {
	if b.decode != nil {
		if err := b.decode.Close(b.add); err != nil {
			x.note(d, "undecoded", err.Error())
		}
		b.decode = nil
	}
}

func (w *way) lost(err error) {
	w.talk.rec.stats.unparsed.Add(1)
	if x := w.talk.current[w.dir]; x != nil && x.tape != nil {
		x.note(w.dir, "unparsed", err.Error())
	}
}

// flush gives what one entry brought to the tapes, through the redactors.
func (w *way) flush() {
	for _, x := range w.touched {
		if x.tape != nil {
			x.flush(w.dir, w.at)
		}
	}
	w.touched = w.touched[:0]
}

func (x *exchange) flush(d dir, at time.Duration) {
	b := &x.half[d]
	if b.redact == nil {
		return
	}
	if b.read > 0 || len(b.plain) > 0 {
		if d == up {
			x.hold(at)
		} else {
			b.redact.Feed(at, b.read, b.plain)
		}
	}
	b.read = 0
	if b.plain = b.plain[:0]; cap(b.plain) > keepScratch {
		b.plain = nil
	}
	if b.done {
		x.release()
		b.redact.Flush()
	}
}

// maxHeld is the longest request body that is looked at, and so the longest that
// is recorded.
const maxHeld = 64 << 20

// hold keeps what came of a request's body until all of it is there.
func (x *exchange) hold(at time.Duration) {
	b := &x.half[up]
	n := len(b.plain)
	if len(b.held)+n > maxHeld {
		x.note(up, "withheld", fmt.Sprintf("the body is recorded up to %d bytes", maxHeld))
		n = 0
	}
	b.held = append(b.held, b.plain[:n]...)
	b.reads = append(b.reads, journal.Read{At: at, Wire: b.read, Plain: n})
}

// release writes a request's body, as it may be kept.
func (x *exchange) release() {
	b := &x.half[up]
	if len(b.reads) == 0 {
		return
	}
	body := b.held
	if len(body) > 0 {
		body = x.rec.keep.scrub.scrub(body)
	}
	for _, r := range b.reads {
		b.redact.Feed(r.At, r.Wire, body[:r.Plain])
		body = body[r.Plain:]
	}
	b.held, b.reads = nil, nil
}

func (x *exchange) forgot(d dir, n int) {
	if x.tape != nil {
		x.note(d, "forgotten", fmt.Sprintf("%d bytes: the recorder could not keep up", n))
	}
}

// finish ends the tape, once.
func (x *exchange) finish(at time.Duration, o journal.Outcome, why string) {
	if x.tape == nil {
		return
	}
	x.rec.stats.open.Add(-1)
	e := journal.End{At: at, Outcome: o, Err: why, Attrs: x.attrs}
	for d := range x.half {
		b := &x.half[d]
		if !b.done {
			b.close(x, dir(d))
			b.done = true
			x.flush(dir(d), at)
		}
		if b.sum != nil {
			e.Wire[d].Bytes = b.wire
			b.sum.Sum(e.Wire[d].Sum[:0])
		}
	}
	x.tape.End(e)
	x.tape = nil
}
