package wire

import (
	"bytes"
	"fmt"
	"iter"
)

// Formats, named as in the api_format column of the calls table.
const (
	FormatChat      = "openai.chat"        // OpenAI Chat Completions
	FormatResponses = "openai.responses"   // OpenAI Responses, over HTTP or WebSocket
	FormatMessages  = "anthropic.messages" // Anthropic Messages
	FormatGemini    = "gemini"             // Gemini generateContent, bare or in Code Assist's envelope
)

// Kinds of elements, named like the kinds of items in datasets.
const (
	KindSystem     = "system"
	KindTools      = "tools" // one tool definition
	KindUser       = "user"
	KindAssistant  = "assistant"
	KindReasoning  = "reasoning" // where it is an element of its own
	KindToolCall   = "tool_call" // where it is an element of its own
	KindToolResult = "tool_result"
	KindCompaction = "compaction" // stands for turns that were summarised
	KindOther      = "other"
)

// holeByte begins and ends a hole. JSON text never holds it raw: it is neither
// white space nor allowed inside a string.
const holeByte = 0x1e

// Layout is a request body taken apart. Envelope is the body with the elements of
// every array that makes up the context cut out; each cut leaves a hole, which is
// U+001E, the separator that stood between the elements (a comma and what white
// space was around it), and U+001E. Slots holds the elements, one slice a hole,
// in body order.
//
// An array whose separators are not all alike becomes one hole an element, with
// the separators left in the envelope: rare, but still exact.
type Layout struct {
	Envelope []byte
	Slots    [][]Element
}

// Element is one element of a context: a message, an item, a block of the system
// prompt or a tool definition.
type Element struct {
	Bytes      []byte // as sent; part of the body given to Split
	Kind       string // one of the Kind constants
	Role       string // as sent, or ""; a system prompt outside the messages has none
	ToolCallID string // of a tool result (the first, where it holds several) or of a tool call that is an element, or ""
	Name       string // of a tool, or the name member of a message, or ""

	// Bare is Bytes without the cache marks that clients move from element to
	// element, nil where it has none. Edits turn Bare into Bytes.
	Bare  []byte
	Edits []Edit

	// Flat is Bare with a string for a content that is one text part: some clients
	// make a part of a string only to mark it, others send parts all along, so an
	// element by itself does not show in which form it comes when the mark has
	// moved on. It is nil where the content is anything else, and where the element
	// shows its form since it came without marks in a request.
	Flat *Form
}

// Form is another form of an element. Edits turn Bytes into the element's.
type Form struct {
	Bytes []byte
	Edits []Edit
}

// Edit replaces Del bytes at byte Off by Ins. Edits of one text stand in
// ascending Off without overlap, and Off counts in the text before any edit.
type Edit struct {
	Off, Del int
	Ins      string
}

// Split takes a request body of the named format apart. The elements share the
// body's memory. The error is a [*SyntaxError] (wrapped) where the body is no
// JSON; a body without the format's main array is an error too.
func Split(format string, body []byte) (Layout, error) {
	var split func([]byte) (Layout, error)
	switch format {
	case FormatChat:
		split = splitChat
	case FormatMessages:
		split = splitMessages
	case FormatResponses:
		split = splitResponses
	case FormatGemini:
		split = splitGemini
	default:
		return Layout{}, fmt.Errorf("split body: %w", unknownFormat(format))
	}
	l, err := split(body)
	if err != nil {
		return Layout{}, fmt.Errorf("split %s body: %w", format, err)
	}
	return l, nil
}

// Known says whether the package knows a format.
func Known(format string) bool {
	switch format {
	case FormatChat, FormatMessages, FormatResponses, FormatGemini:
		return true
	}
	return false
}

func unknownFormat(format string) error {
	return fmt.Errorf("unknown format %q, want %q, %q, %q or %q", format, FormatChat, FormatMessages, FormatResponses, FormatGemini)
}

// ParseElement describes one message or item that stands alone, such as the
// message of an answer as the next request will carry it.
func ParseElement(format string, raw []byte) (Element, error) {
	var parse func(*scanner) Element
	switch format {
	case FormatChat:
		parse = chatMessage
	case FormatMessages:
		parse = messagesMessage
	case FormatResponses:
		parse = responsesItem
	case FormatGemini:
		parse = geminiContent
	default:
		return Element{}, fmt.Errorf("parse element: %w", unknownFormat(format))
	}
	s := scanner{b: raw}
	e := parse(&s)
	if s.err == nil && s.i < len(raw) {
		s.fail(s.i, "text after the element")
	}
	if s.err != nil {
		return Element{}, fmt.Errorf("parse element: %w", s.err)
	}
	e.Bytes = raw
	e.Bare, e.Edits = stripMarks(raw)
	if format == FormatMessages || format == FormatChat {
		e.Flat = flatten(raw)
	}
	return e, nil
}

// Hole is one hole of an envelope: envelope[Start:End], U+001E included.
type Hole struct {
	Start, End int
	Sep        []byte // goes between the elements; part of the envelope
}

// NextHole finds the first hole at or after from. ok is false where there is
// none; a hole without an end is an error.
func NextHole(envelope []byte, from int) (h Hole, ok bool, err error) {
	n := bytes.IndexByte(envelope[from:], holeByte)
	if n < 0 {
		return Hole{}, false, nil
	}
	start := from + n
	n = bytes.IndexByte(envelope[start+1:], holeByte)
	if n < 0 {
		return Hole{}, false, fmt.Errorf("read envelope: hole at byte %d has no end", start)
	}
	end := start + 1 + n
	return Hole{Start: start, End: end + 1, Sep: envelope[start+1 : end]}, true, nil
}

// Join appends the body whose envelope is given and whose hole number i takes the
// elements of slot(i), and returns the extended slice. It undoes [Split].
func Join(dst, envelope []byte, slot func(i int) iter.Seq[[]byte]) ([]byte, error) {
	from := 0
	for i := 0; ; i++ {
		h, ok, err := NextHole(envelope, from)
		if err != nil {
			return dst, err
		}
		if !ok {
			return append(dst, envelope[from:]...), nil
		}
		dst = append(dst, envelope[from:h.Start]...)
		first := true
		for element := range slot(i) {
			if !first {
				dst = append(dst, h.Sep...)
			}
			first = false
			dst = append(dst, element...)
		}
		from = h.End
	}
}

// Join appends the body that l was split from.
func (l *Layout) Join(dst []byte) ([]byte, error) {
	return Join(dst, l.Envelope, func(i int) iter.Seq[[]byte] {
		return func(yield func([]byte) bool) {
			if i >= len(l.Slots) {
				return
			}
			for _, e := range l.Slots[i] {
				if !yield(e.Bytes) {
					return
				}
			}
		}
	})
}
