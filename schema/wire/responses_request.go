package wire

import (
	"errors"
	"strings"
)

// splitResponses cuts instructions, tools and input (text or items) out of a
// Responses body, or out of a response.create message of its WebSocket form.
func splitResponses(body []byte) (Layout, error) {
	p := newSplitter(body)
	p.space()
	found := p.responses(true)
	l, err := p.close()
	if err == nil && !found {
		err = errors.New("no input")
	}
	return l, err
}

// responses takes the object at the position and says whether it has an input. A
// message may wrap its request in a member named response.
func (p *splitter) responses(top bool) (found bool) {
	p.open('{')
	for first := true; p.member(first); first = false {
		switch key, next := string(p.key), p.peek(); {
		case key == "input" && next == '[':
			found = true
			p.array(responsesItem)
		case key == "input" && next == '"':
			found = true
			p.value(inputText)
		case key == "instructions" && next == '"':
			p.value(systemBlock)
		case key == "tools" && next == '[':
			p.array(namedTool)
		case key == "response" && next == '{' && top:
			found = p.responses(false) || found
		default:
			p.skip()
		}
	}
	return found
}

func inputText(s *scanner) Element {
	s.skip()
	return Element{Kind: KindUser}
}

// responsesItem describes the input item at the position and moves behind it.
func responsesItem(s *scanner) Element {
	if s.peek() != '{' {
		s.skip()
		return Element{Kind: KindOther}
	}
	var e Element
	var kind, byRole string
	s.open('{')
	for first := true; s.member(first); first = false {
		switch string(s.key) {
		case "type":
			kind = s.stringValue()
		case "role":
			e.Role, byRole = chatRole(s)
		case "call_id":
			e.ToolCallID = s.stringValue()
		case "name":
			e.Name = s.stringValue()
		default:
			s.skip()
		}
	}
	if e.Kind = itemKind(kind); e.Kind == "" {
		e.Kind = byRole
	}
	if e.Kind == "" {
		e.Kind = KindOther
	}
	if e.Kind != KindToolCall && e.Kind != KindToolResult {
		e.ToolCallID = ""
	}
	return e
}

// itemKind goes by the endings that all item types of tools share. It is "" for
// a message, whose role decides.
func itemKind(name string) string {
	switch {
	case name == "" || name == "message":
		return ""
	case name == "reasoning":
		return KindReasoning
	case strings.HasPrefix(name, "compaction"), strings.HasPrefix(name, "context_compaction"):
		return KindCompaction
	case strings.HasSuffix(name, "_output"):
		return KindToolResult
	case strings.HasSuffix(name, "_call"):
		return KindToolCall
	}
	return KindOther
}
