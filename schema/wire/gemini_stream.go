package wire

import "errors"

// geminiEvents is the dialect of Gemini: each event is a whole answer with the
// parts that are new and the usage so far. Code Assist wraps each in a response
// member. There is no end mark.
type geminiEvents struct {
	usage Usage
	ended bool // a finish reason came
}

// geminiFound is what an event holds.
type geminiFound struct {
	sum      Delta
	finish   []byte
	hasUsage bool
	answer   bool // it has candidates, feedback on the prompt or usage
	failed   bool
}

func (g *geminiEvents) reset() { g.ended = false }

func (g *geminiEvents) end(emit func(Delta)) {
	if g.ended {
		emit(Delta{Done: true})
	}
}

func (g *geminiEvents) event(data []byte, emit func(Delta)) error {
	var f geminiFound
	s := scanner{b: data}
	s.space()
	g.read(&s, &f, true)
	if err := s.whole("stream event"); err != nil {
		return err
	}
	g.emit(data, &f, emit)
	return nil
}

func (g *geminiEvents) emit(data []byte, f *geminiFound, emit func(Delta)) {
	d := f.sum
	d.Finish = word(f.finish)
	if f.hasUsage {
		d.Usage = &g.usage
	}
	if f.failed {
		d.Err = streamError(data)
	}
	g.ended = g.ended || d.Finish != ""
	if d.Bytes > 0 || d.Finish != "" || d.Usage != nil || d.Err != "" {
		emit(d)
	}
}

func (g *geminiEvents) plain(body []byte, emit func(Delta)) error {
	var f geminiFound
	s := scanner{b: body}
	s.space()
	g.read(&s, &f, true)
	if err := s.whole("answer"); err != nil {
		return err
	}
	if !f.answer && !f.failed {
		return errors.New("decode answer: no candidates")
	}
	g.emit(body, &f, emit)
	if !f.failed {
		emit(Delta{Done: true})
	}
	return nil
}

func (g *geminiEvents) read(s *scanner, f *geminiFound, top bool) {
	s.open('{')
	for first := true; s.member(first); first = false {
		switch key := string(s.key); {
		case key == "candidates":
			f.answer = true
			f.candidates(s)
		case key == "usageMetadata":
			f.answer = true
			f.hasUsage = geminiUsage(s, &g.usage) || f.hasUsage
		case key == "promptFeedback":
			f.answer = true
			f.feedback(s)
		case key == "error":
			f.failed = f.failed || s.peek() == '{'
			s.skip()
		case key == "response" && top && s.peek() == '{':
			g.read(s, f, false)
		default:
			s.skip()
		}
	}
}

func (f *geminiFound) candidates(s *scanner) {
	if s.peek() != '[' {
		s.skip()
		return
	}
	s.open('[')
	for first := true; s.item(first, ']'); first = false {
		if s.peek() != '{' {
			s.skip()
			continue
		}
		s.open('{')
		for first := true; s.member(first); first = false {
			switch string(s.key) {
			case "content":
				f.content(s)
			case "finishReason":
				f.ends(s)
			default:
				s.skip()
			}
		}
	}
}

func (f *geminiFound) ends(s *scanner) {
	reason := s.take()
	if len(reason) > 2 && reason[0] == '"' && string(reason) != `"FINISH_REASON_UNSPECIFIED"` {
		f.finish = reason
	}
}

// feedback takes the reason for which a prompt was refused: the answer ends with it.
func (f *geminiFound) feedback(s *scanner) {
	if s.peek() != '{' {
		s.skip()
		return
	}
	s.open('{')
	for first := true; s.member(first); first = false {
		if string(s.key) == "blockReason" {
			f.ends(s)
		} else {
			s.skip()
		}
	}
}

func (f *geminiFound) content(s *scanner) {
	if s.peek() != '{' {
		s.skip()
		return
	}
	s.open('{')
	for first := true; s.member(first); first = false {
		if string(s.key) != "parts" || s.peek() != '[' {
			s.skip()
			continue
		}
		s.open('[')
		for first := true; s.item(first, ']'); first = false {
			f.part(s)
		}
	}
}

func (f *geminiFound) part(s *scanner) {
	if s.peek() != '{' {
		s.skip()
		return
	}
	text, thought := 0, false
	s.open('{')
	for first := true; s.member(first); first = false {
		switch string(s.key) {
		case "text":
			text += length(s.take())
		case "thought":
			thought = string(s.take()) == "true"
		case "functionCall":
			f.sum.add(textDelta(textTool, callText(s)))
		case "executableCode":
			f.sum.add(textDelta(textTool, codeText(s)))
		default:
			s.skip()
		}
	}
	kind := textContent
	if thought {
		kind = textReasoning
	}
	f.sum.add(textDelta(kind, text))
}

// callText counts the name and the arguments of a function call as they stand.
func callText(s *scanner) (n int) {
	if s.peek() != '{' {
		s.skip()
		return 0
	}
	s.open('{')
	for first := true; s.member(first); first = false {
		switch string(s.key) {
		case "name":
			n += length(s.take())
		case "args":
			n += len(s.take())
		default:
			s.skip()
		}
	}
	return n
}

func codeText(s *scanner) (n int) {
	if s.peek() != '{' {
		s.skip()
		return 0
	}
	s.open('{')
	for first := true; s.member(first); first = false {
		if string(s.key) == "code" {
			n += length(s.take())
		} else {
			s.skip()
		}
	}
	return n
}
