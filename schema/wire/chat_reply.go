package wire

import (
	"strconv"

	"github.com/tidwall/gjson"
)

// chatReply puts the first choice of an answer together.
type chatReply struct {
	kept      *kept
	message   []byte // of a plain answer, as it stands
	began     bool
	content   []byte
	reasoning []byte
	under     string // the name of the reasoning member
	hasText   bool
	index     []int64 // of each tool call, as the server counts
	open      bool    // the last tool call may go on
}

func (c *chatReply) top(v gjson.Result) {
	c.kept.names(v.Get("id"), v.Get("model"))
	c.kept.use(v.Get("usage"))
}

func (c *chatReply) event(v gjson.Result, at Mark) {
	c.top(v)
	each(v, "choices", func(choice gjson.Result) {
		c.kept.use(choice.Get("usage"))
		if choice.Get("index").Int() != 0 {
			return
		}
		c.began = true
		c.delta(choice.Get("delta"), at)
		if text(choice.Get("finish_reason")) != "" {
			c.close(at)
		}
	})
}

func (c *chatReply) delta(d gjson.Result, at Mark) {
	if !d.IsObject() {
		return
	}
	if v := d.Get("content"); v.Type == gjson.String {
		c.hasText = true
		c.content = c.kept.append(c.content, v.String())
	}
	for _, name := range []string{"reasoning_content", "reasoning"} {
		if v := d.Get(name); v.Type == gjson.String && (c.under == "" || c.under == name) {
			c.reasoning = c.kept.append(c.reasoning, v.String())
			if len(c.reasoning) > 0 {
				c.under = name
			}
		}
	}
	each(d, "tool_calls", func(t gjson.Result) { c.tool(t, at) })
}

// tool takes a piece of a tool call. Pieces belong together by their index; a new
// id under a known index is a call of its own, as some gateways have it.
func (c *chatReply) tool(t gjson.Result, at Mark) {
	index, id := t.Get("index").Int(), t.Get("id").String()
	place := -1
	for i := range c.index {
		if c.index[i] == index && (id == "" || c.kept.tools[i].ID == "" || c.kept.tools[i].ID == id) {
			place = i
		}
	}
	f := t.Get("function")
	if place < 0 {
		c.close(at)
		if place = c.kept.call(t.Get("id"), f.Get("name"), at); place < 0 {
			return
		}
		c.index = append(c.index, index)
		c.open = true
	} else if call := &c.kept.tools[place]; call.Name == "" {
		call.Name = f.Get("name").String()
	}
	call := &c.kept.tools[place]
	arguments := f.Get("arguments")
	if arguments.Type == gjson.String {
		call.Arguments = c.kept.append(call.Arguments, arguments.String())
	} else if arguments.Exists() && arguments.Type != gjson.Null {
		call.Arguments = c.kept.append(call.Arguments, arguments.Raw)
	}
	call.Ended = at
}

// close ends the call that is open: another began, or the answer ended.
func (c *chatReply) close(at Mark) {
	if c.open {
		c.kept.tools[len(c.kept.tools)-1].Ended = at
		c.open = false
	}
}

func (c *chatReply) plain(v gjson.Result, at Mark) {
	c.top(v)
	m := v.Get("choices.0.message")
	if !m.IsObject() {
		return
	}
	c.message = c.kept.raw(m)
	each(m, "tool_calls", func(t gjson.Result) { c.tool(t, at) })
}

func (c *chatReply) output() [][]byte {
	if c.message != nil {
		return [][]byte{c.message}
	}
	if !c.began {
		return nil
	}
	b := []byte(`{"role":"assistant","content":`)
	if c.hasText && len(c.content) > 0 || len(c.kept.tools) == 0 {
		b = append(b, quoted(c.content)...)
	} else {
		b = append(b, "null"...)
	}
	if c.under != "" {
		b = append(appendString(append(b, ','), c.under), ':')
		b = append(b, quoted(c.reasoning)...)
	}
	for i, t := range c.kept.tools {
		if i == 0 {
			b = append(b, `,"tool_calls":[`...)
		} else {
			b = append(b, ',')
		}
		id := t.ID
		if id == "" {
			id = strconv.Itoa(i)
		}
		b = appendString(append(b, `{"id":`...), id)
		b = appendString(append(b, `,"type":"function","function":{"name":`...), t.Name)
		b = append(append(append(b, `,"arguments":`...), quoted(t.Arguments)...), "}}"...)
	}
	if len(c.kept.tools) > 0 {
		b = append(b, ']')
	}
	return [][]byte{append(b, '}')}
}
