package wire

import "errors"

// splitGemini cuts the system instruction, tools and contents out of a
// generateContent body, or out of the request in Code Assist's envelope.
func splitGemini(body []byte) (Layout, error) {
	p := newSplitter(body)
	p.space()
	found := p.gemini(true)
	l, err := p.close()
	if err == nil && !found {
		err = errors.New("no array named contents")
	}
	return l, err
}

// gemini takes the object at the position and says whether it has contents. Names
// come in both of protobuf's spellings.
func (p *splitter) gemini(top bool) (found bool) {
	p.open('{')
	for first := true; p.member(first); first = false {
		switch key, next := string(p.key), p.peek(); {
		case key == "contents" && next == '[':
			found = true
			p.array(geminiContent)
		case (key == "systemInstruction" || key == "system_instruction") && (next == '{' || next == '"'):
			p.value(systemBlock)
		case key == "tools" && next == '[':
			p.array(geminiTool)
		case (key == "request" || key == "generateContentRequest") && next == '{' && top:
			found = p.gemini(false) || found
		default:
			p.skip()
		}
	}
	return found
}

// geminiTool describes the element at the position and moves behind it. It is a
// list of declarations and has no name.
func geminiTool(s *scanner) Element {
	s.skip()
	return Element{Kind: KindTools}
}

// geminiContent describes the content at the position and moves behind it.
func geminiContent(s *scanner) Element {
	if s.peek() != '{' {
		s.skip()
		return Element{Kind: KindOther}
	}
	e := Element{Kind: KindUser} // a content without a role is the user's
	result := false
	s.open('{')
	for first := true; s.member(first); first = false {
		switch string(s.key) {
		case "role":
			e.Role, e.Kind = geminiRole(s)
		case "parts":
			e.ToolCallID, e.Name, result = functionResponse(s)
		default:
			s.skip()
		}
	}
	if result && e.Kind != KindAssistant {
		e.Kind = KindToolResult
	} else {
		e.ToolCallID, e.Name = "", ""
	}
	return e
}

func geminiRole(s *scanner) (role, kind string) {
	start := s.i
	s.skip()
	switch string(s.b[start:s.i]) {
	case `""`:
		return "", KindUser
	case `"user"`:
		return "user", KindUser
	case `"model"`:
		return "model", KindAssistant
	case `"function"`:
		return "function", KindToolResult
	case `"system"`:
		return "system", KindSystem
	}
	if s.err != nil {
		return "", KindOther
	}
	v := scanner{b: s.b[start:s.i]}
	return v.stringValue(), KindOther
}

// functionResponse moves behind the parts at the position and returns what its
// first function response says. Older clients send no ids.
func functionResponse(s *scanner) (id, name string, found bool) {
	if s.peek() != '[' {
		s.skip()
		return "", "", false
	}
	s.open('[')
	for first := true; s.item(first, ']'); first = false {
		if s.peek() != '{' {
			s.skip()
			continue
		}
		s.open('{')
		for first := true; s.member(first); first = false {
			if key := string(s.key); found || key != "functionResponse" && key != "function_response" || s.peek() != '{' {
				s.skip()
				continue
			}
			id, name = idAndName(s)
			found = true
		}
	}
	return id, name, found
}

func idAndName(s *scanner) (id, name string) {
	s.open('{')
	for first := true; s.member(first); first = false {
		switch string(s.key) {
		case "id":
			id = s.stringValue()
		case "name":
			name = s.stringValue()
		default:
			s.skip()
		}
	}
	return id, name
}
