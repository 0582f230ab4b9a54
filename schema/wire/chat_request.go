package wire

import (
	"errors"
	"fmt"
	"iter"
)

// splitChat cuts the arrays messages and tools out of a Chat Completions body.
// Where tools is null or absent it has no slot.
func splitChat(body []byte) (Layout, error) {
	p := newSplitter(body)
	p.space()
	p.open('{')
	found := false
	for first := true; p.member(first); first = false {
		switch key := string(p.key); {
		case key == "messages" && p.peek() == '[':
			found = true
			p.messages(chatMessage)
		case key == "tools" && p.peek() == '[':
			p.array(chatTool)
		default:
			p.skip()
		}
	}
	l, err := p.close()
	if err == nil && !found {
		err = errors.New("no array named messages")
	}
	return l, err
}

// chatMessage describes the message at the position and moves behind it.
func chatMessage(s *scanner) Element {
	if s.peek() != '{' {
		s.skip()
		return Element{Kind: KindOther}
	}
	var e Element
	s.open('{')
	for first := true; s.member(first); first = false {
		switch string(s.key) {
		case "role":
			e.Role, e.Kind = chatRole(s)
		case "tool_call_id":
			e.ToolCallID = s.stringValue()
		case "name":
			e.Name = s.stringValue()
		default:
			s.skip()
		}
	}
	if e.Kind == "" {
		e.Kind = KindOther
	}
	return e
}

// chatRole reads a role; the known ones cost no allocation.
func chatRole(s *scanner) (role, kind string) {
	start := s.i
	s.skip()
	switch string(s.b[start:s.i]) {
	case `"system"`:
		return "system", KindSystem
	case `"developer"`:
		return "developer", KindSystem
	case `"user"`:
		return "user", KindUser
	case `"assistant"`:
		return "assistant", KindAssistant
	case `"tool"`:
		return "tool", KindToolResult
	case `"function"`:
		return "function", KindToolResult
	}
	if s.err != nil {
		return "", KindOther
	}
	v := scanner{b: s.b[start:s.i]}
	return v.stringValue(), KindOther
}

// chatTool describes the tool definition at the position and moves behind it.
func chatTool(s *scanner) Element {
	e := Element{Kind: KindTools}
	if s.peek() != '{' {
		s.skip()
		return e
	}
	s.open('{')
	for first := true; s.member(first); first = false {
		if string(s.key) != "function" || s.peek() != '{' {
			s.skip()
			continue
		}
		s.open('{')
		for first := true; s.member(first); first = false {
			if string(s.key) == "name" {
				e.Name = s.stringValue()
			} else {
				s.skip()
			}
		}
	}
	return e
}

// SaltPoint is the offset just after the opening quote of the first text of a
// message: of its content where that is a string, else of the text member of the
// first part that has one (in any dialect), else of its own text member. Text
// without quotes, backslashes and control characters can be put there. ok is
// false where the message has no text.
func SaltPoint(element []byte) (off int, ok bool) {
	s := scanner{b: element}
	s.space()
	off = s.textPoint()
	return off, off > 0
}

// textPoint looks for text in the message, or part, at the position and moves
// behind it. It returns 0 where there is none.
func (s *scanner) textPoint() int {
	own, inner := 0, 0
	switch s.peek() {
	case '"':
		own = s.i + 1
		s.skip()
	case '{':
		s.open('{')
		for first := true; s.member(first); first = false {
			switch key := string(s.key); {
			case key == "content":
				inner = s.firstText()
			case key == "text" && s.peek() == '"':
				own = s.i + 1
				s.skip()
			default:
				s.skip()
			}
		}
	default:
		s.skip()
	}
	switch {
	case s.err != nil:
		return 0
	case inner > 0:
		return inner
	}
	return own
}

// firstText is textPoint for a content: a string or an array of parts.
func (s *scanner) firstText() int {
	if s.peek() != '[' {
		return s.textPoint()
	}
	s.open('[')
	found := 0
	for first := true; s.item(first, ']'); first = false {
		if at := s.textPoint(); found == 0 {
			found = at
		}
	}
	return found
}

// Members walks the members of a JSON object, or of an envelope, in order: each
// key decoded, each value as it stands. The bytes are part of object. It stops
// with an error where object breaks.
func Members(object []byte) iter.Seq2[Member, error] {
	return func(yield func(Member, error) bool) {
		s := scanner{b: object, hole: true}
		s.space()
		s.open('{')
		for first := true; s.member(first); first = false {
			key, start := string(s.key), s.i
			if s.skip() && !yield(Member{Key: key, Value: object[start:s.i]}, nil) {
				return
			}
		}
		if s.err != nil {
			yield(Member{}, fmt.Errorf("read members: %w", s.err))
		}
	}
}

// Member is one member of a JSON object.
type Member struct {
	Key   string
	Value []byte
}

// ChatParams is what a simulated server needs of a request besides its context.
type ChatParams struct {
	Model        string
	Stream       bool
	IncludeUsage bool  // stream_options.include_usage
	MaxTokens    int64 // max_completion_tokens, else max_tokens; 0: not given
	MinTokens    int64 // 0: not given
	IgnoreEOS    bool
}

// ParseChatParams reads the parameters from a body or from the envelope that
// [Split] made of it.
func ParseChatParams(envelope []byte) (ChatParams, error) {
	var p ChatParams
	var completion int64
	for m, err := range Members(envelope) {
		if err != nil {
			return ChatParams{}, err
		}
		v := scanner{b: m.Value}
		switch m.Key {
		case "model":
			p.Model = v.stringValue()
		case "stream":
			p.Stream = string(m.Value) == "true"
		case "stream_options":
			p.IncludeUsage = includeUsage(m.Value)
		case "max_completion_tokens":
			completion, _ = v.intValue()
		case "max_tokens":
			p.MaxTokens, _ = v.intValue()
		case "min_tokens":
			p.MinTokens, _ = v.intValue()
		case "ignore_eos":
			p.IgnoreEOS = string(m.Value) == "true"
		}
	}
	if completion > 0 {
		p.MaxTokens = completion
	}
	return p, nil
}

func includeUsage(options []byte) bool {
	for m, err := range Members(options) {
		if err == nil && m.Key == "include_usage" {
			return string(m.Value) == "true"
		}
	}
	return false
}
