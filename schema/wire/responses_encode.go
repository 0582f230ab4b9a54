package wire

import (
	"strconv"
	"strings"
)

// responsesWriter collects the numbered events of a Responses answer.
type responsesWriter struct {
	a      Scripted
	piece  int
	events []Event
}

// responsesScript encodes the events of a Responses answer; each is also a message
// of the WebSocket form. An answer without parts is that to a request that only
// warms the cache.
func responsesScript(a Scripted, piece int) []Event {
	w := &responsesWriter{a: a, piece: piece}
	begun := a
	begun.Parts = nil
	w.add("response.created", 0, "response", responsesWhole(nil, begun, "in_progress", false))
	w.add("response.in_progress", 0, "response", responsesWhole(nil, begun, "in_progress", false))
	for i, p := range a.Parts {
		w.add("response.output_item.added", 0, "output_index", i, "item", a.item(i, false))
		switch p.Kind {
		case PartText:
			w.text(i, p)
		case PartReasoning:
			w.reasoning(i, p)
		case PartTool:
			w.tool(i, p)
		}
		w.add("response.output_item.done", 0, "output_index", i, "item", a.item(i, true))
	}
	status := a.status()
	w.add("response."+status, 0, "response", responsesWhole(nil, a, status, true))
	return w.events
}

func (w *responsesWriter) add(name string, text int, members ...any) {
	members = append([]any{"type", name, "sequence_number", len(w.events)}, members...)
	w.events = append(w.events, Event{Name: name, Data: object(nil, members...), Text: text})
}

func (w *responsesWriter) text(i int, p Part) {
	at := []any{"item_id", w.a.itemID(i), "output_index", i, "content_index", 0}
	w.add("response.content_part.added", 0, append(at, "part", outputTextPart(""))...)
	for _, text := range pieces(p.Text, w.piece) {
		w.add("response.output_text.delta", len(text), append(at, "delta", text, "logprobs", []byte("[]"))...)
	}
	w.add("response.output_text.done", 0, append(at, "text", p.Text, "logprobs", []byte("[]"))...)
	w.add("response.content_part.done", 0, append(at, "part", outputTextPart(p.Text))...)
}

func (w *responsesWriter) reasoning(i int, p Part) {
	at := []any{"item_id", w.a.itemID(i), "output_index", i, "summary_index", 0}
	w.add("response.reasoning_summary_part.added", 0, append(at, "part", summaryPart(""))...)
	for _, text := range pieces(p.Text, w.piece) {
		w.add("response.reasoning_summary_text.delta", len(text), append(at, "delta", text)...)
	}
	w.add("response.reasoning_summary_text.done", 0, append(at, "text", p.Text)...)
	w.add("response.reasoning_summary_part.done", 0, append(at, "part", summaryPart(p.Text))...)
}

func (w *responsesWriter) tool(i int, p Part) {
	at := []any{"item_id", w.a.itemID(i), "output_index", i}
	name, key, whole := "response.function_call_arguments", "arguments", string(p.arguments())
	if p.Custom {
		name, key, whole = "response.custom_tool_call_input", "input", p.Text
	}
	for _, text := range pieces(whole, w.piece) {
		w.add(name+".delta", len(text), append(at, "delta", text)...)
	}
	w.add(name+".done", 0, append(at, key, whole)...)
}

func outputTextPart(text string) []byte {
	return object(nil, "type", "output_text", "annotations", []byte("[]"), "logprobs", []byte("[]"), "text", text)
}

func summaryPart(text string) []byte { return object(nil, "type", "summary_text", "text", text) }

// itemID is the id of output item i, made from that of the answer.
func (a *Scripted) itemID(i int) string {
	prefix := "msg_"
	switch p := a.Parts[i]; {
	case p.Kind == PartReasoning:
		prefix = "rs_"
	case p.Kind == PartTool && p.Custom:
		prefix = "ctc_"
	case p.Kind == PartTool:
		prefix = "fc_"
	case p.Kind == PartCompaction:
		prefix = "cmp_"
	}
	return prefix + strings.TrimPrefix(a.ID, "resp_") + "_" + strconv.Itoa(i)
}

// item is output item i, as it is added or as it is done.
func (a *Scripted) item(i int, done bool) []byte {
	p := a.Parts[i]
	status, text := "completed", p.Text
	if !done {
		status, text = "in_progress", ""
	}
	id := a.itemID(i)
	switch p.Kind {
	case PartReasoning:
		summary, proof := []byte("[]"), any(nil)
		if done {
			summary = array(nil, summaryPart(text))
		}
		if p.Proof != "" {
			proof = p.Proof
		}
		return object(nil, "id", id, "type", "reasoning", "encrypted_content", proof, "summary", summary)
	case PartTool:
		if p.Custom {
			return p.toolItem("id", id, "type", "custom_tool_call", "status", status, "call_id", p.ID, "input", text)
		}
		if done {
			text = string(p.arguments())
		}
		return p.toolItem("id", id, "type", "function_call", "status", status, "arguments", text, "call_id", p.ID)
	case PartCompaction:
		return object(nil, "id", id, "type", "compaction", "encrypted_content", p.Text)
	}
	content := []byte("[]")
	if done {
		content = array(nil, outputTextPart(text))
	}
	return object(nil, "id", id, "type", "message", "status", status, "content", content, "role", "assistant")
}

// toolItem is an item that calls the tool. Clients look for it in its namespace.
func (p *Part) toolItem(members ...any) []byte {
	members = append(members, "name", p.Name)
	if p.Namespace != "" {
		members = append(members, "namespace", p.Namespace)
	}
	return object(nil, members...)
}

// status says how the answer ends; any finish reason but the usual one makes it
// incomplete.
func (a *Scripted) status() string {
	if a.Finish == "" || a.Finish == "completed" {
		return "completed"
	}
	return "incomplete"
}

// responsesWhole appends the whole answer; without usage it has just begun.
func responsesWhole(dst []byte, a Scripted, status string, usage bool) []byte {
	items := make([][]byte, len(a.Parts))
	for i := range a.Parts {
		items[i] = a.item(i, true)
	}
	var incomplete, counts any
	if status == "incomplete" {
		incomplete = object(nil, "reason", a.Finish)
	}
	if usage {
		counts = appendResponsesUsage(nil, a.Usage)
	}
	return object(dst, "id", a.ID, "object", "response", "created_at", a.Created, "status", status, "error", nil,
		"incomplete_details", incomplete, "instructions", nil, "model", a.Model, "output", array(nil, items...),
		"parallel_tool_calls", true, "previous_response_id", nil, "store", false, "tool_choice", "auto",
		"tools", []byte("[]"), "usage", counts, "metadata", []byte("{}"))
}

// appendResponsesUsage gives an unknown count as 0, since clients expect them; but
// that of what was written to a cache is left out.
func appendResponsesUsage(dst []byte, u Usage) []byte {
	input, output := max(u.Input, 0), max(u.Output, 0)
	details := []any{"cached_tokens", max(u.Cached, 0)}
	if u.CacheWrite >= 0 {
		details = append(details, "cache_write_tokens", u.CacheWrite)
	}
	return object(dst, "input_tokens", input, "input_tokens_details", object(nil, details...),
		"output_tokens", output, "output_tokens_details", object(nil, "reasoning_tokens", max(u.Reasoning, 0)),
		"total_tokens", input+output)
}
