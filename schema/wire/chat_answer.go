package wire

import (
	"errors"
	"fmt"
)

// Answer is a plain (not streamed) answer.
type Answer struct {
	ID      string
	Model   string
	Message []byte // of the first choice, as it stands; part of the body
	Finish  string // of the last choice that has one
	Bytes   int    // of text, as in [Delta]
	Usage   *Usage // nil where the answer has none
	Err     string // an error sent with a good status

	Reasoning int // of Bytes
	Tool      int // of Bytes
}

// ParseChat decodes a plain Chat Completions answer. A body that is no JSON, or
// has neither choices nor an error, is an error.
func ParseChat(body []byte) (Answer, error) {
	var f chatFound
	s := scanner{b: body}
	s.space()
	f.top(&s, "message")
	s.space()
	if s.err == nil && s.i < len(body) {
		s.fail(s.i, "text after the answer")
	}
	if s.err != nil {
		return Answer{}, fmt.Errorf("decode answer: %w", s.err)
	}
	if f.failed {
		return Answer{Err: streamError(body)}, nil
	}
	if !f.choices {
		return Answer{}, errors.New("decode answer: no choices")
	}
	d := f.delta()
	a := Answer{Message: f.message, Finish: f.finish, Bytes: d.Bytes, Reasoning: d.Reasoning, Tool: d.Tool}
	if f.hasUsage {
		a.Usage = &f.usage
	}
	for m, err := range Members(body) {
		if err != nil {
			return Answer{}, err
		}
		v := scanner{b: m.Value}
		switch m.Key {
		case "id":
			a.ID = v.stringValue()
		case "model":
			a.Model = v.stringValue()
		}
	}
	return a, nil
}
