package wire

import (
	"bytes"
	"fmt"
)

// Delta is what one event of a stream brings. Events that bring nothing (a role,
// an empty string, a comment, progress) give no Delta.
type Delta struct {
	Bytes     int // of text in UTF-8: content, refusal, reasoning, names and arguments of tool calls, over all choices
	Reasoning int // of Bytes
	Tool      int // of Bytes

	Finish string // why the answer ended, in the dialect's words; "" while it goes on
	Usage  *Usage // all that is known so far, so the latest counts; nil where the event has none; valid until the callback returns
	Err    string // an error that the system sent inside the stream
	Done   bool   // the dialect's own end mark, or the end of a plain answer
}

// ChatStream decodes the event stream of a Chat Completions answer, fed in any
// pieces. The zero value is ready. It keeps at most a few times [MaxLine] bytes.
type ChatStream struct {
	events events
	err    error
	found  chatFound
	shape  shape
}

// Reset makes the stream ready for another answer and keeps its buffers.
func (c *ChatStream) Reset() {
	c.events.reset()
	c.err = nil
}

// Feed decodes the next bytes of the stream and calls emit for each event that
// brings something. It keeps nothing of p. A broken event ends the stream: this
// and every later call returns the error.
func (c *ChatStream) Feed(p []byte, emit func(Delta)) error {
	for c.err == nil {
		data, rest, ok, err := c.events.next(p)
		if err != nil || !ok {
			c.err = err
			break
		}
		p = rest
		c.err = c.event(data, emit)
	}
	return c.err
}

// End takes the end of the stream's bytes: an event whose empty line never came
// is decoded all the same, and is an error where it was cut short.
func (c *ChatStream) End(emit func(Delta)) error {
	if c.err != nil {
		return c.err
	}
	data, err := c.events.end()
	if err == nil && len(data) > 0 {
		err = c.event(data, emit)
	}
	c.err = err
	return err
}

func (c *ChatStream) event(data []byte, emit func(Delta)) error {
	if d, ok := c.shape.match(data); ok {
		if d.Bytes > 0 {
			emit(d)
		}
		return nil
	}
	return c.eventSlow(data, emit)
}

func (c *ChatStream) eventSlow(data []byte, emit func(Delta)) error {
	if string(bytes.TrimSpace(data)) == "[DONE]" {
		emit(Delta{Done: true})
		return nil
	}
	c.found = chatFound{}
	s := scanner{b: data}
	s.space()
	c.found.top(&s, "delta")
	s.space()
	if s.err == nil && s.i < len(data) {
		s.fail(s.i, "text after the event")
	}
	if s.err != nil {
		return fmt.Errorf("decode stream event: %w", s.err)
	}
	d := c.found.delta()
	if c.found.hasUsage {
		d.Usage = &c.found.usage
	}
	if c.found.failed {
		d.Err = streamError(data)
	}
	c.shape.learn(data, &c.found, d)
	if d.Bytes > 0 || d.Finish != "" || d.Usage != nil || d.Err != "" {
		emit(d)
	}
	return nil
}

// shape remembers an event that brought one piece of text and nothing else: all
// bytes before that text, and all after. An event with the same bytes around its
// text means the same, so only the text is scanned; that is nearly every event.
type shape struct {
	before, after []byte
	kind          textKind
}

func (h *shape) learn(data []byte, f *chatFound, d Delta) {
	if f.pieces != 1 || d.Finish != "" || d.Usage != nil || d.Err != "" {
		return
	}
	h.set(data, f.start, f.end, f.kind)
}

// set remembers an event whose only text is data[start:end].
func (h *shape) set(data []byte, start, end int, kind textKind) {
	h.before = append(h.before[:0], data[:start]...)
	h.after = append(h.after[:0], data[end:]...)
	h.kind = kind
}

func (h *shape) match(data []byte) (Delta, bool) {
	n := len(h.before)
	if n == 0 || len(data) < n+len(h.after) || !bytes.Equal(data[:n], h.before) {
		return Delta{}, false
	}
	s := scanner{b: data, i: n - 1}
	length := s.text()
	if s.err != nil || !bytes.Equal(data[s.i-1:], h.after) {
		return Delta{}, false
	}
	return textDelta(h.kind, length), true
}

func textDelta(kind textKind, length int) Delta {
	d := Delta{Bytes: length}
	switch kind {
	case textReasoning:
		d.Reasoning = length
	case textTool:
		d.Tool = length
	}
	return d
}

// streamError is the error in an event, as "code: message".
func streamError(event []byte) string {
	code, message := ErrorText(event)
	if code == "" {
		return message
	}
	return code + ": " + message
}
