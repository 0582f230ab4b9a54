package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/fold"
	"github.com/capstan-bench/capstan/schema/tokens"
	"github.com/capstan-bench/capstan/schema/wire"
)

// epoch is when the first session starts. The date means nothing.
var epoch = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

const model = "example-model"

// folding turns the lanes of one session into rows.
type folding struct {
	id      string
	folder  *fold.Folder
	tok     *tokens.Tokenizer
	tools   json.RawMessage
	fixed   int                 // tokens of the tools
	start   time.Time           // of the session
	tooling []schema.ToolCall   // in the order of the calls
	ends    map[string]lastCall // of finished lanes
}

// lastCall is where and when a lane ended.
type lastCall struct {
	index int32
	at    time.Time
}

func foldSession(id string, root *lane, title string, tok *tokens.Tokenizer, start time.Time) (*schema.Session, error) {
	tools := toolDefinitions()
	f := &folding{id: id, folder: fold.New(id), tok: tok, tools: tools, fixed: tok.Count(tools), start: start, ends: map[string]lastCall{}}
	f.declare(root, title, nil)
	if err := f.lane(root, nil, start); err != nil {
		return nil, err
	}
	s := f.folder.Session()
	for _, t := range s.Trajectories {
		for _, c := range f.tooling {
			if c.TrajectoryID == t.TrajectoryID {
				s.ToolCalls = append(s.ToolCalls, c)
			}
		}
	}
	f.totals(s)
	return s, nil
}

// declare names the trajectories, the root first.
func (f *folding) declare(l *lane, title string, parent *schema.Trajectory) {
	row := schema.Trajectory{
		TrajectoryID: f.trajectory(l), AgentName: ptr("workbench"), AgentVersion: ptr("1"),
		Models: []string{model}, APIFormat: ptr(schema.FormatChat), Language: ptr("go"), License: ptr("Apache-2.0"),
		ContentTier: schema.TierFull, SourceKind: "import:written", Title: &title,
	}
	if parent != nil {
		row.ParentTrajectoryID = &parent.TrajectoryID
		row.SpawnedByCallIndex, row.SpawnedByToolCallID = parent.SpawnedByCallIndex, parent.SpawnedByToolCallID
	}
	f.folder.Trajectory(row)
	for i := range l.turns {
		for n, sub := range l.turns[i].spawned {
			from := schema.Trajectory{TrajectoryID: row.TrajectoryID, SpawnedByCallIndex: ptr(int32(i)), SpawnedByToolCallID: &l.turns[i].answer.ToolCalls[n].ID}
			f.declare(sub, title, &from)
		}
	}
}

func (f *folding) trajectory(l *lane) string { return f.id + "/" + l.name }

// lane folds a trajectory whose first call hangs on after and is due at start.
func (f *folding) lane(l *lane, after []schema.After, start time.Time) error {
	var context []json.RawMessage
	at, ended := start, start
	for i := range l.turns {
		t := &l.turns[i]
		if i > 0 {
			after, at = f.causes(l, i, ended)
		}
		for _, m := range t.added {
			context = append(context, encode(m))
		}
		if err := f.call(l, i, after, context, at); err != nil {
			return err
		}
		ended = at.Add(t.took)
		if err := f.subAgents(l, i, at); err != nil {
			return err
		}
	}
	f.ends[f.trajectory(l)] = lastCall{index: int32(len(l.turns) - 1), at: ended}
	return nil
}

// causes says what turn i waits for and when it is due: the end of the answer
// before it, and of the sub-agents which that answer started.
func (f *folding) causes(l *lane, i int, ended time.Time) ([]schema.After, time.Time) {
	gap := l.turns[i].gap
	after := []schema.After{{TrajectoryID: f.trajectory(l), CallIndex: int32(i - 1), Point: schema.PointDone, GapUS: gap.Microseconds()}}
	due := ended.Add(gap)
	const handover = 40 * time.Millisecond
	for _, sub := range l.turns[i-1].spawned {
		last := f.ends[f.trajectory(sub)]
		after = append(after, schema.After{TrajectoryID: f.trajectory(sub), CallIndex: last.index, Point: schema.PointDone, GapUS: handover.Microseconds()})
		if t := last.at.Add(handover); t.After(due) {
			due = t
		}
	}
	return after, due
}

// subAgents folds what turn i started. The first starts while the answer still
// streams, as soon as its tool call is complete; the others at its end.
func (f *folding) subAgents(l *lane, i int, at time.Time) error {
	t := &l.turns[i]
	for n, sub := range t.spawned {
		const handover = 15 * time.Millisecond
		cause := schema.After{TrajectoryID: f.trajectory(l), CallIndex: int32(i), Point: schema.PointDone, GapUS: handover.Microseconds()}
		due := at.Add(t.took + handover)
		if n == 0 && len(t.spawned) > 1 {
			cause.Point, cause.Share = schema.PointToken, 0.75
			due = at.Add(t.ttft + (t.took-t.ttft)*3/4 + handover)
		}
		if err := f.lane(sub, []schema.After{cause}, due); err != nil {
			return err
		}
	}
	return nil
}

// call folds one call with its tool calls.
func (f *folding) call(l *lane, i int, after []schema.After, context []json.RawMessage, at time.Time) error {
	t := &l.turns[i]
	body := f.body(context)
	layout, err := wire.Split(schema.FormatChat, body)
	if err != nil {
		return err
	}
	input := f.fixed
	for _, m := range context {
		input += f.tok.Count(m)
	}
	answer := encode(t.answer)
	output := max(1, f.tok.Count(answer))
	trigger, finish := schema.TriggerToolResult, "tool_calls"
	if t.user {
		trigger = schema.TriggerUser
	}
	if l.name != "root" && i == 0 {
		trigger = schema.TriggerSubagent
	}
	if len(t.answer.ToolCalls) == 0 {
		finish = "stop"
	}
	c := schema.Call{
		CallID: fmt.Sprintf("%s/%04d", f.trajectory(l), i), CallIndex: int32(i), Trigger: trigger, Purpose: schema.PurposeMain,
		After: after, APIFormat: schema.FormatChat, RequestModel: ptr(model), ResponseModel: ptr(model),
		Stream: ptr(true), HTTPStatus: ptr(int32(200)), FinishReason: &finish, Truncated: ptr(false), MaxTokens: ptr(int64(8192)),
		InputTokens: ptr(int64(input)), OutputTokens: ptr(int64(output)), TokenSource: ptr(f.tok.Name()),
		StartedAt: ptr(at), FirstTokenUS: ptr(t.ttft.Microseconds()), CompletedUS: ptr(t.took.Microseconds()),
	}
	if i > 0 {
		c.GapUS = ptr(t.gap.Microseconds())
	}
	f.toolCalls(l, i, at)
	return f.folder.Call(f.trajectory(l), c, layout, body, [][]byte{answer})
}

// toolCalls adds the rows of the calls that turn i asked for.
func (f *folding) toolCalls(l *lane, i int, at time.Time) {
	t := &l.turns[i]
	for n, c := range t.answer.ToolCalls {
		row := schema.ToolCall{
			SessionID: f.id, TrajectoryID: f.trajectory(l), CallIndex: int32(i), ToolIndex: int32(n),
			ToolCallID: ptr(c.ID), ToolName: ptr(c.Function.Name), ArgumentsBytes: ptr(int64(len(c.Function.Arguments))),
			EmittedUS: ptr(t.took.Microseconds()), ResultCallIndex: ptr(int32(i + 1)), TimingSource: "import",
		}
		if n < len(t.spawned) {
			row.SubTrajectoryID = ptr(f.trajectory(t.spawned[n]))
		} else {
			row.WallUS = ptr(t.walls[n].Microseconds())
		}
		f.tooling = append(f.tooling, row)
	}
}

// body writes a request as a chat client would.
func (f *folding) body(context []json.RawMessage) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"model":%q,"messages":[`, model)
	b.Write(bytes.Join(raw(context), []byte(",")))
	b.WriteString(`],"tools":`)
	b.Write(f.tools)
	b.WriteString(`,"stream":true,"stream_options":{"include_usage":true},"max_tokens":8192}`)
	return b.Bytes()
}

// totals fills in the trajectories' sums.
func (f *folding) totals(s *schema.Session) {
	for i := range s.Trajectories {
		row := &s.Trajectories[i]
		var in, out, most int64
		var first, last time.Time
		for _, c := range s.Calls {
			if c.TrajectoryID != row.TrajectoryID {
				continue
			}
			in, out, most = in+*c.InputTokens, out+*c.OutputTokens, max(most, *c.InputTokens)
			if first.IsZero() {
				first = *c.StartedAt
			}
			last = c.StartedAt.Add(time.Duration(*c.CompletedUS) * time.Microsecond)
		}
		for _, t := range s.ToolCalls {
			if t.TrajectoryID == row.TrajectoryID {
				row.NumToolCalls++
			}
		}
		row.TotalInputTokens, row.TotalOutputTokens, row.MaxContextTokens = &in, &out, &most
		row.StartedAt, row.DurationUS = &first, ptr(last.Sub(first).Microseconds())
	}
}

func toolDefinitions() json.RawMessage {
	var list []any
	for _, t := range toolbox {
		properties, required := map[string]any{}, []string{}
		for _, p := range t.params {
			properties[p.name] = map[string]string{"type": p.kind, "description": p.about}
			if p.required {
				required = append(required, p.name)
			}
		}
		list = append(list, map[string]any{"type": "function", "function": map[string]any{
			"name": t.name, "description": t.about,
			"parameters": map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false},
		}})
	}
	return encode(list)
}

// encode writes JSON as chat clients do: characters of HTML as they are.
func encode(v any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("make: internal error: " + err.Error())
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

func raw(list []json.RawMessage) [][]byte {
	out := make([][]byte, len(list))
	for i := range list {
		out[i] = list[i]
	}
	return out
}

func ptr[T any](v T) *T { return &v }
