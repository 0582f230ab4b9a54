package agent

import (
	"context"
	"io"
	"net"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/schema"
)

// Request is one step to send.
type Request struct {
	Body      plan.Body // borrowed until Do returns, never written to
	ProbeSalt plan.Salt // fills Body's first hole
	PlaySalt  plan.Salt // fills Body's second hole
	Output    int32     // planned output tokens; what Marks are shares of
	Marks     []float32 // shares of Output to note, ascending, each in (0,1]
	Headers   []Header  // sent besides the client's own, such as a session's name

	// First, if set, hears when the first token arrived, as it does.
	First func(t time.Duration)
}

// Header is a request header to send.
type Header struct{ Name, Value string }

// Note hears of a step's points as they happen, with their time on the call's
// clock. It is called by the goroutine that runs Do, in the order Sent, Token
// with growing share, Done; it must not block.
type Note func(p plan.Point, share float32, t time.Duration)

// stamp names a moment of a call.
type stamp uint8

const (
	sent stamp = iota
	written
	headers
	firstByte
	firstToken
	lastToken
	done
	stamps
)

// call is one attempt to have a step answered.
type call struct {
	client *Client
	ctx    context.Context // of this call alone: a call lives as long as Do
	clock  func() time.Duration
	req    Request
	note   Note
	conn   *conn       // from the moment when the request is sent
	stop   func() bool // ends the watch on ctx

	at   [stamps]time.Duration
	have uint8         // which of at came
	seen time.Duration // when bytes last arrived

	sentBytes, readBytes int64
	reconnects           int32
	connecting           time.Duration // spent on connections before the request went out
	told                 bool          // Sent was noted
	class                string        // of the failure; empty: none so far
	cause                error
	patience             time.Duration // between reads; 0: the deadline set in begin holds

	status     int32
	untilClose bool // the body has no length of its own: the connection's end is its end
	answer     answer
}

// Do sends req and reads the answer to its end, or until ctx ends. It fills s
// with the stamps, in microseconds of clock (the time since the run's start),
// and with everything else that the call shows; what s says about the plan is
// left as it is. A call that ctx ended has class unended and no done stamp.
//
// It returns how long connecting took, with what was lost on a kept connection
// that turned out closed: a part of sent − due that is not the client's lag.
func (k *Client) Do(ctx context.Context, clock func() time.Duration, req Request, s *schema.Sample, note Note) (connecting time.Duration) {
	c := &call{client: k, ctx: ctx, clock: clock, req: req, note: note, answer: answer{usage: noUsage}}
	q, r := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(q)
	defer fasthttp.ReleaseResponse(r)
	k.prepare(q, req)
	q.SetBodyStream(c, int(req.Body.Len))

	if err := k.host.Do(q, r); err != nil {
		c.fail(class(err), err)
	} else {
		c.stamp(headers, c.seen)
		c.read(r)
	}
	c.close(r)
	c.end()
	c.fill(s)
	return c.connecting
}

// Read ends the body at once: what conn sends are the segments.
func (c *call) Read([]byte) (int, error) { return 0, io.EOF }

// prepare sets the request's header.
func (k *Client) prepare(q *fasthttp.Request, req Request) {
	q.SetRequestURI(k.uri)
	h := &q.Header
	h.SetMethod(fasthttp.MethodPost)
	h.SetContentType("application/json")
	h.Set("Accept", "text/event-stream, application/json")
	h.Set("Accept-Encoding", "identity")
	h.Set("User-Agent", "capstan")
	for _, x := range req.Headers {
		h.Set(x.Name, x.Value)
	}
	if k.bearer != "" {
		h.Set("Authorization", k.bearer)
	}
}

// segments appends the body's segments with the salts in their places.
func (c *call) segments(dst net.Buffers) net.Buffers {
	salts := [][]byte{c.req.ProbeSalt[:], c.req.PlaySalt[:]}
	for _, seg := range c.req.Body.Segs {
		if seg == nil && len(salts) > 0 {
			seg, salts = salts[0], salts[1:]
		}
		dst = append(dst, seg)
	}
	return dst
}

// begin gives raw the call's patience and binds it to the call's context.
func (c *call) begin(raw net.Conn) {
	if c.stop != nil {
		c.stop()
	}
	raw.SetDeadline(time.Now().Add(c.client.ttft))
	c.stop = context.AfterFunc(c.ctx, func() { raw.SetDeadline(past) })
}

// extend gives the next read its patience. The context is asked again after the
// deadline was set, lest it undo the one that the context's end set.
func (c *call) extend() error {
	if c.patience > 0 {
		c.conn.raw.SetReadDeadline(time.Now().Add(c.patience))
	}
	return c.ctx.Err()
}

// arrived stamps bytes of the response. A line break alone moves no stamp: some
// servers send the end of an HTTP chunk on its own, and the token before it
// came earlier.
func (c *call) arrived(p []byte, at time.Duration) {
	c.readBytes += int64(len(p))
	for _, b := range p {
		if b != '\r' && b != '\n' {
			c.seen = at
			return
		}
	}
}

func (c *call) has(m stamp) bool { return c.have&(1<<m) != 0 }

// tell notes Sent, once.
func (c *call) tell(at time.Duration) {
	if !c.told {
		c.told = true
		c.note(plan.Sent, 0, at)
	}
}

// stamp sets a moment; a request that is sent again is stamped again.
func (c *call) stamp(m stamp, at time.Duration) {
	if m == sent {
		c.tell(at)
	}
	c.at[m] = at
	c.have |= 1 << m
}

// close hands the connection back, or closes it where it can't be used again. A
// response that has no body, such as a 204, is pooled by fasthttp before it gets
// here: then release alone is what lets the next call have the connection.
func (c *call) close(r *fasthttp.Response) {
	spoilt := c.stop != nil && !c.stop() // the context's end may still be setting deadlines
	if c.conn != nil {
		if spoilt = spoilt || c.conn.cut; spoilt {
			r.SetConnectionClose()
			c.conn.drop()
		}
		c.conn.release()
	}
	r.CloseBodyStream()
}

// end settles what is open when the attempt is over, and notes it.
func (c *call) end() {
	if c.class == "" {
		c.client.learn(&c.answer)
	}
	t := c.clock()
	c.tell(t)
	if c.class != "" {
		c.stamp(done, t)
	} else {
		t = c.at[done]
	}
	c.note(plan.Token, 1, t)
	c.note(plan.Done, 0, t)
}

// fill writes what the call showed into s.
func (c *call) fill(s *schema.Sample) {
	if c.class == schema.ErrUnended {
		c.have &^= 1 << done
	}
	for m, dst := range []**int64{&s.SentUS, &s.WrittenUS, &s.HeadersUS, &s.FirstByteUS, &s.FirstTokenUS, &s.LastTokenUS, &s.DoneUS} {
		*dst = nil
		if c.has(stamp(m)) {
			us := c.at[m].Microseconds()
			*dst = &us
		}
	}
	s.SentBytes, s.ReadBytes, s.Reconnects = c.sentBytes, c.readBytes, c.reconnects
	if c.status != 0 {
		s.HTTPStatus = &c.status
	}
	c.answer.fill(s, c.client)
	if c.class != "" {
		text := c.client.text(c.cause)
		s.Error, s.ErrorText = &c.class, &text
	}
}
