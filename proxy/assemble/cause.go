package assemble

import (
	"slices"

	"github.com/capstan-bench/capstan/schema"
)

// trigger is the column of that name.
func (b *builder) trigger(c *call) string {
	switch {
	case c.retry != nil:
		return schema.TriggerRetry
	case c.role == roleSummary, c.pred != nil && c.pred.role == roleSummary:
		return schema.TriggerCompaction
	case c.off:
		return schema.TriggerSide
	case c.lane.by != nil && c.opens():
		return schema.TriggerSubagent
	}
	brought := b.brought(c)
	switch {
	case slices.ContainsFunc(brought, func(e *entry) bool { return e.given }):
		return schema.TriggerToolResult
	case len(brought) == 0:
		return schema.TriggerUnknown
	}
	return schema.TriggerUser
}

// opens says whether a turn is its agent's first.
func (c *call) opens() bool {
	i := slices.IndexFunc(c.lane.calls, func(p *call) bool { return !p.off })
	return i >= 0 && c.lane.calls[i] == c
}

// brought are the elements that a call's context has beyond that of the call it
// carries on, without those that the answer put there.
func (b *builder) brought(c *call) (out []*entry) {
	from := int32(0)
	if c.pred != nil {
		from = b.tree.common(c.pred.node, c.node)
	}
	for _, n := range b.tree.path(from, c.node) {
		if e := &b.tree.entries[n]; e.kind != kindAssistant {
			out = append(out, e)
		}
	}
	return out
}

// causes are what a call waited for.
func (b *builder) causes(c *call) []schema.After {
	switch {
	case c.retry != nil:
		return b.tryAgain(c)
	case c.off:
		return b.beside(c)
	case c.opens() && c.lane.by != nil:
		return b.launched(c)
	}
	q := b.before(c)
	if q == nil {
		return b.sinceStart(c)
	}
	after := b.edge(q, c.start, -1)
	if after == nil {
		return b.sinceStart(c)
	}
	return b.joined(c, q, after)
}

// before is the call that a turn follows: its agent's turn before it, or what
// came between, where it carries that on. A first turn that nothing spawned
// follows whatever turn of the session had ended last.
func (b *builder) before(c *call) (q *call) {
	for _, p := range c.lane.calls {
		if p.order < c.order && (!p.off || p == c.pred) && (q == nil || p.order > q.order) {
			q = p
		}
	}
	if q != nil || c.lane.parent == nil {
		return q
	}
	for _, p := range b.g.calls {
		if p.order < c.order && !p.off && p.end >= 0 && p.end <= c.start && (q == nil || p.end > q.end) {
			q = p
		}
	}
	return q
}

// sinceStart ties a call to the session's first instant. Readers take that for
// granted of the first call alone.
func (b *builder) sinceStart(c *call) []schema.After {
	if c == b.g.lanes[0].first() && c.start == b.from {
		return nil
	}
	return []schema.After{{Point: schema.PointStart, GapUS: c.start - b.from}}
}

// tryAgain ties an attempt to the one before it.
func (b *builder) tryAgain(c *call) []schema.After {
	if e := b.edge(c.retry, c.start, -1); e != nil {
		return []schema.After{*e}
	}
	return []schema.After{{TrajectoryID: c.lane.id, CallIndex: c.index, Point: schema.PointSent}}
}

// beside ties a call off the main chain to the agent's latest call before it.
func (b *builder) beside(c *call) []schema.After {
	var q *call
	for _, p := range c.lane.calls {
		if p.order < c.order && (q == nil || p.order > q.order) {
			q = p
		}
	}
	if q != nil {
		if e := b.edge(q, c.start, -1); e != nil {
			return []schema.After{*e}
		}
	}
	return b.sinceStart(c)
}

// launched ties a sub-agent's first turn to the answer that spawned it: to its
// end, or to the place of the tool call in it where that had not come yet.
func (b *builder) launched(c *call) []schema.After {
	by, tool := c.lane.by, int64(-1)
	if c.lane.byTool >= 0 {
		tool = by.asked[c.lane.byTool].at
	}
	if e := b.edge(by, c.start, tool); e != nil {
		return []schema.After{*e}
	}
	return b.sinceStart(c)
}

// edge ties what began at an instant to a call: to its end; while that had not
// come, to the share of its answer that had, up to the end of a tool call where
// that is given; before the first token, to its sending. It is nil where the call
// had not been sent.
func (b *builder) edge(p *call, at, tool int64) *schema.After {
	e := &schema.After{TrajectoryID: p.lane.id, CallIndex: p.index, Point: schema.PointDone}
	if p.end >= 0 && p.end <= at {
		e.GapUS = at - p.end
		return e
	}
	upTo := at
	if tool >= 0 && tool < at {
		upTo = tool
	}
	if share, when := b.share(p, upTo); share > 0 {
		e.Point, e.Share, e.GapUS = schema.PointToken, share, at-when
		return e
	}
	if p.sent > at {
		return nil
	}
	e.Point, e.GapUS = schema.PointSent, at-p.sent
	return e
}

// share is how much of an answer had come by an instant, and when the last of it
// came. Tokens are taken to be alike in bytes.
func (b *builder) share(p *call, at int64) (share float32, when int64) {
	row := &b.records[p].Row
	had, all := int64(0), int64(0)
	for i, off := range row.ChunkOffsetsUS {
		n := int64(row.ChunkBytes[i])
		if all += n; p.start+off <= at {
			had, when = all, p.start+off
		}
	}
	if all == 0 {
		return 0, 0
	}
	return float32(float64(had) / float64(all)), when
}

// joined adds the sub-agents that a turn waited for. The time from the last end
// to the turn is the gap of that cause; what ended before was waited through.
func (b *builder) joined(c, q *call, edge *schema.After) []schema.After {
	latest := q.end
	var ends []*call
	for _, a := range b.g.lanes {
		if end := b.waited(c, q, a); end != nil {
			ends = append(ends, end)
			latest = max(latest, end.end)
		}
	}
	out := []schema.After{*edge}
	if latest > q.end && edge.Point == schema.PointDone {
		out[0].GapUS = 0
	}
	for _, end := range ends {
		e := schema.After{TrajectoryID: end.lane.id, CallIndex: end.index, Point: schema.PointDone}
		if latest > q.end {
			e.GapUS = c.start - latest
		}
		out = append(out, e)
	}
	return out
}

// waited is the last turn of an agent for which c waited, nil if it did not: its
// result is in c's context, or it ended while c's tools ran and was still then.
func (b *builder) waited(c, q *call, a *lane) *call {
	if a.parent != c.lane || a.by == nil || a.by.order >= c.order {
		return nil
	}
	var last *call
	for _, p := range a.calls {
		if p.off || p.order > c.order {
			continue
		}
		if p.end < 0 || p.end > c.start {
			return nil // at work still
		}
		if last == nil || p.end > last.end {
			last = p
		}
	}
	if last == nil {
		return nil
	}
	brought := b.brought(c)
	id := uint64(0)
	if a.byTool >= 0 {
		id = a.by.asked[a.byTool].id
	}
	has := id != 0 && slices.ContainsFunc(brought, func(e *entry) bool { return slices.Contains(e.ids, id) })
	ran := q.end >= 0 && last.end > q.end && slices.ContainsFunc(brought, func(e *entry) bool { return e.given })
	if has || ran {
		return last
	}
	return nil
}
