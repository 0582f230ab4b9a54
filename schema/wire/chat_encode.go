package wire

import "strconv"

// TailConfig is what a replayed request asks for. Zero fields are left out.
type TailConfig struct {
	Model     string // required
	Stream    bool
	Usage     bool  // ask for usage at the end of the stream; only with Stream
	MaxTokens int64 // tokens
	MinTokens int64 // tokens; engines that do not know it ignore it
	IgnoreEOS bool  // generate on to MaxTokens
	Members   []Member
}

// ChatTail encodes the end of a Chat Completions body: a comma, the members of c
// in a fixed order, then c.Members as they are, and the closing brace. What stands
// before it is the opening brace and at least one member.
func ChatTail(c TailConfig) []byte {
	b := append([]byte(`,"model":`), appendString(nil, c.Model)...)
	if c.Stream {
		b = append(b, `,"stream":true`...)
		if c.Usage {
			b = append(b, `,"stream_options":{"include_usage":true}`...)
		}
	}
	if c.MaxTokens > 0 {
		b = strconv.AppendInt(append(b, `,"max_tokens":`...), c.MaxTokens, 10)
	}
	if c.MinTokens > 0 {
		b = strconv.AppendInt(append(b, `,"min_tokens":`...), c.MinTokens, 10)
	}
	if c.IgnoreEOS {
		b = append(b, `,"ignore_eos":true`...)
	}
	for _, m := range c.Members {
		b = append(appendString(append(b, ','), m.Key), ':')
		b = append(b, m.Value...)
	}
	return append(b, '}')
}

// AnswerHead is what every chunk of an answer repeats.
type AnswerHead struct {
	ID      string
	Model   string
	Created int64 // seconds since 1970
}

// ChatChunk is one event of a simulated answer's stream.
type ChatChunk struct {
	Role    bool   // carries the role, as the first event does
	Content string // "" carries no content
	Finish  string // "" sends null
	Usage   *Usage // not nil: the usage event, which has no choices
}

// AppendChatChunk appends the event with its SSE framing.
func AppendChatChunk(dst []byte, h AnswerHead, c ChatChunk) []byte {
	dst = append(dst, "data: "...)
	dst = appendHead(dst, h, "chat.completion.chunk")
	if c.Usage != nil {
		dst = append(dst, `[],"usage":`...)
		dst = appendUsage(dst, *c.Usage)
		return append(dst, "}\n\n"...)
	}
	dst = append(dst, `[{"index":0,"delta":{`...)
	if c.Role {
		dst = append(dst, `"role":"assistant","content":`...)
		dst = appendString(dst, c.Content)
	} else if c.Content != "" {
		dst = append(dst, `"content":`...)
		dst = appendString(dst, c.Content)
	}
	dst = append(dst, `},"logprobs":null,"finish_reason":`...)
	dst = appendFinish(dst, c.Finish)
	return append(dst, "}]}\n\n"...)
}

// AppendChatDone appends the event that ends a stream.
func AppendChatDone(dst []byte) []byte { return append(dst, "data: [DONE]\n\n"...) }

// AppendChatAnswer appends an answer in plain JSON.
func AppendChatAnswer(dst []byte, h AnswerHead, content, finish string, u Usage) []byte {
	dst = appendHead(dst, h, "chat.completion")
	dst = append(dst, `[{"index":0,"message":{"role":"assistant","content":`...)
	dst = appendString(dst, content)
	dst = append(dst, `},"logprobs":null,"finish_reason":`...)
	dst = appendFinish(dst, finish)
	dst = append(dst, `}],"usage":`...)
	dst = appendUsage(dst, u)
	return append(dst, '}')
}

// AppendChatError appends an error body as vLLM sends it.
func AppendChatError(dst []byte, status int, kind, message string) []byte {
	dst = appendString(append(dst, `{"error":{"message":`...), message)
	dst = appendString(append(dst, `,"type":`...), kind)
	dst = strconv.AppendInt(append(dst, `,"param":null,"code":`...), int64(status), 10)
	return append(dst, "}}"...)
}

func appendHead(dst []byte, h AnswerHead, object string) []byte {
	dst = appendString(append(dst, `{"id":`...), h.ID)
	dst = appendString(append(dst, `,"object":`...), object)
	dst = strconv.AppendInt(append(dst, `,"created":`...), h.Created, 10)
	dst = appendString(append(dst, `,"model":`...), h.Model)
	return append(dst, `,"choices":`...)
}

func appendFinish(dst []byte, finish string) []byte {
	if finish == "" {
		return append(dst, "null"...)
	}
	return appendString(dst, finish)
}

// appendUsage leaves out what is unknown.
func appendUsage(dst []byte, u Usage) []byte {
	input, output := max(u.Input, 0), max(u.Output, 0)
	dst = strconv.AppendInt(append(dst, `{"prompt_tokens":`...), input, 10)
	dst = strconv.AppendInt(append(dst, `,"total_tokens":`...), input+output, 10)
	dst = strconv.AppendInt(append(dst, `,"completion_tokens":`...), output, 10)
	if u.Cached >= 0 {
		dst = append(dst, `,"prompt_tokens_details":{"cached_tokens":`...)
		dst = append(strconv.AppendInt(dst, u.Cached, 10), '}')
	}
	if u.Reasoning >= 0 {
		dst = append(dst, `,"completion_tokens_details":{"reasoning_tokens":`...)
		dst = append(strconv.AppendInt(dst, u.Reasoning, 10), '}')
	}
	return append(dst, '}')
}
