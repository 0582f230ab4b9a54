package wire

// messagesScript encodes the events of a Messages answer.
func messagesScript(a Scripted, piece int) []Event {
	var out []Event
	add := func(name string, text int, members ...any) {
		out = append(out, Event{Name: name, Data: object(nil, append([]any{"type", name}, members...)...), Text: text})
	}
	started := a.Usage
	started.Output, started.Reasoning = 1, Unknown
	add("message_start", 0, "message", messageObject(a, []byte("[]"), nil, started))
	add("ping", 0)
	for i, p := range a.Parts {
		delta := func(text int, kind, key, value string) {
			add("content_block_delta", text, "index", i, "delta", object(nil, "type", kind, key, value))
		}
		add("content_block_start", 0, "index", i, "content_block", messagesStart(p))
		switch p.Kind {
		case PartReasoning:
			for _, text := range pieces(p.Text, piece) {
				delta(len(text), "thinking_delta", "thinking", text)
			}
			delta(0, "signature_delta", "signature", p.Proof)
		case PartTool:
			delta(0, "input_json_delta", "partial_json", "")
			for _, text := range pieces(string(p.arguments()), piece) {
				delta(len(text), "input_json_delta", "partial_json", text)
			}
		default:
			for _, text := range pieces(p.Text, piece) {
				delta(len(text), "text_delta", "text", text)
			}
		}
		add("content_block_stop", 0, "index", i)
	}
	add("message_delta", 0, "delta", object(nil, "stop_reason", a.finish("end_turn", "tool_use"), "stop_sequence", nil),
		"usage", appendMessagesUsage(nil, a.Usage))
	add("message_stop", 0)
	return out
}

// messagesStart is a block before anything of it came.
func messagesStart(p Part) []byte {
	switch p.Kind {
	case PartReasoning:
		return object(nil, "type", "thinking", "thinking", "", "signature", "")
	case PartTool:
		return object(nil, "type", "tool_use", "id", p.ID, "name", p.Name, "input", []byte("{}"))
	}
	return object(nil, "type", "text", "text", "")
}

func messageObject(a Scripted, content []byte, finish any, u Usage) []byte {
	return object(nil, "id", a.ID, "type", "message", "role", "assistant", "model", a.Model, "content", content,
		"stop_reason", finish, "stop_sequence", nil, "usage", appendMessagesUsage(nil, u))
}

// appendMessage appends the answer in plain JSON.
func appendMessage(dst []byte, a Scripted) []byte {
	blocks := make([][]byte, len(a.Parts))
	for i, p := range a.Parts {
		switch p.Kind {
		case PartReasoning:
			blocks[i] = object(nil, "type", "thinking", "thinking", p.Text, "signature", p.Proof)
		case PartTool:
			blocks[i] = object(nil, "type", "tool_use", "id", p.ID, "name", p.Name, "input", p.arguments())
		default:
			blocks[i] = object(nil, "type", "text", "text", p.Text)
		}
	}
	return append(dst, messageObject(a, array(nil, blocks...), a.finish("end_turn", "tool_use"), a.Usage)...)
}

// appendMessagesUsage takes the cache out of the input, as the dialect counts.
// Clients expect the counts of the cache, so an unknown one is 0.
func appendMessagesUsage(dst []byte, u Usage) []byte {
	read, write := max(u.Cached, 0), max(u.CacheWrite, 0)
	members := []any{
		"input_tokens", max(u.Input-read-write, 0),
		"cache_creation_input_tokens", write, "cache_read_input_tokens", read,
		"cache_creation", object(nil, "ephemeral_5m_input_tokens", write, "ephemeral_1h_input_tokens", 0),
		"output_tokens", max(u.Output, 0), "service_tier", "standard",
	}
	if u.Reasoning >= 0 {
		members = append(members, "output_tokens_details", object(nil, "thinking_tokens", u.Reasoning))
	}
	return object(dst, members...)
}
