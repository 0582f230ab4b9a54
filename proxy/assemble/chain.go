package assemble

import (
	"github.com/capstan-bench/capstan/schema/wire"
)

// maxChained bounds a body that is made whole.
const maxChained = 256 << 20

// chain finds the contexts of the calls that go on from an answer by its id. The
// calls are in the order of time, so what a call goes on from has its context.
func (a *Assembler) chain() {
	type key struct{ tag, id string }
	known := map[key]*call{}
	for _, c := range a.calls {
		if c.wanted != "" {
			if before := known[key{c.tag, c.wanted}]; before != nil {
				c.before, c.node = before, before.node
				for _, e := range before.answer {
					c.node = a.tree.down(c.node, e)
				}
			}
			for _, e := range c.delta {
				c.node = a.tree.down(c.node, e)
			}
		}
		if c.answerID != "" && c.format == wire.FormatResponses {
			known[key{c.tag, c.answerID}] = c
		}
	}
}

// chained is what calls of a session leave for those that go on from them.
type chained struct {
	input  [][]byte // items of the whole request
	output [][]byte // and of the answer
}

// whole makes the body of a call that goes on from an answer, or came over a
// WebSocket, a request that stands by itself. ok is false where it stays as sent.
func (b *builder) whole(c *call, sent []byte) (body []byte, ok bool) {
	var before [][]byte
	if c.wanted != "" {
		p := b.chain[c.before]
		if c.before == nil || p == nil {
			b.note("requests that go on from an answer which was not recorded, kept as sent")
			return sent, false
		}
		before = append(append(before, p.input...), p.output...)
	}
	size := len(sent)
	for _, item := range before {
		size += len(item) + 1
	}
	if size > maxChained {
		b.note("requests that are too long to be made whole, kept as sent")
		return sent, false
	}
	body, err := wire.AppendChained(make([]byte, 0, size), sent, before)
	if err != nil {
		b.note("requests that could not be made whole, kept as sent")
		return sent, false
	}
	return body, true
}

// leave remembers what others may go on from. A text is an item only in the form
// of a message.
func (b *builder) leave(c *call, l *wire.Layout, output [][]byte) {
	if !b.wanted[c] {
		return
	}
	left := &chained{output: output}
	for _, slot := range l.Slots {
		for i := range slot {
			e := &slot[i]
			switch {
			case e.Kind == wire.KindTools, e.Kind == wire.KindSystem && e.Role == "":
			case len(e.Bytes) > 0 && e.Bytes[0] == '"':
				left.input = append(left.input, []byte(`{"type":"message","role":"user","content":`+string(e.Bytes)+`}`))
			default:
				left.input = append(left.input, append([]byte(nil), e.Bytes...))
			}
		}
	}
	b.chain[c] = left
}
