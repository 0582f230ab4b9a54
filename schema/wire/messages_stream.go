package wire

import "errors"

// messagesEvents is the dialect of Anthropic Messages. Tokens come with
// content_block_delta; the start of a block and pings bring none.
type messagesEvents struct {
	shape  shape
	top    messagesTop
	tokens messagesTokens
	usage  Usage // the latest handed out
}

// messagesTop is what an event, or a plain answer, has at its top.
type messagesTop struct {
	kind, delta, message, block, usage, err, content, stop []byte
	deltaAt                                                int
}

func (t *messagesTop) read(s *scanner) {
	*t = messagesTop{}
	s.space()
	s.open('{')
	for first := true; s.member(first); first = false {
		var into *[]byte
		switch string(s.key) {
		case "type":
			into = &t.kind
		case "delta":
			into, t.deltaAt = &t.delta, s.i
		case "message":
			into = &t.message
		case "content_block":
			into = &t.block
		case "usage":
			into = &t.usage
		case "error":
			into = &t.err
		case "content":
			into = &t.content
		case "stop_reason":
			into = &t.stop
		default:
			s.skip()
			continue
		}
		*into = s.take()
	}
}

func (m *messagesEvents) reset() {
	m.tokens = messagesTokens{-1, -1, -1, -1, -1, -1, -1}
}

func (m *messagesEvents) end(func(Delta)) {}

func (m *messagesEvents) event(data []byte, emit func(Delta)) error {
	if d, ok := m.shape.match(data); ok {
		if d.Bytes > 0 {
			emit(d)
		}
		return nil
	}
	s := scanner{b: data}
	m.top.read(&s)
	if err := s.whole("stream event"); err != nil {
		return err
	}
	t := &m.top
	switch string(t.kind) {
	case `"content_block_delta"`:
		m.delta(data, emit)
	case `"content_block_start"`:
		if d := startedBlock(t.block); d.Bytes > 0 {
			emit(d)
		}
	case `"message_start"`:
		m.start(t.message, emit)
	case `"message_delta"`:
		d := Delta{Finish: member(t.delta, "stop_reason")}
		if m.use(t.usage, true) {
			d.Usage = &m.usage
		}
		if d.Finish != "" || d.Usage != nil {
			emit(d)
		}
	case `"message_stop"`:
		emit(Delta{Done: true})
	case `"error"`:
		emit(Delta{Err: streamError(data)})
	default:
		if isObject(t.err) {
			emit(Delta{Err: streamError(data)})
		}
	}
	return nil
}

// delta takes a content_block_delta.
func (m *messagesEvents) delta(data []byte, emit func(Delta)) {
	s := scanner{b: m.top.delta}
	if s.peek() != '{' {
		return
	}
	var sum Delta
	pieces, at, end, kind := 0, 0, 0, textContent
	s.open('{')
	for first := true; s.member(first); first = false {
		k, counts := blockText(s.key)
		if !counts || s.peek() != '"' {
			s.skip()
			continue
		}
		start := s.i + 1
		if n := s.text(); n > 0 {
			pieces++
			at, end, kind = m.top.deltaAt+start, m.top.deltaAt+s.i-1, k
			sum.add(textDelta(k, n))
		}
	}
	if pieces == 1 {
		m.shape.set(data, at, end, kind)
	}
	if sum.Bytes > 0 {
		emit(sum)
	}
}

// blockText says which members of a delta, or of a block, hold what was generated.
// A signature is not among them.
func blockText(key []byte) (kind textKind, counts bool) {
	switch string(key) {
	case "text", "content": // a summary comes as content
		return textContent, true
	case "thinking":
		return textReasoning, true
	case "partial_json":
		return textTool, true
	}
	return 0, false
}

func (d *Delta) add(o Delta) {
	d.Bytes += o.Bytes
	d.Reasoning += o.Reasoning
	d.Tool += o.Tool
}

// startedBlock counts the text that some servers put into the start of a block.
func startedBlock(block []byte) (sum Delta) {
	s := scanner{b: block}
	if s.peek() != '{' {
		return sum
	}
	s.open('{')
	for first := true; s.member(first); first = false {
		kind, counts := blockText(s.key)
		if counts && s.peek() == '"' {
			sum.add(textDelta(kind, s.text()))
		} else {
			s.skip()
		}
	}
	return sum
}

// start takes the message of a message_start. Its count of output stands for no
// more than the first token.
func (m *messagesEvents) start(message []byte, emit func(Delta)) {
	var t messagesTop
	s := scanner{b: message}
	if s.peek() != '{' {
		return
	}
	t.read(&s)
	if m.use(t.usage, false) {
		emit(Delta{Usage: &m.usage})
	}
}

func (m *messagesEvents) use(raw []byte, output bool) bool {
	s := scanner{b: raw}
	if !m.tokens.read(&s) {
		return false
	}
	if !output {
		m.tokens.output = Unknown
	}
	m.usage = m.tokens.usage()
	return true
}

// plain takes a message in plain JSON.
func (m *messagesEvents) plain(body []byte, emit func(Delta)) error {
	s := scanner{b: body}
	var t messagesTop
	t.read(&s)
	if err := s.whole("answer"); err != nil {
		return err
	}
	if isObject(t.err) || string(t.kind) == `"error"` {
		emit(Delta{Err: streamError(body)})
		return nil
	}
	if len(t.content) == 0 || t.content[0] != '[' {
		return errors.New("decode answer: no content")
	}
	d := plainBlocks(t.content)
	d.Finish, d.Done = word(t.stop), true
	if m.use(t.usage, true) {
		d.Usage = &m.usage
	}
	emit(d)
	return nil
}

// plainBlocks counts the text of whole blocks; the input of a tool counts as it
// stands.
func plainBlocks(content []byte) (sum Delta) {
	s := scanner{b: content}
	s.open('[')
	for first := true; s.item(first, ']'); first = false {
		block := s.take()
		sum.add(startedBlock(block))
		for m, err := range Members(block) {
			if err == nil && m.Key == "input" {
				sum.add(textDelta(textTool, len(m.Value)))
			}
		}
	}
	return sum
}

// member is the string under a key of an object, "" where there is none.
func member(object []byte, key string) string {
	s := scanner{b: object}
	if s.peek() != '{' {
		return ""
	}
	out := ""
	s.open('{')
	for first := true; s.member(first); first = false {
		if string(s.key) == key {
			out = word(s.take())
		} else {
			s.skip()
		}
	}
	return out
}
