package wire

import (
	"strings"

	"github.com/tidwall/gjson"
)

// Link is a tool call, or the result of one, inside an element. The id ties them
// together across requests: whatever else a client rewrites, it gives back the ids
// that an answer issued. Gemini sends no ids unless the model gave some, so there
// the name and the order have to do.
type Link struct {
	Kind  string // KindToolCall or KindToolResult
	ID    string
	Name  string // of the tool, "" where a result does not repeat it
	Bytes int    // of the arguments, or of the result's text
	Error bool   // the result is marked as an error
}

// Links lists the tool calls and results of an element that [Split] found, in
// order. An element in another format has none.
func Links(format string, element []byte) []Link {
	v := gjson.ParseBytes(element)
	switch format {
	case FormatChat:
		return chatLinks(v)
	case FormatMessages:
		return messagesLinks(v)
	case FormatResponses:
		return responsesLinks(v)
	case FormatGemini:
		return geminiLinks(v)
	}
	return nil
}

func chatLinks(v gjson.Result) (out []Link) {
	each(v, "tool_calls", func(c gjson.Result) {
		f := c.Get("function")
		if !f.Exists() {
			f = c.Get("custom")
		}
		arguments := f.Get("arguments")
		if !arguments.Exists() {
			arguments = f.Get("input")
		}
		out = append(out, Link{Kind: KindToolCall, ID: c.Get("id").String(), Name: f.Get("name").String(), Bytes: textBytes(arguments)})
	})
	if v.Get("role").String() == "tool" {
		out = append(out, Link{
			Kind: KindToolResult, ID: v.Get("tool_call_id").String(), Name: v.Get("name").String(), Bytes: textBytes(v.Get("content")),
		})
	}
	return out
}

func messagesLinks(v gjson.Result) (out []Link) {
	each(v, "content", func(b gjson.Result) {
		switch b.Get("type").String() {
		case "tool_use":
			out = append(out, Link{Kind: KindToolCall, ID: b.Get("id").String(), Name: b.Get("name").String(), Bytes: len(b.Get("input").Raw)})
		case "tool_result":
			out = append(out, Link{
				Kind: KindToolResult, ID: b.Get("tool_use_id").String(), Bytes: textBytes(b.Get("content")), Error: b.Get("is_error").Bool(),
			})
		}
	})
	return out
}

func responsesLinks(v gjson.Result) []Link {
	if !v.IsObject() {
		return nil
	}
	l := Link{Kind: itemKind(v.Get("type").String()), ID: v.Get("call_id").String(), Name: v.Get("name").String()}
	switch l.Kind {
	case KindToolCall:
		for _, name := range []string{"arguments", "input", "action"} {
			l.Bytes = max(l.Bytes, textBytes(v.Get(name)))
		}
	case KindToolResult:
		l.Bytes = textBytes(v.Get("output"))
		l.Error = v.Get("status").String() == "failed"
	default:
		return nil
	}
	return []Link{l}
}

func geminiLinks(v gjson.Result) (out []Link) {
	each(v, "parts", func(p gjson.Result) {
		if c := spelled(p, "functionCall", "function_call"); c.IsObject() {
			out = append(out, Link{Kind: KindToolCall, ID: c.Get("id").String(), Name: c.Get("name").String(), Bytes: len(c.Get("args").Raw)})
		}
		if r := spelled(p, "functionResponse", "function_response"); r.IsObject() {
			response := r.Get("response")
			out = append(out, Link{
				Kind: KindToolResult, ID: r.Get("id").String(), Name: r.Get("name").String(),
				Bytes: textBytes(response), Error: response.Get("error").Exists(),
			})
		}
	})
	return out
}

// each calls f for the objects of the array of that name.
func each(v gjson.Result, name string, f func(gjson.Result)) {
	list := v.Get(name)
	if !list.IsArray() {
		return
	}
	list.ForEach(func(_, e gjson.Result) bool {
		if e.IsObject() {
			f(e)
		}
		return true
	})
}

// spelled is the member under either of protobuf's two spellings.
func spelled(v gjson.Result, camel, snake string) gjson.Result {
	if m := v.Get(camel); m.Exists() {
		return m
	}
	return v.Get(snake)
}

// textBytes is the length of a text, of the texts in parts, or of anything else as
// it stands.
func textBytes(v gjson.Result) int {
	switch {
	case v.Type == gjson.String:
		return len(v.String())
	case v.IsArray():
		n := 0
		v.ForEach(func(_, p gjson.Result) bool {
			switch t := p.Get("text"); {
			case t.Type == gjson.String:
				n += len(t.String())
			case p.Type == gjson.String:
				n += len(p.String())
			default:
				n += len(p.Raw)
			}
			return true
		})
		return n
	}
	return len(strings.TrimSpace(v.Raw))
}
