package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/wire"
)

const (
	// maxPlain bounds a plain JSON answer. As many can be in memory as there are
	// calls in flight.
	maxPlain = 4 << 20
	// maxRefusal bounds what is read of the body of a response that is not 200.
	maxRefusal = 64 << 10
	// lingerFor is how long after [DONE] the response may take to end. It keeps
	// the connection usable; longer would keep the agent from its next step.
	lingerFor = 100 * time.Millisecond
)

// answer is what the response said.
type answer struct {
	over   bool // [DONE] came, or the JSON answer was whole
	finish string
	usage  wire.Usage

	bytes, firstBytes int64 // visible; of those, the ones that came with the first token
	reasoning         int64 // of bytes
	chunks            int32 // arrivals that carried visible text
	mark              int   // of Request.Marks, the next to note
}

// noUsage says nothing.
var noUsage = wire.Usage{Input: wire.Unknown, Cached: wire.Unknown, CacheWrite: wire.Unknown, Output: wire.Unknown, Reasoning: wire.Unknown}

// streamer is what reading a stream takes. One is held for the length of a
// stream; an event larger than its buffer is read in pieces.
type streamer struct {
	buf    [4 << 10]byte
	events wire.ChatStream
}

var streamers = sync.Pool{New: func() any { return new(streamer) }}

// read reads the response's body to its end.
func (c *call) read(r *fasthttp.Response) {
	c.status = int32(r.StatusCode())
	c.untilClose = r.Header.ContentLength() == -2 // as fasthttp has it
	body := r.BodyStream()
	if body == nil {
		body = bytes.NewReader(r.Body())
	}
	if enc := r.Header.ContentEncoding(); len(enc) > 0 && !bytes.EqualFold(enc, []byte("identity")) {
		c.fail(schema.ErrStream, fmt.Errorf("read the response: it is %q-encoded though identity was asked for", enc))
		return
	}
	switch {
	case c.status != fasthttp.StatusOK:
		c.refused(body)
	case bytes.HasPrefix(bytes.ToLower(r.Header.ContentType()), []byte("application/json")):
		c.plain(body)
	default:
		c.stream(body)
	}
	c.settle()
}

// refused reads the body of a response that is not 200 and classes it.
func (c *call) refused(body io.Reader) {
	p, err := c.all(body, maxRefusal)
	if err != nil && len(p) == 0 && c.class != "" {
		return
	}
	c.class = "" // the status says more than how its body ended
	code, msg := wire.ErrorText(p)
	switch {
	case c.status == fasthttp.StatusTooManyRequests:
		c.fail(schema.ErrRateLimit, statusError(c.status, code, msg))
	case wire.IsContextOverflow(int(c.status), p):
		c.fail(schema.ErrContext, statusError(c.status, code, msg))
	default:
		c.fail(schema.ErrStatus, statusError(c.status, code, msg))
	}
}

func statusError(status int32, code, msg string) error {
	text := fmt.Sprintf("HTTP %d", status)
	if code != "" {
		text += " " + code
	}
	if msg != "" {
		text += ": " + msg
	}
	return errors.New(text)
}

// plain reads an answer that was not streamed. All of it arrives at once, so
// first and last token are its end.
func (c *call) plain(body io.Reader) {
	p, err := c.all(body, maxPlain)
	if err != nil {
		c.fail(schema.ErrStream, fmt.Errorf("read the answer: %w", err))
		return
	}
	a, err := wire.ParseChat(p)
	if err != nil {
		c.fail(schema.ErrStream, fmt.Errorf("read the answer: %w", err))
		return
	}
	c.delta(wire.Delta{Bytes: a.Bytes, Finish: a.Finish, Usage: a.Usage, Err: a.Err})
	c.answer.over = true
}

// all reads a body that is not a stream of events, up to limit bytes.
func (c *call) all(body io.Reader, limit int64) ([]byte, error) {
	p, err := io.ReadAll(io.LimitReader(body, limit))
	if len(p) > 0 {
		c.stamp(firstByte, c.seen)
	}
	return p, err
}

// stream reads server-sent events up to the response's end: what is left unread
// would cost the connection.
func (c *call) stream(body io.Reader) {
	st := streamers.Get().(*streamer)
	defer streamers.Put(st)
	st.events.Reset()
	emit := c.delta
	for {
		n, err := body.Read(st.buf[:])
		if n > 0 {
			if !c.has(firstByte) {
				c.stamp(firstByte, c.seen)
			}
			c.decoded(st.events.Feed(st.buf[:n], emit))
		}
		if err == io.EOF {
			c.decoded(st.events.End(emit))
			return
		}
		if err != nil {
			c.fail(class(err), fmt.Errorf("read the stream: %w", err))
		}
		if err != nil || c.class != "" {
			return
		}
	}
}

// decoded takes the decoder's verdict.
func (c *call) decoded(err error) {
	if err != nil {
		c.fail(schema.ErrStream, err)
	}
}

// delta takes one event. It runs for every token and allocates nothing. What
// follows [DONE] is no part of the answer.
func (c *call) delta(d wire.Delta) {
	a := &c.answer
	if a.over {
		return
	}
	if d.Err != "" {
		c.said(d.Err)
		return
	}
	if d.Usage != nil {
		a.usage = *d.Usage
	}
	if d.Finish != "" {
		a.finish = d.Finish
	}
	if d.Bytes > 0 {
		a.reasoning += int64(d.Reasoning)
		c.token(int64(d.Bytes))
	}
	if d.Done {
		a.over = true
		c.stamp(done, c.seen)
		c.patience = 0
		c.conn.raw.SetReadDeadline(time.Now().Add(lingerFor))
	}
}

// said takes an error that the system sent inside an answer. It allocates, but
// at most once a call.
func (c *call) said(text string) {
	class := schema.ErrStream
	if wire.IsContextOverflow(fasthttp.StatusOK, []byte(text)) {
		class = schema.ErrContext
	}
	c.fail(class, errors.New("the answer says: "+text))
}

// token counts n bytes of visible text that arrived at c.seen. What arrives
// together counts as one chunk, however many events it is in.
func (c *call) token(n int64) {
	a := &c.answer
	if !c.has(firstToken) {
		c.stamp(firstToken, c.seen)
		c.patience = c.client.idle
		if c.req.First != nil {
			c.req.First(c.seen)
		}
	}
	if !c.has(lastToken) || c.at[lastToken] != c.seen {
		a.chunks++
	}
	c.stamp(lastToken, c.seen)
	a.bytes += n
	if c.at[firstToken] == c.seen {
		a.firstBytes += n
	}
	if a.mark < len(c.req.Marks) {
		c.reach(c.client.tokensIn(a))
	}
}

// reach notes the shares that n tokens of the planned output reach. Share f of
// an answer of N tokens is reached by token ceil(f*N).
func (c *call) reach(n float64) {
	for c.answer.mark < len(c.req.Marks) {
		f := c.req.Marks[c.answer.mark]
		if n < math.Ceil(float64(f)*float64(c.req.Output)) {
			return
		}
		c.note(plan.Token, f, c.seen)
		c.answer.mark++
	}
}

// tokensIn estimates the tokens that have arrived so far: as many as the stream
// says, where it says so with every chunk; else its visible bytes × tokens per
// byte of the answers that this client has seen end, and a quarter of the bytes
// until the first did.
func (k *Client) tokensIn(a *answer) float64 {
	if a.usage.Output > 0 {
		return float64(a.usage.Output)
	}
	tokens, bytes := k.seenTokens.Load(), k.seenBytes.Load()
	if tokens == 0 || bytes == 0 {
		tokens, bytes = 1, 4
	}
	return float64(a.bytes) * float64(tokens) / float64(bytes)
}

// learn counts a finished answer for tokensIn.
func (k *Client) learn(a *answer) {
	if a.usage.Output > 0 && a.bytes > 0 {
		k.seenBytes.Add(a.bytes)
		k.seenTokens.Add(a.usage.Output)
	}
}

// settle judges the answer when the response is over.
func (c *call) settle() {
	a := &c.answer
	if c.class != "" {
		return
	}
	if !a.over && a.finish == "" {
		c.fail(schema.ErrTruncated, errors.New("the stream ended without a finish reason and without [DONE]"))
		return
	}
	if !c.has(done) {
		c.stamp(done, c.seen)
	}
	if c.has(firstToken) {
		return
	}
	if a.usage.Output > 0 {
		// Tokens were generated and none was shown: they count as late as can be.
		c.stamp(firstToken, c.at[done])
		c.stamp(lastToken, c.at[done])
		return
	}
	c.class, c.cause = schema.ErrEmpty, fmt.Errorf("the answer holds no token; finish reason %q", a.finish)
}

// fill writes the answer into s.
func (a *answer) fill(s *schema.Sample, k *Client) {
	s.Chunks = a.chunks
	s.InputTokens, s.CachedTokens = known(a.usage.Input), known(a.usage.Cached)
	s.OutputTokens = known(a.usage.Output)
	s.FirstTokens, s.FinishReason = nil, nil
	if a.usage.Output != wire.Unknown && a.bytes > 0 {
		hidden := float64(a.hidden())
		f := hidden + (float64(a.usage.Output)-hidden)*float64(a.firstBytes)/float64(a.bytes)
		s.FirstTokens = &f
	}
	if a.finish != "" {
		finish := k.line(a.finish)
		s.FinishReason = &finish
	}
}

// hidden is how many of the reported output tokens did not show: reasoning where
// no reasoning text came, and tokens for which there is no byte of visible text.
// They count with the first chunk, as generated before it, so that they do not
// pass for speed.
func (a *answer) hidden() int64 {
	unseen := max(0, a.usage.Output-a.bytes)
	if a.reasoning == 0 {
		unseen = max(unseen, min(a.usage.Reasoning, a.usage.Output))
	}
	return unseen
}

func known(n int64) *int64 {
	if n == wire.Unknown {
		return nil
	}
	return &n
}
