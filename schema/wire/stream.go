package wire

import "fmt"

// Stream decodes one answer, fed in any pieces. It keeps nothing of what it is
// fed, and at most a few times [MaxLine] bytes of a stream, or [MaxPlain] of a
// plain answer. A broken event ends it: this and every later call returns the error.
//
// Nothing of an answer follows a Delta with Done or Err. In Gemini's dialect, which
// has no end mark, Done comes from End where a finish reason came before.
type Stream interface {
	// Feed decodes the next bytes and calls emit for each event that brings
	// something. With [FrameMessages], each call takes one whole message.
	Feed(p []byte, emit func(Delta)) error
	// End takes the end of the bytes. A plain answer is decoded here.
	End(emit func(Delta)) error
	// Reset makes the stream ready for another answer and keeps its buffers.
	Reset()
}

var _ Stream = (*ChatStream)(nil)

// NewStream returns a decoder for answers in the named format.
func NewStream(format string, framing Framing) (Stream, error) {
	var d dialect
	switch format {
	case FormatChat:
		d = &chatEvents{}
	case FormatMessages:
		d = &messagesEvents{}
	case FormatResponses:
		d = &responsesEvents{}
	case FormatGemini:
		d = &geminiEvents{}
	default:
		return nil, fmt.Errorf("decode answer: %w", unknownFormat(format))
	}
	s := &stream{frames: newFrames(format, framing), dialect: d}
	s.Reset()
	return s, nil
}

// dialect decodes the events of an answer, whichever way they were framed.
type dialect interface {
	event(data []byte, emit func(Delta)) error
	plain(body []byte, emit func(Delta)) error
	end(emit func(Delta))
	reset()
}

type stream struct {
	frames  frames
	dialect dialect
	err     error
}

func (s *stream) Reset() {
	s.frames.reset()
	s.dialect.reset()
	s.err = nil
}

func (s *stream) Feed(p []byte, emit func(Delta)) error {
	for s.err == nil {
		data, rest, ok, err := s.frames.next(p)
		if err != nil || !ok {
			s.err = err
			break
		}
		p = rest
		s.err = s.dialect.event(data, emit)
	}
	return s.err
}

func (s *stream) End(emit func(Delta)) error {
	if s.err != nil {
		return s.err
	}
	data, plain, err := s.frames.end()
	switch {
	case err != nil:
	case plain:
		err = s.dialect.plain(data, emit)
	default:
		if len(data) > 0 {
			err = s.dialect.event(data, emit)
		}
		if err == nil {
			s.dialect.end(emit)
		}
	}
	s.err = err
	return err
}

// chatEvents is the dialect of Chat Completions.
type chatEvents struct{ stream ChatStream }

func (c *chatEvents) reset()          { c.stream.Reset() }
func (c *chatEvents) end(func(Delta)) {}

func (c *chatEvents) event(data []byte, emit func(Delta)) error { return c.stream.event(data, emit) }

func (c *chatEvents) plain(body []byte, emit func(Delta)) error {
	a, err := ParseChat(body)
	if err != nil {
		return err
	}
	emit(Delta{
		Bytes: a.Bytes, Reasoning: a.Reasoning, Tool: a.Tool,
		Finish: a.Finish, Usage: a.Usage, Err: a.Err, Done: a.Err == "",
	})
	return nil
}

// whole checks that a scanner took all of its text, and names what broke.
func (s *scanner) whole(what string) error {
	s.space()
	if s.err == nil && s.i < len(s.b) {
		s.fail(s.i, "text after the "+what)
	}
	if s.err != nil {
		return fmt.Errorf("decode %s: %w", what, s.err)
	}
	return nil
}

// take moves behind the value at the position and returns it as it stands.
func (s *scanner) take() []byte {
	start := s.i
	if !s.skip() {
		return nil
	}
	return s.b[start:s.i]
}

// length is the decoded length of a checked JSON string, 0 for anything else.
func length(raw []byte) int {
	s := scanner{b: raw}
	if s.peek() != '"' {
		return 0
	}
	return s.text()
}

// word is a checked JSON string decoded, "" for anything else. The usual finish
// reasons cost no allocation.
func word(raw []byte) string {
	switch string(raw) {
	case "", "null":
		return ""
	case `"end_turn"`:
		return "end_turn"
	case `"tool_use"`:
		return "tool_use"
	case `"max_tokens"`:
		return "max_tokens"
	case `"completed"`:
		return "completed"
	case `"STOP"`:
		return "STOP"
	}
	s := scanner{b: raw}
	return s.stringValue()
}

func isObject(raw []byte) bool { return len(raw) > 0 && raw[0] == '{' }
