package convert

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Warnings of the pi importer.
const (
	warnImages  = "images replaced by a placeholder"
	warnRoles   = "messages of an unknown role left out"
	warnBlocks  = "message parts of an unknown type left out"
	warnOrphans = "tool results without their call left out"
	warnMissing = "tool calls without a result, which got one that says so"
	warnBranch  = "calls on branches that were given up left out"
)

const noResult = "(no result was recorded)"

// message translates an entry into the message that later contexts carry; nil if
// it carries none.
func (p *piSession) message(e *piEntry) *chatMessage {
	switch e.Type {
	case "message":
		return p.byRole(e.Message)
	case "custom_message":
		return p.user(e.Content)
	case "branch_summary":
		if e.Summary == "" {
			return nil
		}
		return userMessage("This conversation came back from another branch. Summary of what happened there:\n\n" + e.Summary)
	}
	return nil
}

func (p *piSession) byRole(m *piMessage) *chatMessage {
	switch m.Role {
	case "user", "custom", "hookMessage":
		return p.user(m.Content)
	case "assistant":
		if m.failed() {
			return nil
		}
		return p.assistant(m)
	case "toolResult":
		content := p.plain(m.Content)
		return &chatMessage{Role: "tool", Content: &content, ToolCallID: m.ToolCallID}
	case "bashExecution":
		if m.ExcludeFromContext {
			return nil
		}
		return userMessage(commandText(m))
	case "branchSummary", "compactionSummary":
		return userMessage("Summary of the conversation before this point:\n\n" + m.Summary)
	}
	p.warn[warnRoles]++
	return nil
}

func userMessage(content string) *chatMessage {
	return &chatMessage{Role: "user", Content: &content}
}

func (p *piSession) user(c piContent) *chatMessage { return userMessage(p.plain(c)) }

// plain joins the texts of a content. Images become placeholders.
func (p *piSession) plain(c piContent) string {
	var parts []string
	for _, b := range c {
		switch b.Type {
		case "text":
			parts = append(parts, b.Text)
		case "image":
			p.warn[warnImages]++
			parts = append(parts, fmt.Sprintf("[an image, %s, was here]", b.MimeType))
		default:
			p.warn[warnBlocks]++
		}
	}
	return strings.Join(parts, "\n")
}

// assistant translates an answer, also a partial one.
func (p *piSession) assistant(m *piMessage) *chatMessage {
	out := &chatMessage{Role: "assistant"}
	var texts, thoughts []string
	for i := range m.Content {
		switch b := &m.Content[i]; b.Type {
		case "text":
			texts = append(texts, b.Text)
		case "thinking":
			if b.Thinking != "" { // redacted thinking has only a signature
				thoughts = append(thoughts, b.Thinking)
			}
		case "toolCall":
			out.ToolCalls = append(out.ToolCalls, chatTool{
				ID: b.ID, Type: "function", Function: chatFunction{b.Name, arguments(b)},
			})
		default:
			p.warn[warnBlocks]++
		}
	}
	out.Reasoning = strings.Join(thoughts, "\n")
	if text := strings.Join(texts, "\n"); text != "" || len(out.ToolCalls) == 0 {
		out.Content = &text
	}
	return out
}

// arguments returns the arguments of a tool call as compact JSON.
func arguments(b *piBlock) string {
	if len(b.Arguments) == 0 || string(b.Arguments) == "null" {
		return "{}"
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, b.Arguments); err != nil {
		panic("convert: internal error: " + err.Error()) // it was decoded from valid JSON
	}
	return strings.ToValidUTF8(compact.String(), "\uFFFD")
}

// commandText tells the model of a command that the user ran.
func commandText(m *piMessage) string {
	var b strings.Builder
	fmt.Fprintf(&b, "I ran this command:\n\n$ %s\n\n", m.Command)
	if m.Output == "" {
		b.WriteString("It printed nothing.")
	} else {
		b.WriteString("It printed:\n\n" + m.Output)
	}
	switch {
	case m.Cancelled:
		b.WriteString("\n\nI stopped it before it ended.")
	case m.ExitCode != nil && *m.ExitCode != 0:
		fmt.Fprintf(&b, "\n\nIt ended with status %d.", *m.ExitCode)
	}
	return b.String()
}
