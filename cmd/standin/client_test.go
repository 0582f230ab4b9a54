package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/capstan-bench/capstan/schema/wire"
)

// client is a harness that does what it is told: it keeps the conversation, and
// answers each tool call with the same text.
type client struct {
	*testing.T
	format  string
	send    func(path string, body []byte) (status int, answer []byte)
	stream  bool
	tools   string // declarations, in the dialect
	context [][]byte
}

const shellSchema = `{"type":"object","properties":{"command":{"type":"string"}},"required":["command"]}`

// declare wraps the declaration of a tool in the manner of the dialect.
func declare(format, name, schema string) string {
	return map[string]string{
		wire.FormatChat:      `{"type":"function","function":{"name":"` + name + `","parameters":` + schema + `}}`,
		wire.FormatMessages:  `{"name":"` + name + `","input_schema":` + schema + `}`,
		wire.FormatResponses: `{"type":"function","name":"` + name + `","parameters":` + schema + `}`,
		wire.FormatGemini:    `{"functionDeclarations":[{"name":"` + name + `","parametersJsonSchema":` + schema + `}]}`,
	}[format]
}

func newClient(t *testing.T, s *Server, format string, stream bool) *client {
	return &client{T: t, format: format, stream: stream, tools: declare(format, "shell", shellSchema), send: func(path string, body []byte) (int, []byte) {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body)))
		return w.Code, w.Body.Bytes()
	}}
}

// user adds what the user says.
func (c *client) user(text string) *client {
	element := `{"role":"user","content":` + literal(text) + `}`
	if c.format == wire.FormatGemini {
		element = `{"role":"user","parts":[{"text":` + literal(text) + `}]}`
	}
	c.context = append(c.context, []byte(element))
	return c
}

// request is the path and the body of the next request.
func (c *client) request() (path string, body []byte) {
	list := string(bytes.Join(c.context, []byte(",")))
	switch c.format {
	case wire.FormatChat:
		return "/v1/chat/completions", fmt.Appendf(nil, `{"model":"m","stream":%t,"messages":[%s],"tools":[%s]}`, c.stream, list, c.tools)
	case wire.FormatMessages:
		return "/s/1/v1/messages?beta=true", fmt.Appendf(nil, `{"model":"m","max_tokens":9,"stream":%t,"messages":[%s],"tools":[%s]}`, c.stream, list, c.tools)
	case wire.FormatResponses:
		return "/v1/responses", fmt.Appendf(nil, `{"model":"m","stream":%t,"input":[%s],"tools":[%s]}`, c.stream, list, c.tools)
	}
	path = "/v1beta/models/m:generateContent"
	if c.stream {
		path = "/v1beta/models/m:streamGenerateContent?alt=sse"
	}
	return path, fmt.Appendf(nil, `{"contents":[%s],"tools":[%s]}`, list, c.tools)
}

// turn asks for a turn, and takes it and the results of its calls into the
// conversation.
func (c *client) turn() wire.Reply {
	c.Helper()
	status, answer := c.send(c.request())
	if status != http.StatusOK {
		c.Fatalf("%s: status %d: %s", c.format, status, answer)
	}
	r := collect(c.T, c.format, answer)
	c.context = append(c.context, r.Output...)
	for _, call := range r.Tools {
		c.context = append(c.context, c.result(call))
	}
	return r
}

func collect(t *testing.T, format string, answer []byte) wire.Reply {
	t.Helper()
	collector, err := wire.NewCollector(format, wire.FrameAuto)
	if err != nil {
		t.Fatal(err)
	}
	if err := collector.Feed(answer, nil); err != nil {
		t.Fatalf("%s: %v in %s", format, err, answer)
	}
	if err := collector.End(nil); err != nil {
		t.Fatalf("%s: %v in %s", format, err, answer)
	}
	return collector.Reply()
}

func (c *client) result(call wire.ToolCall) []byte {
	switch c.format {
	case wire.FormatChat:
		return []byte(`{"role":"tool","tool_call_id":` + literal(call.ID) + `,"content":"ok"}`)
	case wire.FormatMessages:
		return []byte(`{"role":"user","content":[{"type":"tool_result","tool_use_id":` + literal(call.ID) + `,"content":"ok"}]}`)
	case wire.FormatResponses:
		return []byte(`{"type":"function_call_output","call_id":` + literal(call.ID) + `,"output":"ok"}`)
	}
	return []byte(`{"role":"user","parts":[{"functionResponse":{"id":` + literal(call.ID) + `,"name":` + literal(call.Name) + `,"response":{"output":"ok"}}}]}`)
}

// says is a turn in short: its text and the commands of its calls.
func says(t *testing.T, format string, r wire.Reply) string {
	t.Helper()
	var b strings.Builder
	for _, raw := range r.Output {
		if e, err := wire.ParseElement(format, raw); err == nil && e.Kind == wire.KindAssistant {
			b.WriteString(strings.Join(textsOf(raw), ""))
		}
	}
	for _, call := range r.Tools {
		var args struct{ Command string }
		if err := json.Unmarshal(call.Arguments, &args); err != nil {
			t.Errorf("arguments %s: %v", call.Arguments, err)
		}
		b.WriteString(" $" + args.Command)
	}
	return b.String()
}

// newTestServer serves a script.
func newTestServer(t *testing.T, script string) *Server {
	t.Helper()
	parsed, err := ParseScript([]byte(script))
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewServer(Config{Script: parsed})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func formats() []string {
	return []string{wire.FormatChat, wire.FormatMessages, wire.FormatResponses, wire.FormatGemini}
}
