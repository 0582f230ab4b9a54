package wire

// chatScript encodes the chunks of a Chat Completions answer, with the usage and
// the end mark.
func chatScript(a Scripted, piece int) []Event {
	var out []Event
	chunk := func(choices, usage []byte, text int) {
		members := []any{"id", a.ID, "object", "chat.completion.chunk", "created", a.Created, "model", a.Model, "choices", choices}
		if usage != nil {
			members = append(members, "usage", usage)
		}
		out = append(out, Event{Data: object(nil, members...), Text: text})
	}
	delta := func(text int, finish any, members ...any) {
		chunk(array(nil, object(nil, "index", 0, "delta", object(nil, members...), "logprobs", nil, "finish_reason", finish)), nil, text)
	}
	delta(0, nil, "role", "assistant", "content", "")
	tools := 0
	for _, p := range a.Parts {
		switch p.Kind {
		case PartText:
			for _, text := range pieces(p.Text, piece) {
				delta(len(text), nil, "content", text)
			}
		case PartReasoning:
			for _, text := range pieces(p.Text, piece) {
				delta(len(text), nil, "reasoning_content", text)
			}
		case PartTool:
			delta(0, nil, "tool_calls", array(nil, object(nil, "index", tools, "id", p.ID, "type", "function",
				"function", object(nil, "name", p.Name, "arguments", ""))))
			for _, text := range pieces(string(p.arguments()), piece) {
				delta(len(text), nil, "tool_calls", array(nil, object(nil, "index", tools, "function", object(nil, "arguments", text))))
			}
			tools++
		}
	}
	delta(0, a.finish("stop", "tool_calls"))
	chunk([]byte("[]"), appendUsage(nil, a.Usage), 0)
	return append(out, Event{Data: []byte("[DONE]")})
}

// appendChatScripted appends the answer in plain JSON.
func appendChatScripted(dst []byte, a Scripted) []byte {
	var text, reasoning string
	var tools [][]byte
	for _, p := range a.Parts {
		switch p.Kind {
		case PartText:
			text += p.Text
		case PartReasoning:
			reasoning += p.Text
		case PartTool:
			tools = append(tools, object(nil, "id", p.ID, "type", "function",
				"function", object(nil, "name", p.Name, "arguments", string(p.arguments()))))
		}
	}
	message := []any{"role", "assistant", "content", text}
	if reasoning != "" {
		message = append(message, "reasoning_content", reasoning)
	}
	if tools != nil {
		message = append(message, "tool_calls", array(nil, tools...))
	}
	choice := object(nil, "index", 0, "message", object(nil, message...), "logprobs", nil, "finish_reason", a.finish("stop", "tool_calls"))
	return object(dst, "id", a.ID, "object", "chat.completion", "created", a.Created, "model", a.Model,
		"choices", array(nil, choice), "usage", appendUsage(nil, a.Usage))
}
