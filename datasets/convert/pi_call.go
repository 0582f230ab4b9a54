package convert

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/wire"
)

// piSlack is how far pi's times of one instant lie apart, in microseconds: an
// answer is logged some milliseconds after its end.
const piSlack = 50_000

// piCall is what is remembered of a call until the rows are made.
type piCall struct {
	tools []piTool
}

// piTool is a tool call and, once it is found, its result.
type piTool struct {
	call    chatTool
	result  string // bytes of the result's element, "" if there is none
	text    string // the result's text
	failed  bool
	at      time.Time
	next    int32 // the call that carried the result, if there is one
	answers bool  // a result was found
}

// call folds the call that an answer belongs to. m is the answer as later
// contexts carry it, nil if they don't.
func (p *piSession) call(place int, e *piEntry, m *chatMessage) error {
	p.context.settle()
	model := e.Message.Model
	if model == "" {
		model = "unknown"
	}
	l, body, err := p.layout(model)
	if err != nil {
		return p.log.fail(e.line, "%w", err)
	}
	var output [][]byte
	if answer := p.answer(e.Message, m); answer != nil {
		output = [][]byte{p.encode(answer).Bytes}
	}
	c, err := p.row(place, e)
	if err != nil {
		return err
	}
	if err := p.folder.Call(rootTrajectory, c, l, body, output); err != nil {
		return p.log.fail(e.line, "%w", err)
	}
	if m != nil {
		p.ask(m.ToolCalls)
	}
	if p.provider == "" {
		p.provider = e.Message.Provider
	}
	return nil
}

// answer returns what the call put out: m, or what there is of a failed answer.
func (p *piSession) answer(answer *piMessage, m *chatMessage) *chatMessage {
	if m != nil {
		return m
	}
	partial := p.assistant(answer)
	if partial.Content == nil || *partial.Content != "" || partial.Reasoning != "" {
		return partial
	}
	return nil
}

// row makes the call's row, except for its context, and notes its span.
func (p *piSession) row(place int, e *piEntry) (schema.Call, error) {
	index := len(p.calls)
	started, s := p.span(place, e)
	p.calls = append(p.calls, piCall{})
	p.spans = append(p.spans, s)
	m := e.Message
	c := schema.Call{
		CallID: fmt.Sprintf("%s/%d", p.log.header.ID, index), CallIndex: int32(index),
		Trigger: p.trigger(place), Purpose: schema.PurposeMain,
		APIFormat: schema.FormatChat, RequestModel: text(m.Model), ResponseID: text(m.ResponseID),
		Stream: ptr(true), TokenSource: ptr("provider"),
	}
	c.After, c.GapUS = causes(rootTrajectory, p.spans, index, piSlack)
	if !started.IsZero() {
		c.StartedAt = &started
	}
	if s.ended {
		c.CompletedUS = ptr(s.end - s.start)
	}
	if p.thinking != "" && p.thinking != "off" {
		c.ReasoningEffort = text(p.thinking)
	}
	p.outcome(&c, m)
	if err := usage(&c, m); err != nil {
		return c, p.log.fail(e.line, "%w", err)
	}
	return c, nil
}

// outcome sets how the call ended.
func (p *piSession) outcome(c *schema.Call, m *piMessage) {
	if m.failed() {
		c.ErrorType, c.Truncated = text(m.StopReason), ptr(len(m.Content) > 0)
		if m.ErrorMessage != "" {
			c.ExtraJSON = ptr(string(encodeJSON(map[string]string{"error_message": m.ErrorMessage})))
		}
		return
	}
	switch m.StopReason {
	case "toolUse":
		c.FinishReason = ptr("tool_calls")
	default:
		c.FinishReason = text(m.StopReason)
	}
}

// span returns when the call of entry e ran. The message's own time is when pi
// opened the answer, the entry's is when the answer was whole.
func (p *piSession) span(place int, e *piEntry) (started time.Time, s span) {
	started = e.Message.Timestamp.Time
	if started.IsZero() {
		started = p.triggerTime(place)
	}
	if started.IsZero() {
		started = e.Timestamp.Time
	}
	if started.IsZero() {
		return started, span{}
	}
	started = started.Truncate(time.Microsecond)
	s.start = started.UnixMicro()
	s.end = s.start
	if end := e.Timestamp.Time; !end.IsZero() {
		s.end, s.ended = max(s.start, end.UnixMicro()), true
	}
	return started, s
}

// cause returns the last entry before the place that a request answers to; nil
// if there is none.
func (p *piSession) cause(place int) *piEntry {
	for i := place - 1; i >= 0; i-- {
		switch e := p.branch[i]; e.Type {
		case "message", "custom_message", "branch_summary", "compaction":
			return e
		}
	}
	return nil
}

func (p *piSession) triggerTime(place int) time.Time {
	e := p.cause(place)
	switch {
	case e == nil:
		return time.Time{}
	case e.Message != nil && !e.Message.Timestamp.IsZero():
		return e.Message.Timestamp.Time
	}
	return e.Timestamp.Time
}

func (p *piSession) trigger(place int) string {
	e := p.cause(place)
	switch {
	case e == nil:
		return schema.TriggerUnknown
	case e.Type == "compaction":
		return schema.TriggerCompaction
	case e.Type != "message":
		return schema.TriggerUser
	}
	switch e.Message.Role {
	case "toolResult":
		return schema.TriggerToolResult
	case "assistant":
		if e.Message.failed() {
			return schema.TriggerRetry
		}
		return schema.TriggerUnknown
	}
	return schema.TriggerUser
}

// usage sets the tokens. pi's input excludes what was read from or written to a
// cache; ours is the total. A failed call with nothing but zeros is one whose
// usage never came.
func usage(c *schema.Call, m *piMessage) error {
	if len(m.Usage) == 0 || string(m.Usage) == "null" {
		return nil
	}
	var u struct {
		Input, Output, CacheRead, CacheWrite int64
		Cost                                 struct{ Total float64 }
	}
	if err := json.Unmarshal(m.Usage, &u); err != nil {
		return fmt.Errorf("usage: %w", err)
	}
	if u.Input < 0 || u.Output < 0 || u.CacheRead < 0 || u.CacheWrite < 0 {
		return fmt.Errorf("usage: a negative number of tokens")
	}
	var raw bytes.Buffer
	if err := json.Compact(&raw, m.Usage); err != nil {
		return fmt.Errorf("usage: %w", err)
	}
	c.UsageJSON = ptr(string(bytes.ToValidUTF8(raw.Bytes(), []byte("\uFFFD"))))
	c.OutputTokens = &u.Output
	const most = 1 << 40 // so that totals stay numbers
	if max(u.Input, u.Output, u.CacheRead, u.CacheWrite) > most {
		return fmt.Errorf("usage: more than %d tokens", int64(most))
	}
	if total := u.Input + u.CacheRead + u.CacheWrite; total > 0 || !m.failed() {
		c.InputTokens, c.CacheReadTokens, c.CacheWriteTokens = &total, &u.CacheRead, &u.CacheWrite
		c.CostUSD = &u.Cost.Total
	}
	return nil
}

// ask notes the tool calls of the latest answer.
func (p *piSession) ask(calls []chatTool) {
	tools := make([]piTool, len(calls))
	for i := range calls {
		tools[i].call = calls[i]
	}
	p.calls[len(p.calls)-1].tools = tools
}

// found notes the result of a tool call. Results follow the answer that asked
// for them; the latest one with that id is meant.
func (p *piSession) found(e *piEntry, m *chatMessage, element wire.Element) {
	for i := len(p.calls) - 1; i >= 0; i-- {
		for j := range p.calls[i].tools {
			t := &p.calls[i].tools[j]
			if t.call.ID != m.ToolCallID || t.answers {
				continue
			}
			t.answers, t.failed, t.text = true, e.Message.IsError, *m.Content
			t.result, t.next = string(element.Bytes), int32(len(p.calls))
			t.at = e.Message.Timestamp.Time
			if t.at.IsZero() {
				t.at = e.Timestamp.Time
			}
			return
		}
	}
}
