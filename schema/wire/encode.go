package wire

import (
	"fmt"
	"unicode/utf8"
)

// PartKind says what a part of a scripted answer is.
type PartKind uint8

// Kinds of parts.
const (
	PartText PartKind = iota
	PartReasoning
	PartTool
	PartCompaction // Responses only: stands for the context that was summarised
)

// Part is one part of a scripted answer.
type Part struct {
	Kind   PartKind
	Text   string // the text; of a tool call its arguments, which must be JSON unless Custom
	ID     string // of a tool call; Gemini goes without where it is ""
	Name   string // of the tool
	Custom bool   // Responses: a custom tool, which takes text

	// Namespace is the group in which a request of Responses declared the tool.
	Namespace string

	// Proof is the opaque text that a dialect wants back with a part: signature,
	// thoughtSignature or encrypted_content.
	Proof string
}

// Scripted is an answer to encode. What it says is the caller's: nothing is made up
// but the ids of items inside it.
type Scripted struct {
	ID      string
	Model   string
	Created int64 // seconds since 1970
	Parts   []Part
	Finish  string // in the dialect's words; "" is what fits the parts
	Usage   Usage
}

// Event is one event of a stream, or one message of a WebSocket.
type Event struct {
	Name string // of the event, "" in dialects that name none
	Data []byte
	Text int // bytes of the script's text that it brings, which pacing goes by
}

// AppendEvent appends an event with its framing as a server-sent event.
func AppendEvent(dst []byte, e Event) []byte {
	if e.Name != "" {
		dst = append(append(append(dst, "event: "...), e.Name...), '\n')
	}
	return append(append(append(dst, "data: "...), e.Data...), "\n\n"...)
}

// Events encodes an answer as the events of a stream. Text comes in pieces of at
// most piece bytes, cut between runes; 0 is one piece. The shapes are those that
// the agents' own clients insist on.
func Events(format string, a Scripted, piece int) ([]Event, error) {
	switch format {
	case FormatChat:
		return chatScript(a, piece), nil
	case FormatMessages:
		return messagesScript(a, piece), nil
	case FormatResponses:
		return responsesScript(a, piece), nil
	case FormatGemini:
		return geminiScript(a, piece), nil
	}
	return nil, fmt.Errorf("encode answer: %w", unknownFormat(format))
}

// AppendAnswer appends an answer in plain JSON.
func AppendAnswer(dst []byte, format string, a Scripted) ([]byte, error) {
	switch format {
	case FormatChat:
		return appendChatScripted(dst, a), nil
	case FormatMessages:
		return appendMessage(dst, a), nil
	case FormatResponses:
		return responsesWhole(dst, a, a.status(), true), nil
	case FormatGemini:
		return appendGemini(dst, a, geminiParts(nil, a.Parts, -1), a.finish("STOP", "STOP"), true), nil
	}
	return dst, fmt.Errorf("encode answer: %w", unknownFormat(format))
}

// finish is the script's finish reason, or the usual one.
func (a *Scripted) finish(usual, tools string) string {
	if a.Finish != "" {
		return a.Finish
	}
	for _, p := range a.Parts {
		if p.Kind == PartTool {
			return tools
		}
	}
	return usual
}

// pieces cuts text into pieces of at most n bytes between runes. An empty text is
// one empty piece.
func pieces(text string, n int) []string {
	if n <= 0 || len(text) <= n {
		return []string{text}
	}
	var out []string
	for len(text) > n {
		end := n
		for end > 0 && !utf8.RuneStart(text[end]) {
			end--
		}
		if end == 0 { // a rune longer than n
			_, end = utf8.DecodeRuneInString(text)
		}
		out = append(out, text[:end])
		text = text[end:]
	}
	if text != "" {
		out = append(out, text)
	}
	return out
}

// object appends a JSON object of members in the order given: name, value, name,
// value. A value is a string, a number, a bool, nil, or JSON as []byte.
func object(dst []byte, members ...any) []byte {
	dst = append(dst, '{')
	for i := 0; i+1 < len(members); i += 2 {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, members[i].(string)), ':')
		switch v := members[i+1].(type) {
		case string:
			dst = appendString(dst, v)
		case []byte:
			dst = append(dst, v...)
		case nil:
			dst = append(dst, "null"...)
		default: // numbers and bools
			dst = fmt.Append(dst, v)
		}
	}
	return append(dst, '}')
}

// array appends JSON texts as an array.
func array(dst []byte, elements ...[]byte) []byte {
	dst = append(dst, '[')
	for i, e := range elements {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, e...)
	}
	return append(dst, ']')
}

// arguments is the JSON of a tool call's arguments; none are an empty object.
func (p *Part) arguments() []byte {
	if p.Text == "" {
		return []byte("{}")
	}
	return []byte(p.Text)
}
