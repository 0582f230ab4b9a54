package wire

// textKind says what a piece of an answer's text is.
type textKind uint8

const (
	textContent textKind = iota
	textReasoning
	textTool
)

// chatFound collects what an event of a stream, or a plain answer, holds.
type chatFound struct {
	bytes [3]int // of text by kind

	pieces     int // of text that are not empty
	start, end int // the inside of the latest of them, quotes left out
	kind       textKind

	finish   string
	usage    Usage
	hasUsage bool
	choices  bool
	failed   bool   // the system sent an error
	message  []byte // of the first choice
}

func (f *chatFound) delta() Delta {
	d := Delta{
		Bytes:     f.bytes[textContent] + f.bytes[textReasoning] + f.bytes[textTool],
		Reasoning: f.bytes[textReasoning],
		Tool:      f.bytes[textTool],
		Finish:    f.finish,
	}
	return d
}

// top takes the members that chunks and plain answers share, and the errors that
// stand in the place of either: an error member, or a message without choices.
func (f *chatFound) top(s *scanner, holder string) {
	message := false
	s.open('{')
	for first := true; s.member(first); first = false {
		switch string(s.key) {
		case "choices":
			f.choices = true
			f.choice(s, holder)
		case "usage":
			f.use(s)
		case "error":
			f.failed = f.failed || s.peek() != 'n'
			s.skip()
		case "message":
			message = s.peek() == '"'
			s.skip()
		default:
			s.skip()
		}
	}
	f.failed = f.failed || message && !f.choices
}

func (f *chatFound) use(s *scanner) {
	var u Usage
	if chatUsage(s, &u) {
		f.usage, f.hasUsage = u, true
	}
}

// choice takes the array of choices; holder names the member with the text.
func (f *chatFound) choice(s *scanner, holder string) {
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
			switch key := string(s.key); {
			case key == holder:
				start := s.i
				f.parts(s)
				if f.message == nil {
					f.message = s.b[start:s.i]
				}
			case key == "finish_reason":
				f.ended(s)
			case key == "usage": // Kimi
				f.use(s)
			default:
				s.skip()
			}
		}
	}
}

// ended reads a finish reason; the usual ones cost no allocation.
func (f *chatFound) ended(s *scanner) {
	start := s.i
	s.skip()
	switch string(s.b[start:s.i]) {
	case "null", `""`:
	case `"stop"`:
		f.finish = "stop"
	case `"length"`:
		f.finish = "length"
	case `"tool_calls"`:
		f.finish = "tool_calls"
	default:
		v := scanner{b: s.b[start:s.i]}
		f.finish = v.stringValue()
	}
}

// parts takes a delta or a message.
func (f *chatFound) parts(s *scanner) {
	if s.peek() != '{' {
		s.skip()
		return
	}
	sum, longest := f.bytes[textReasoning], 0
	s.open('{')
	for first := true; s.member(first); first = false {
		switch string(s.key) {
		case "content", "refusal":
			f.text(s, textContent)
		case "reasoning", "reasoning_content":
			// Some servers send the same text under both names: it counts once.
			f.bytes[textReasoning] = 0
			f.text(s, textReasoning)
			longest = max(longest, f.bytes[textReasoning])
			f.bytes[textReasoning] = sum + longest
		case "tool_calls":
			f.toolCalls(s)
		case "function_call":
			f.function(s)
		default:
			s.skip()
		}
	}
}

// text takes a string, or an array of parts that hold strings. Anything else
// counts nothing.
func (f *chatFound) text(s *scanner, kind textKind) {
	switch s.peek() {
	case '"':
		start := s.i + 1
		if n := s.text(); n > 0 {
			f.bytes[kind] += n
			f.pieces++
			f.start, f.end, f.kind = start, s.i-1, kind
		}
	case '[':
		s.open('[')
		for first := true; s.item(first, ']'); first = false {
			f.part(s, kind)
		}
	default:
		s.skip()
	}
}

func (f *chatFound) part(s *scanner, kind textKind) {
	if s.peek() != '{' {
		s.skip()
		return
	}
	s.open('{')
	for first := true; s.member(first); first = false {
		switch string(s.key) {
		case "text", "refusal":
			f.text(s, kind)
		case "thinking":
			f.text(s, textReasoning)
		default:
			s.skip()
		}
	}
}

func (f *chatFound) toolCalls(s *scanner) {
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
			if string(s.key) == "function" {
				f.function(s)
			} else {
				s.skip()
			}
		}
	}
}

// function takes a name and arguments. Arguments that are no string count as
// they stand.
func (f *chatFound) function(s *scanner) {
	if s.peek() != '{' {
		s.skip()
		return
	}
	s.open('{')
	for first := true; s.member(first); first = false {
		key := string(s.key)
		switch {
		case key != "name" && key != "arguments":
			s.skip()
		case s.peek() == '{':
			start := s.i
			s.skip()
			f.bytes[textTool] += s.i - start
			f.pieces += 2 // a shape with this would not be one string
		default:
			f.text(s, textTool)
		}
	}
}
