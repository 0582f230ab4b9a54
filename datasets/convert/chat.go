package convert

import (
	"bytes"
	"encoding/json"

	"github.com/capstan-bench/capstan/schema/wire"
)

// chatMessage is a message of Chat Completions.
type chatMessage struct {
	Role       string     `json:"role"`
	Content    *string    `json:"content"`
	Reasoning  string     `json:"reasoning_content,omitempty"`
	ToolCalls  []chatTool `json:"tool_calls,omitempty"`
	ToolCallID string     `json:"tool_call_id,omitempty"`
}

type chatTool struct {
	ID       string       `json:"id"`
	Type     string       `json:"type"`
	Function chatFunction `json:"function"`
}

type chatFunction struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"` // JSON
}

// encodeJSON encodes v the way chat clients do: no escapes that JSON does not
// ask for, no white space.
func encodeJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("convert: internal error: " + err.Error()) // the types above always encode
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// element encodes a message as an element of a context.
func (m *chatMessage) element() wire.Element {
	kinds := map[string]string{
		"system": wire.KindSystem, "user": wire.KindUser,
		"assistant": wire.KindAssistant, "tool": wire.KindToolResult,
	}
	return wire.Element{
		Bytes: encodeJSON(m), Kind: kinds[m.Role], Role: m.Role, ToolCallID: m.ToolCallID,
	}
}

// texts calls do with every text of the message that a model reads.
func (m *chatMessage) texts(do func(string)) {
	if m.Content != nil {
		do(*m.Content)
	}
	do(m.Reasoning)
	for _, t := range m.ToolCalls {
		do(t.Function.Name)
		do(t.Function.Arguments)
	}
}
