package convert

import (
	"github.com/capstan-bench/capstan/schema/wire"
)

// piPart is what one entry adds to contexts.
type piPart struct {
	place   int // of the entry on the branch
	element wire.Element
	calls   []chatTool // of an answer
}

// piContext is the messages of the next request. It keeps the rules of chat
// endpoints: a tool result follows the answer that asked for it, and every tool
// call has its result before anything else is said.
type piContext struct {
	session  *piSession
	messages []wire.Element
	open     []chatTool // tool calls of the last answer that wait for their results
}

// restart begins with the given messages.
func (c *piContext) restart(messages ...wire.Element) {
	c.messages = append(c.messages[:0:0], messages...)
	c.open = nil
}

// add appends a part.
func (c *piContext) add(p piPart) {
	if p.element.Kind == wire.KindToolResult {
		if !c.take(p.element.ToolCallID) {
			c.session.warn[warnOrphans]++
			return
		}
	} else {
		c.settle()
	}
	c.messages = append(c.messages, p.element)
	if p.element.Kind == wire.KindAssistant {
		c.open = append([]chatTool(nil), p.calls...)
	}
}

// take strikes a call off those that wait; false if it was not among them.
func (c *piContext) take(id string) bool {
	for i := range c.open {
		if c.open[i].ID == id {
			c.open = append(c.open[:i], c.open[i+1:]...)
			return true
		}
	}
	return false
}

// settle gives the calls that still wait a result that says that there is none.
func (c *piContext) settle() {
	for _, call := range c.open {
		content := noResult
		m := chatMessage{Role: "tool", Content: &content, ToolCallID: call.ID}
		c.session.warn[warnMissing]++
		c.messages = append(c.messages, c.session.encode(&m))
	}
	c.open = nil
}
