package wire

import (
	"bytes"
	"encoding/json"

	"github.com/tidwall/gjson"
)

// messagesReply puts the message of an answer together from its blocks.
type messagesReply struct {
	kept   *kept
	began  bool
	blocks []*messagesBlock
}

// messagesBlock is a block as it started and what was added to it.
type messagesBlock struct {
	index                           int64
	start                           []byte
	text, thinking, signature, json []byte
	content                         []byte // of a summary
	citations                       []byte
	tool                            int // its place among the tool calls, or -1
}

func (m *messagesReply) event(v gjson.Result, at Mark) {
	switch v.Get("type").String() {
	case "message_start":
		m.message(v.Get("message"), at)
	case "content_block_start":
		m.start(v.Get("index").Int(), v.Get("content_block"), at)
	case "content_block_delta":
		if b := m.block(v.Get("index").Int()); b != nil {
			m.delta(b, v.Get("delta"))
		}
	case "content_block_stop":
		if b := m.block(v.Get("index").Int()); b != nil && b.tool >= 0 {
			m.kept.tools[b.tool].Ended = at
		}
	case "message_delta":
		m.use(v.Get("usage"))
	}
}

func (m *messagesReply) plain(v gjson.Result, at Mark) {
	if v.Get("content").IsArray() {
		m.message(v, at)
	}
}

func (m *messagesReply) message(v gjson.Result, at Mark) {
	m.began = true
	m.kept.names(v.Get("id"), v.Get("model"))
	m.use(v.Get("usage"))
	each(v, "content", func(b gjson.Result) { m.start(int64(len(m.blocks)), b, at) })
}

// use lays the counts that came over those that came before.
func (m *messagesReply) use(v gjson.Result) {
	if !v.IsObject() {
		return
	}
	if m.kept.usage == nil {
		m.kept.use(v)
		return
	}
	var set []Member
	for member, err := range Members([]byte(v.Raw)) {
		if err == nil && string(member.Value) != "null" {
			set = append(set, member)
		}
	}
	if merged := withMembers(m.kept.usage, set...); len(merged) <= maxUsage {
		m.kept.usage = merged
	}
}

func (m *messagesReply) start(index int64, block gjson.Result, at Mark) {
	if !block.IsObject() || !m.kept.take(entryCost) {
		return
	}
	b := &messagesBlock{index: index, start: m.kept.raw(block), tool: -1}
	if block.Get("type").String() == "tool_use" {
		b.tool = m.kept.call(block.Get("id"), block.Get("name"), at)
		if input := block.Get("input"); b.tool >= 0 && input.Raw != "{}" {
			m.kept.tools[b.tool].Arguments = m.kept.raw(input)
		}
	}
	m.blocks = append(m.blocks, b)
}

func (m *messagesReply) block(index int64) *messagesBlock {
	for i := len(m.blocks) - 1; i >= 0; i-- {
		if m.blocks[i].index == index {
			return m.blocks[i]
		}
	}
	return nil
}

func (m *messagesReply) delta(b *messagesBlock, d gjson.Result) {
	k := m.kept
	b.text = k.append(b.text, text(d.Get("text")))
	b.thinking = k.append(b.thinking, text(d.Get("thinking")))
	b.signature = k.append(b.signature, text(d.Get("signature")))
	b.content = k.append(b.content, text(d.Get("content")))
	if c := d.Get("citation"); c.IsObject() {
		if len(b.citations) > 0 {
			b.citations = append(b.citations, ',')
		}
		b.citations = k.append(b.citations, c.Raw)
	}
	if piece := text(d.Get("partial_json")); piece != "" {
		b.json = k.append(b.json, piece)
		if b.tool >= 0 {
			k.tools[b.tool].Arguments = b.json
		}
	}
}

// bytes is the block with what was added to it. Input that was cut is left as it
// started; clients send it as they parsed it, without white space.
func (b *messagesBlock) bytes() []byte {
	start := gjson.ParseBytes(b.start)
	var set []Member
	add := func(key string, text []byte) {
		if len(text) > 0 {
			set = append(set, Member{key, quoted(append([]byte(text0(start, key)), text...))})
		}
	}
	add("text", b.text)
	add("thinking", b.thinking)
	add("signature", b.signature)
	add("content", b.content)
	if len(b.citations) > 0 {
		set = append(set, Member{"citations", append(append([]byte{'['}, b.citations...), ']')})
	}
	var input bytes.Buffer
	if len(b.json) > 0 && json.Compact(&input, b.json) == nil {
		set = append(set, Member{"input", input.Bytes()})
	}
	if len(set) == 0 {
		return b.start
	}
	return withMembers(b.start, set...)
}

// text0 is the text that a block had at its start.
func text0(start gjson.Result, key string) string { return text(start.Get(key)) }

func (m *messagesReply) output() [][]byte {
	if !m.began && len(m.blocks) == 0 {
		return nil
	}
	out := []byte(`{"role":"assistant","content":[`)
	first := true
	for _, b := range m.blocks {
		if len(b.start) == 0 {
			continue // it did not fit
		}
		if !first {
			out = append(out, ',')
		}
		first = false
		out = append(out, b.bytes()...)
	}
	return [][]byte{append(out, "]}"...)}
}
