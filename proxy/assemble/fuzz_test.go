package assemble_test

import (
	"testing"
	"time"

	"github.com/capstan-bench/capstan/proxy/assemble"
	"github.com/capstan-bench/capstan/proxy/journal"
)

// choices turns arbitrary bytes into choices. When they are used up, it chooses
// the first of everything.
type choices struct{ b []byte }

func (c *choices) n(most int) int {
	if len(c.b) == 0 {
		return 0
	}
	v := int(c.b[0]) % most
	c.b = c.b[1:]
	return v
}

func (c *choices) of(list ...string) string { return list[c.n(len(list))] }

// raw takes up to 31 bytes as they stand.
func (c *choices) raw() string {
	n := min(c.n(32), len(c.b))
	s := string(c.b[:n])
	c.b = c.b[n:]
	return s
}

// at is an instant, often the same as another.
func (c *choices) at() time.Duration {
	if c.n(9) == 8 {
		return time.Duration(int8(c.n(256))) << 55
	}
	return time.Duration(c.n(40)) * time.Millisecond
}

func (c *choices) element() string {
	return c.of(
		`{"role":"user","content":"a prompt of some length"}`,
		`{"role":"user","content":[{"type":"text","text":"a prompt of some length","cache_control":{"type":"ephemeral"}}]}`,
		`{"role":"assistant","content":"an answer of more than twenty-four bytes"}`,
		`{"role":"user","content":"an answer of more than twenty-four bytes"}`,
		`{"role":"assistant","tool_calls":[{"id":"t1","function":{"name":"task","arguments":"{}"}}]}`,
		`{"role":"tool","tool_call_id":"t1","content":"r"}`,
		`{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"r"}]}`,
		`{"role":"system","content":"s"}`, `"text"`, `1`, `{"type":"function_call_output","call_id":"t1","output":""}`,
		`{"type":"compaction_trigger"}`, `{"parts":[{"functionResponse":{"name":"task","response":{}}}]}`, `{}`, `{"role":"user","content":"`+"\x1e"+`"}`,
		c.raw(),
	)
}

func (c *choices) body() string {
	if c.n(8) == 7 {
		return c.raw()
	}
	list := ""
	for i := c.n(6); i > 0; i-- {
		if list != "" {
			list += ","
		}
		list += c.element()
	}
	return `{` + c.of("", `"type":"response.create",`) + c.of("", `"model":"m",`, `"model":"n",`, `"model":1,`) +
		c.of("", `"max_tokens":1,`, `"generate":false,`, `"temperature":1e400,`, `"stream":true,`) +
		c.of("", `"previous_response_id":"a1",`, `"previous_response_id":"a2",`, `"prompt_cache_key":"0123456789abcdef",`) +
		c.of("", `"metadata":{"user_id":"u_session_s1"},`, `"metadata":{"sessionId":"s1","promptId":"s1#kind-t1#0"},`, `"client_metadata":{"thread_id":"x","session_id":"s1"},`) +
		c.of(`"messages"`, `"input"`, `"contents"`) + `:[` + list + `]` + c.of("", `,"tools":[{"name":"task"}]`, `,"tools":[]`, `,"system":"s"`) + `}`
}

func (c *choices) answer() string {
	id := c.of("a1", "a2", "")
	return c.of("",
		`{"id":"`+id+`","choices":[{"message":{"role":"assistant","content":"an answer of more than twenty-four bytes"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9223372036854775807,"completion_tokens":-5}}`,
		"data: {\"id\":\""+id+"\",\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t1\",\"function\":{\"name\":\"task\",\"arguments\":\"{\\\"p\\\":\\\"a prompt of some length\\\"}\"}}]}}]}\n\ndata: [DONE]\n\n",
		`{"id":"`+id+`","role":"assistant","content":[{"type":"tool_use","id":"t1","name":"task","input":{"p":"a prompt of some length"}}],"stop_reason":"tool_use"}`,
		`{"type":"response.completed","response":{"id":"`+id+`","output":[{"type":"function_call","call_id":"t1","name":"task","arguments":"{}"},{"type":"message","role":"assistant","content":[]}]}}`,
		`{"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"name":"task","args":{}}}]},"finishReason":"STOP"}]}`,
		`{"input_tokens":-1}`, "data: {\"type\":\"error\",\"error\":{\"type\":\"\xff\"}}\n\n", "\xff\xfe", c.raw(),
	)
}

func (c *choices) exchange() *journal.Exchange {
	x := &journal.Exchange{Finished: c.n(5) != 4}
	x.Flow = journal.Flow{
		ID: c.of("", "x", "y", c.raw()), Session: c.of("", "", "tag", "tag\x00\n", c.raw()), Client: c.of("", "1.2.3.4:5", "[::1]:6", c.raw()),
		Kind: journal.Kind(c.n(2)), At: c.at(), Host: c.raw(), Harness: c.of("", "h", "\xff"),
	}
	if c.n(6) > 0 {
		x.Flow.Started = epoch.Add(c.at())
	}
	target := c.of("/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1beta/models/m:generateContent", "/v1/messages/count_tokens", "/v1/responses/compact", "/x")
	h := journal.Head{Line: c.of("POST "+target+" HTTP/1.1", "GET "+target+" HTTP/1.1", c.raw())}
	for i := c.n(5); i > 0; i-- {
		h.Fields = append(h.Fields, journal.Field{
			Name: c.of("X-Claude-Code-Session-Id", "X-Claude-Code-Agent-Id", "X-Claude-Code-Parent-Agent-Id", "X-Claude-Code-Request-Class", "Session-Id", "Thread-Id",
				"X-Codex-Parent-Thread-Id", "X-Openai-Subagent", "X-Codex-Turn-Metadata", "X-Session-Id", "X-Session-Affinity", "X-Parent-Session-Id", "X-Stainless-Retry-Count",
				"X-Interaction-Type", "X-Claude-Code-Prev-Tool-Durations", "User-Agent", c.raw()),
			Value: c.of("s1", "s2", "1", "main", "compaction", "auxiliary", "conversation-subagent", "task=3,task=4", `{"request_kind":"prewarm","thread_id":"s2"}`, c.raw()),
		})
	}
	if c.n(12) > 0 {
		x.Request.Heads = []journal.HeadAt{{Head: h, At: c.at()}}
	}
	c.side(&x.Request, c.body())
	if c.n(6) > 0 {
		x.Response.Heads = []journal.HeadAt{{Head: journal.Head{Line: c.of("HTTP/1.1 200 OK", "HTTP/1.1 529 x", "HTTP/1.1 101 x", c.raw())}, At: c.at()}}
	}
	c.side(&x.Response, c.answer())
	if x.Finished {
		x.End = journal.End{At: c.at(), Outcome: journal.Outcome(c.n(7)), Err: c.raw()}
	}
	x.Loss.Bytes[c.n(2)] = int64(c.n(3))
	return x
}

// side gives a direction its body. The reads need not agree with it.
func (c *choices) side(s *journal.Side, body string) {
	s.Body = []byte(body)
	for i := c.n(5); i > 0; i-- {
		s.Reads = append(s.Reads, journal.Read{At: c.at(), Wire: c.n(9), Plain: c.n(200) - 1})
	}
	if c.n(3) > 0 {
		s.Reads = append(s.Reads, journal.Read{At: c.at(), Plain: len(body)})
	}
}

// FuzzAssemble: whatever exchanges say, sessions come of them that contradict
// nothing, all bodies can be rebuilt, nothing is dropped uncounted, and the order
// in which they are added does not matter.
func FuzzAssemble(f *testing.F) {
	f.Add([]byte{})
	for seed := range byte(40) {
		b := make([]byte, 600)
		state := uint32(seed) + 1
		for i := range b {
			state = state*1664525 + 1013904223
			b[i] = byte(state >> 24)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c := &choices{b}
		var list, back []*journal.Exchange
		for len(c.b) > 0 && len(list) < 40 {
			x := c.exchange()
			list, back = append(list, x), append([]*journal.Exchange{x}, back...)
		}
		sessions, r := pack(t, list, assemble.Config{Count: func(b []byte) int { return len(b) }})
		sound(t, sessions, r)
		again, _ := pack(t, back, assemble.Config{})
		if len(again) != len(sessions) {
			t.Errorf("%d sessions, in another order %d", len(sessions), len(again))
		}
	})
}
