package wire

import "bytes"

// responsesEvents is the dialect of OpenAI Responses, over server-sent events or
// as messages of a WebSocket. Every event whose type ends in .delta and whose delta
// is a string brings tokens; others (codex.rate_limits, say) bring none.
type responsesEvents struct {
	top    responsesTop
	usage  Usage
	deltas uint64 // output items that came in deltas, by index; the last bit stands for all beyond
}

// responsesTop is what an event has at its top; response is the whole answer.
type responsesTop struct {
	kind, delta, item, index, response, err []byte
}

func (t *responsesTop) read(s *scanner) {
	*t = responsesTop{}
	s.space()
	s.open('{')
	for first := true; s.member(first); first = false {
		var into *[]byte
		switch string(s.key) {
		case "type":
			into = &t.kind
		case "delta":
			into = &t.delta
		case "item":
			into = &t.item
		case "output_index":
			into = &t.index
		case "response":
			into = &t.response
		case "error":
			into = &t.err
		default:
			s.skip()
			continue
		}
		*into = s.take()
	}
}

func (r *responsesEvents) reset()          { r.deltas = 0 }
func (r *responsesEvents) end(func(Delta)) {}

func (r *responsesEvents) event(data []byte, emit func(Delta)) error {
	if string(bytes.TrimSpace(data)) == "[DONE]" { // some gateways
		return nil
	}
	s := scanner{b: data}
	r.top.read(&s)
	if err := s.whole("stream event"); err != nil {
		return err
	}
	t := &r.top
	switch kind := t.kind; string(kind) {
	case `"response.output_item.done"`:
		// A server may send an item without its deltas.
		if d := itemText(t.item); !r.mark(t.index) && d.Bytes > 0 {
			emit(d)
		}
	case `"response.completed"`, `"response.incomplete"`, `"response.failed"`, `"response.done"`:
		return r.answer(t.response, emit)
	case `"error"`:
		emit(Delta{Err: streamError(data)})
	case `""`, "":
		if isObject(t.err) {
			emit(Delta{Err: streamError(data)})
		}
	default:
		if n := length(t.delta); n > 0 && bytes.HasSuffix(kind, []byte(`.delta"`)) {
			r.mark(t.index)
			emit(textDelta(deltaKind(kind), n))
		}
	}
	return nil
}

// deltaKind goes by the words that all event types share: reasoning_text and
// reasoning_summary_text; function_call_arguments, custom_tool_call_input and the
// like; output_text and refusal.
func deltaKind(kind []byte) textKind {
	switch {
	case bytes.HasPrefix(kind, []byte(`"response.output_text.`)), bytes.HasPrefix(kind, []byte(`"response.refusal.`)):
		return textContent
	case bytes.HasPrefix(kind, []byte(`"response.reasoning`)):
		return textReasoning
	case bytes.Contains(kind, []byte("_call")):
		return textTool
	}
	return textContent
}

// mark notes that the item of that index came and says whether it had before.
func (r *responsesEvents) mark(index []byte) bool {
	s := scanner{b: index}
	n, ok := s.intValue()
	if !ok || n < 0 {
		n = 0
	}
	bit := uint64(1) << min(n, 63)
	before := r.deltas&bit != 0
	r.deltas |= bit
	return before
}
