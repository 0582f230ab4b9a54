package wire

import "errors"

// splitMessages cuts the system prompt (text or blocks), tools and messages out of
// an Anthropic Messages body, wherever they stand in it.
func splitMessages(body []byte) (Layout, error) {
	p := newSplitter(body)
	p.space()
	p.open('{')
	found := false
	for first := true; p.member(first); first = false {
		switch key, next := string(p.key), p.peek(); {
		case key == "messages" && next == '[':
			found = true
			p.messages(messagesMessage)
		case key == "system" && next == '[':
			p.array(systemBlock)
		case key == "system" && next == '"':
			p.value(systemBlock)
		case key == "tools" && next == '[':
			p.array(namedTool)
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

// systemBlock describes a part of a system prompt that stands outside the messages.
func systemBlock(s *scanner) Element {
	s.skip()
	return Element{Kind: KindSystem}
}

// namedTool describes a tool definition that has its name at its top.
func namedTool(s *scanner) Element {
	e := Element{Kind: KindTools}
	if s.peek() != '{' {
		s.skip()
		return e
	}
	s.open('{')
	for first := true; s.member(first); first = false {
		if string(s.key) == "name" {
			e.Name = s.stringValue()
		} else {
			s.skip()
		}
	}
	return e
}

// messagesMessage describes the message at the position and moves behind it. A
// user's message that brings the result of a tool is a tool result.
func messagesMessage(s *scanner) Element {
	if s.peek() != '{' {
		s.skip()
		return Element{Kind: KindOther}
	}
	e := Element{Kind: KindOther}
	result := false
	s.open('{')
	for first := true; s.member(first); first = false {
		switch string(s.key) {
		case "role":
			e.Role, e.Kind = chatRole(s)
		case "content":
			e.ToolCallID, result = toolResult(s)
		default:
			s.skip()
		}
	}
	if result && e.Kind == KindUser {
		e.Kind = KindToolResult
	} else {
		e.ToolCallID = ""
	}
	return e
}

// toolResult moves behind the content at the position and returns the tool call
// that its first tool result names.
func toolResult(s *scanner) (id string, found bool) {
	if s.peek() != '[' {
		s.skip()
		return "", false
	}
	s.open('[')
	for first := true; s.item(first, ']'); first = false {
		if at, ok := resultBlock(s); ok && !found {
			id, found = at, true
		}
	}
	return id, found
}

func resultBlock(s *scanner) (id string, ok bool) {
	if s.peek() != '{' {
		s.skip()
		return "", false
	}
	s.open('{')
	for first := true; s.member(first); first = false {
		switch string(s.key) {
		case "type":
			start := s.i
			s.skip()
			ok = string(s.b[start:s.i]) == `"tool_result"`
		case "tool_use_id":
			id = s.stringValue()
		default:
			s.skip()
		}
	}
	return id, ok
}
