package wire

// geminiScript encodes the events of a Gemini answer: text in pieces, each tool
// call whole, and the finish reason with an empty text.
func geminiScript(a Scripted, piece int) []Event {
	var out []Event
	for i, p := range a.Parts {
		if p.Kind == PartTool {
			out = append(out, Event{Data: appendGemini(nil, a, geminiParts(nil, a.Parts, i), "", false), Text: len(p.Text)})
			continue
		}
		for _, text := range pieces(p.Text, piece) {
			part := []Part{{Kind: p.Kind, Text: text}}
			out = append(out, Event{Data: appendGemini(nil, a, geminiParts(nil, part, -1), "", false), Text: len(text)})
		}
	}
	end := geminiParts(nil, []Part{{}}, -1)
	return append(out, Event{Data: appendGemini(nil, a, end, a.finish("STOP", "STOP"), true)})
}

// geminiParts appends the parts, or the one at index only, as an array.
func geminiParts(dst []byte, parts []Part, only int) []byte {
	var list [][]byte
	for i, p := range parts {
		if only >= 0 && i != only {
			continue
		}
		var members []any
		switch p.Kind {
		case PartTool:
			call := []any{"name", p.Name, "args", p.arguments()}
			if p.ID != "" {
				call = append([]any{"id", p.ID}, call...)
			}
			members = []any{"functionCall", object(nil, call...)}
		case PartReasoning:
			members = []any{"text", p.Text, "thought", true}
		default:
			members = []any{"text", p.Text}
		}
		if p.Proof != "" {
			members = append(members, "thoughtSignature", p.Proof)
		}
		list = append(list, object(nil, members...))
	}
	return array(dst, list...)
}

// appendGemini appends one event, or a plain answer. Usage comes with the last.
func appendGemini(dst []byte, a Scripted, parts []byte, finish string, usage bool) []byte {
	candidate := []any{"content", object(nil, "parts", parts, "role", "model")}
	if finish != "" {
		candidate = append(candidate, "finishReason", finish)
	}
	members := []any{"candidates", array(nil, object(nil, append(candidate, "index", 0)...))}
	if usage {
		members = append(members, "usageMetadata", appendGeminiUsage(nil, a.Usage))
	}
	return object(dst, append(members, "modelVersion", a.Model, "responseId", a.ID)...)
}

// appendGeminiUsage leaves out what is unknown, as the dialect leaves out zeros.
func appendGeminiUsage(dst []byte, u Usage) []byte {
	input, output, thoughts := max(u.Input, 0), max(u.Output, 0), max(u.Reasoning, 0)
	members := []any{"promptTokenCount", input, "candidatesTokenCount", output - thoughts, "totalTokenCount", input + output}
	if u.Cached >= 0 {
		members = append(members, "cachedContentTokenCount", u.Cached)
	}
	if u.Reasoning >= 0 {
		members = append(members, "thoughtsTokenCount", thoughts)
	}
	return object(dst, members...)
}
