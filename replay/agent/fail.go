package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"github.com/capstan-bench/capstan/schema"
)

// maxText bounds a sample's error text in bytes.
const maxText = 300

// fail records the call's first failure and returns its cause. Once ctx has
// ended, whatever breaks is our own doing. After the answer's end nothing can
// fail any more.
func (c *call) fail(class string, err error) error {
	if c.class != "" || c.answer.over {
		return err
	}
	if c.ctx.Err() != nil {
		class, err = schema.ErrUnended, context.Cause(c.ctx)
	}
	c.class, c.cause = class, err
	return err
}

// broken records that the connection failed with err, in words that say when.
func (c *call) broken(err error) error {
	if !isTimeout(err) {
		c.fail(schema.ErrReset, fmt.Errorf("%s: %w", c.phase(), err))
		return err
	}
	limit := c.client.ttft
	what := "no token"
	if c.patience > 0 {
		limit, what = c.patience, "no byte"
	}
	c.fail(schema.ErrTimeout, fmt.Errorf("%s: %s for %v", c.phase(), what, limit))
	return err
}

// phase says how far the call came.
func (c *call) phase() string {
	switch {
	case c.has(firstToken):
		return "read the stream"
	case c.has(headers):
		return "wait for the first token"
	case c.readBytes > 0:
		return "read the response header"
	case c.has(written):
		return "wait for the response"
	}
	return "send the request"
}

// class names what fasthttp's own errors mean. Those of the connection were
// recorded where they happened, and fail keeps the first.
func class(err error) string {
	switch {
	case errors.Is(err, fasthttp.ErrNoFreeConns):
		return schema.ErrConnect
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, fasthttp.ErrConnectionClosed):
		return schema.ErrReset
	}
	return schema.ErrStream // a header that can't be read
}

// text puts an error into one line.
func (k *Client) text(err error) string { return k.line(err.Error()) }

// line makes what a server said fit to be kept: one line of at most maxText bytes
// without the key and without what the target's query holds, which some servers
// repeat in what they refuse, as they are or escaped.
func (k *Client) line(s string) string {
	for _, secret := range k.secret {
		s = strings.ReplaceAll(s, secret, "[key]")
	}
	s = string(k.learned.Redact([]byte(s)))
	s = strings.ToValidUTF8(s, "?")
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if len(s) <= maxText {
		return s
	}
	cut := maxText - len("…")
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
