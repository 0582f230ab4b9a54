package convert

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/capstan-bench/capstan/schema"
)

// Warnings of the weka importer.
const (
	warnNumbers = "numbers that make no sense taken as missing"
	warnTimes   = "requests without a time put at the end of the one before"
	warnIdle    = "sub-agents without requests left out"
)

// wekaSlack is by how much, in microseconds, an end may lie after the start that
// followed it: starts are whole seconds.
const wekaSlack = 1_000_000

// wekaLane is one trajectory.
type wekaLane struct {
	id       string
	parent   int // lane, -1 for the root
	launcher int // call of the parent that launched it, -1 if none had been sent
	start    int64
	entry    *wekaEntry // of a sub-agent
	system   int64      // tokens of tools and system prompt, -1 if unknown
	requests []*wekaEntry
	spans    []span
}

// wekaSession is the trace being imported.
type wekaSession struct {
	trace *wekaTrace
	times wekaTimes
	lanes []*wekaLane
	ids   map[string]bool
	warn  warnings
}

// importWeka turns a trace into a session; nil if it has no calls.
func importWeka(b []byte) (*schema.Session, error) {
	t, err := parseWeka(b)
	if err != nil {
		return nil, err
	}
	w := &wekaSession{trace: t, times: timesOf(t), ids: make(map[string]bool), warn: make(warnings)}
	root := w.lane(&wekaLane{id: rootTrajectory, parent: -1, launcher: -1, system: sumTokens(t.ToolTokens, t.SystemTokens)})
	w.fill(root, t.Requests, 0)
	calls := 0
	for _, l := range w.lanes {
		calls += len(l.requests)
	}
	if calls == 0 {
		return nil, nil
	}
	return w.rows()
}

// lane adds a lane under an id of its own and returns its place.
func (w *wekaSession) lane(l *wekaLane) int {
	id := l.id
	for n := 2; w.ids[l.id]; n++ {
		l.id = fmt.Sprintf("%s#%d", id, n)
	}
	w.ids[l.id] = true
	w.lanes = append(w.lanes, l)
	return len(w.lanes) - 1
}

// sumTokens is -1 if neither is known.
func sumTokens(a, b number) int64 {
	if !a.known && !b.known {
		return -1
	}
	return int64(a.v + b.v)
}

// fill gives a lane its requests, whose times count from base, in the order of
// their starts, and makes lanes of its sub-agents.
func (w *wekaSession) fill(lane int, entries []wekaEntry, base int64) {
	l := w.lanes[lane]
	type timed struct {
		*wekaEntry
		span
	}
	var calls []timed
	last := l.start
	for i := range entries {
		e := &entries[i]
		if e.Type == wekaSubagent {
			continue
		}
		s := span{start: base + e.T.us(), ended: e.APITime.known}
		if !e.T.known {
			w.warn[warnTimes]++
			s.start = last
		}
		s.end = s.start + e.APITime.us()
		last = s.end
		calls = append(calls, timed{e, s})
		w.count(e.T, e.In, e.Out, e.APITime, e.TTFT)
	}
	slices.SortStableFunc(calls, func(a, b timed) int { return cmp.Compare(a.start, b.start) })
	for _, c := range calls {
		l.requests, l.spans = append(l.requests, c.wekaEntry), append(l.spans, c.span)
	}
	for i := range entries {
		if e := &entries[i]; e.Type == wekaSubagent {
			w.subagent(lane, e, base)
		}
	}
}

func (w *wekaSession) count(numbers ...number) {
	for _, n := range numbers {
		if n.odd {
			w.warn[warnNumbers]++
		}
	}
}

// subagent makes a lane of a sub-agent whose own time counts from base.
func (w *wekaSession) subagent(parent int, e *wekaEntry, base int64) {
	w.count(e.T, e.DurationMS, e.ToolTokens, e.SystemTokens)
	if len(e.Requests) == 0 {
		w.warn[warnIdle]++
		return
	}
	start, inner := w.times.launch(e, base)
	l := &wekaLane{
		id: cmp.Or(e.AgentID, wekaSubagent), parent: parent, start: start, entry: e,
		launcher: latest(w.lanes[parent].spans, start), system: sumTokens(e.ToolTokens, e.SystemTokens),
	}
	w.fill(w.lane(l), e.Requests, inner)
}

// latest returns the last of the spans, which are sorted, that starts at or
// before a time; -1 if there is none.
func latest(spans []span, at int64) int {
	n, _ := slices.BinarySearchFunc(spans, at, func(s span, at int64) int {
		if s.start <= at {
			return -1
		}
		return 1
	})
	return n - 1
}

// rows makes the session.
func (w *wekaSession) rows() (*schema.Session, error) {
	s := &schema.Session{ID: w.trace.ID, Blobs: map[string]schema.Blob{}}
	for n, l := range w.lanes {
		s.Trajectories = append(s.Trajectories, w.trajectory(l))
		for i := range l.requests {
			s.Calls = append(s.Calls, w.call(n, i))
		}
	}
	w.join(s)
	s.Trajectories[0].ExtraJSON = w.warn.extraJSON()
	addTotals(s)
	var err error
	s.Blocks, err = w.blocks()
	return s, err
}

func (w *wekaSession) trajectory(l *wekaLane) schema.Trajectory {
	t := schema.Trajectory{
		SessionID: w.trace.ID, TrajectoryID: l.id, APIFormat: ptr(schema.FormatNone),
		NumCalls: int32(len(l.requests)), ContentTier: schema.TierHashed, SourceKind: schema.SourceImport + ":weka",
	}
	if l.parent >= 0 {
		t.ParentTrajectoryID = &w.lanes[l.parent].id
		t.AgentName, t.ExitStatus = text(l.entry.SubagentType), text(l.entry.Status)
		if l.launcher >= 0 {
			t.SpawnedByCallIndex = ptr(int32(l.launcher))
		}
	}
	return t
}

// call makes the row of call i of a lane.
func (w *wekaSession) call(lane, i int) schema.Call {
	l := w.lanes[lane]
	r, at := l.requests[i], l.spans[i]
	input := w.input(r)
	c := schema.Call{
		CallID:    fmt.Sprintf("%s/%s/%d", w.trace.ID, l.id, i),
		SessionID: w.trace.ID, TrajectoryID: l.id, CallIndex: int32(i),
		Trigger: trigger(l, i), Purpose: schema.PurposeMain, APIFormat: schema.FormatNone,
		RequestModel: text(r.Model), Stream: ptr(r.Type == "s"), FinishReason: text(r.Stop),
		InputTokens: &input, TokenSource: ptr("provider"),
		StartedAt: ptr(time.UnixMicro(at.start).UTC()),
	}
	if r.Out.known {
		c.OutputTokens = ptr(int64(r.Out.v))
	}
	if at.ended {
		c.CompletedUS = ptr(at.end - at.start)
	}
	if r.TTFT.known && (!at.ended || r.TTFT.us() <= at.end-at.start) {
		c.FirstTokenUS = ptr(r.TTFT.us())
	}
	c.After, c.GapUS = causes(l.id, l.spans, i, wekaSlack)
	switch {
	case i > 0:
	case l.parent >= 0:
		c.After = []schema.After{w.launched(l)}
	case at.start > w.began():
		c.After = []schema.After{{Point: schema.PointStart, GapUS: at.start - w.began()}}
	}
	return c
}

// input is the number of prompt tokens; that of its blocks where the trace does
// not say.
func (w *wekaSession) input(r *wekaEntry) int64 {
	if r.In.known {
		return int64(r.In.v)
	}
	return int64(len(r.HashIDs)) * int64(w.trace.blockSize())
}

// trigger tells from what a request brought, or how the answer before it ended,
// what made it happen.
func trigger(l *wekaLane, i int) string {
	types := l.requests[i].InputTypes
	switch {
	case i == 0 && l.parent >= 0:
		return schema.TriggerSubagent
	case slices.Contains(types, "tool_result"):
		return schema.TriggerToolResult
	case slices.Contains(types, "text") || i == 0:
		return schema.TriggerUser
	}
	switch l.requests[i-1].Stop {
	case "tool_use":
		return schema.TriggerToolResult
	case "end_turn", "stop_sequence":
		return schema.TriggerUser
	}
	return schema.TriggerUnknown
}
