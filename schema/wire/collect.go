package wire

import (
	"fmt"

	"github.com/tidwall/gjson"
)

// MaxReply is the most bytes of text, arguments and items that a [Collector] keeps
// of one answer.
const MaxReply = MaxPlain

// Mark is a place in the bytes of an answer.
type Mark struct {
	Event  int   // events so far, this one included; a plain answer is one
	Offset int64 // bytes fed up to the end of this event, framing included
}

// ToolCall is a tool call that an answer asks for.
type ToolCall struct {
	ID        string // "" where the dialect gave none
	Name      string
	Arguments []byte // as they were sent, their pieces joined; JSON, or the text of a custom tool
	Began     Mark   // the event that named it
	Ended     Mark   // the event after which its arguments were whole
}

// Reply is what a dataset keeps of an answer.
type Reply struct {
	ID        string
	Model     string
	Finish    string
	Usage     *Usage
	UsageJSON []byte // the usage object as it came; Messages: the later counts in place of the earlier
	Err       string // as in [Delta]
	Done      bool   // as in [Delta]
	Tools     []ToolCall

	// Output is the answer in the form in which the next request is expected to
	// carry it: a message, a content, or (Responses) items, whole or as far as
	// they came.
	Output    [][]byte
	Truncated bool // it was longer than MaxReply
}

// Collector decodes an answer like the [Stream] it is, and puts together what a
// dataset keeps of it. It is for use off the hot path.
type Collector struct {
	stream  stream
	builder builder
	kept    kept
	fed     int64
	at      Mark
	reply   Reply
	usage   Usage
	used    bool
}

var _ Stream = (*Collector)(nil)

// builder takes the events of one dialect.
type builder interface {
	event(v gjson.Result, at Mark)
	plain(v gjson.Result, at Mark)
	output() [][]byte
}

// NewCollector returns a collector for one answer in the named format.
func NewCollector(format string, framing Framing) (*Collector, error) {
	c := &Collector{}
	s, err := NewStream(format, framing)
	if err != nil {
		return nil, fmt.Errorf("collect: %w", err)
	}
	c.stream = *s.(*stream)
	c.stream.dialect = &collecting{dialect: c.stream.dialect, c: c}
	c.Reset()
	return c, nil
}

// Reset makes the collector ready for another answer.
func (c *Collector) Reset() {
	c.kept = kept{left: MaxReply}
	switch c.stream.dialect.(*collecting).dialect.(type) {
	case *chatEvents:
		c.builder = &chatReply{kept: &c.kept}
	case *messagesEvents:
		c.builder = &messagesReply{kept: &c.kept}
	case *responsesEvents:
		c.builder = &responsesReply{kept: &c.kept}
	case *geminiEvents:
		c.builder = &geminiReply{kept: &c.kept}
	}
	c.fed, c.at, c.reply, c.used = 0, Mark{}, Reply{}, false
	c.stream.Reset()
}

// Feed is [Stream].Feed; emit may be nil.
func (c *Collector) Feed(p []byte, emit func(Delta)) error {
	for {
		data, rest, ok, err := c.next(p)
		if err != nil || !ok {
			c.fed += int64(len(p))
			return err
		}
		c.fed += int64(len(p) - len(rest))
		p = rest
		if err := c.event(data, emit); err != nil {
			return err
		}
	}
}

func (c *Collector) next(p []byte) (data, rest []byte, ok bool, err error) {
	if c.stream.err == nil {
		data, rest, ok, c.stream.err = c.stream.frames.next(p)
	}
	return data, rest, ok, c.stream.err
}

func (c *Collector) event(data []byte, emit func(Delta)) error {
	c.stream.err = c.stream.dialect.event(data, emit)
	return c.stream.err
}

// End is [Stream].End; emit may be nil.
func (c *Collector) End(emit func(Delta)) error { return c.stream.End(emit) }

// Reply is the answer so far. It shares no memory with what is fed later.
func (c *Collector) Reply() Reply {
	r := c.reply
	r.ID, r.Model, r.UsageJSON, r.Truncated = c.kept.id, c.kept.model, c.kept.usage, c.kept.truncated
	r.Tools = append([]ToolCall(nil), c.kept.tools...)
	r.Output = c.builder.output()
	if c.used {
		usage := c.usage
		r.Usage = &usage
	}
	return r
}

// collecting shows every event to the collector as well.
type collecting struct {
	dialect
	c *Collector
}

func (d *collecting) event(data []byte, emit func(Delta)) error {
	c := d.c
	c.at = Mark{Event: c.at.Event + 1, Offset: c.fed}
	if err := d.dialect.event(data, c.noting(emit)); err != nil {
		return err
	}
	c.builder.event(gjson.ParseBytes(data), c.at)
	return nil
}

func (d *collecting) plain(body []byte, emit func(Delta)) error {
	c := d.c
	c.at = Mark{Event: 1, Offset: c.fed}
	if err := d.dialect.plain(body, c.noting(emit)); err != nil {
		return err
	}
	c.builder.plain(gjson.ParseBytes(body), c.at)
	return nil
}

func (d *collecting) end(emit func(Delta)) { d.dialect.end(d.c.noting(emit)) }

// noting takes from the deltas what the reply needs.
func (c *Collector) noting(emit func(Delta)) func(Delta) {
	return func(d Delta) {
		if d.Finish != "" {
			c.reply.Finish = d.Finish
		}
		if d.Err != "" {
			c.reply.Err = d.Err
		}
		if d.Usage != nil {
			c.usage, c.used = *d.Usage, true
		}
		c.reply.Done = c.reply.Done || d.Done
		if emit != nil {
			emit(d)
		}
	}
}
