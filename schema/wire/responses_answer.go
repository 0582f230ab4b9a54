package wire

import (
	"bytes"
	"errors"
)

// responsesAnswer is a whole answer.
type responsesAnswer struct {
	status, output, usage, err, incomplete []byte
}

func (a *responsesAnswer) read(s *scanner) {
	s.space()
	s.open('{')
	for first := true; s.member(first); first = false {
		var into *[]byte
		switch string(s.key) {
		case "status":
			into = &a.status
		case "output":
			into = &a.output
		case "usage":
			into = &a.usage
		case "error":
			into = &a.err
		case "incomplete_details":
			into = &a.incomplete
		default:
			s.skip()
			continue
		}
		*into = s.take()
	}
}

// answer takes the whole answer with which a stream ends.
func (r *responsesEvents) answer(response []byte, emit func(Delta)) error {
	var a responsesAnswer
	s := scanner{b: response}
	if s.peek() != '{' {
		emit(Delta{Done: true})
		return nil
	}
	a.read(&s)
	d := r.ended(&a)
	if r.deltas == 0 {
		d.add(outputText(a.output))
	}
	emit(d)
	return nil
}

// ended is how an answer ended: an incomplete one says why.
func (r *responsesEvents) ended(a *responsesAnswer) Delta {
	d := Delta{Finish: word(a.status), Done: true}
	if reason := member(a.incomplete, "reason"); reason != "" {
		d.Finish = reason
	}
	if isObject(a.err) {
		d.Err = streamError(a.err)
	}
	s := scanner{b: a.usage}
	if responsesUsage(&s, &r.usage) {
		d.Usage = &r.usage
	}
	return d
}

func responsesUsage(s *scanner, u *Usage) bool {
	if s.peek() != '{' {
		return false
	}
	*u = noUsage()
	s.open('{')
	for first := true; s.member(first); first = false {
		switch string(s.key) {
		case "input_tokens":
			readCount(s, &u.Input)
		case "output_tokens":
			readCount(s, &u.Output)
		case "input_tokens_details":
			readDetails(s, detail{"cached_tokens", &u.Cached}, detail{"cache_write_tokens", &u.CacheWrite})
		case "output_tokens_details":
			readDetails(s, detail{"reasoning_tokens", &u.Reasoning})
		default:
			s.skip()
		}
	}
	return s.err == nil
}

// plain takes an answer in plain JSON, or the result of a compaction, which has
// output and no status.
func (r *responsesEvents) plain(body []byte, emit func(Delta)) error {
	var a responsesAnswer
	s := scanner{b: body}
	a.read(&s)
	if err := s.whole("answer"); err != nil {
		return err
	}
	switch {
	case len(a.output) > 0 && a.output[0] == '[':
		d := r.ended(&a)
		d.add(outputText(a.output))
		emit(d)
	case isObject(a.err) || len(a.status) == 0:
		text := streamError(body)
		if text == "" || string(bytes.TrimSpace(body)) == text {
			return errors.New("decode answer: no output")
		}
		emit(Delta{Err: text})
	default:
		return errors.New("decode answer: no output")
	}
	return nil
}

func outputText(output []byte) (sum Delta) {
	s := scanner{b: output}
	if s.peek() != '[' {
		return sum
	}
	s.open('[')
	for first := true; s.item(first, ']'); first = false {
		sum.add(itemText(s.take()))
	}
	return sum
}

// itemText counts the text of a whole output item.
func itemText(item []byte) (sum Delta) {
	s := scanner{b: item}
	if s.peek() != '{' {
		return sum
	}
	var content, summary, arguments int
	s.open('{')
	for first := true; s.member(first); first = false {
		switch string(s.key) {
		case "content":
			content = partsText(s.take())
		case "summary":
			summary = partsText(s.take())
		case "arguments", "input":
			arguments += length(s.take())
		default:
			s.skip()
		}
	}
	kind := textContent
	if itemKind(member(item, "type")) == KindReasoning {
		kind = textReasoning
	}
	sum.add(textDelta(kind, content))
	sum.add(textDelta(textReasoning, summary))
	sum.add(textDelta(textTool, arguments))
	return sum
}

// partsText counts the texts and refusals in an array of parts.
func partsText(parts []byte) (n int) {
	s := scanner{b: parts}
	if s.peek() != '[' {
		return 0
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
			case "text", "refusal":
				n += length(s.take())
			default:
				s.skip()
			}
		}
	}
	return n
}
