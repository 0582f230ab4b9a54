package convert

import (
	"github.com/capstan-bench/capstan/schema"
)

// launched returns the cause of a sub-agent's first call: the end of the
// launching call, or, where the sub-agent started while that still ran, the
// share of its answer that had come by then, taken as even over time.
func (w *wekaSession) launched(l *wekaLane) schema.After {
	first := l.spans[0].start
	if l.launcher < 0 {
		return schema.After{Point: schema.PointStart, GapUS: max(first-w.began(), 0)}
	}
	parent := w.lanes[l.parent]
	by := parent.spans[l.launcher]
	edge := schema.After{TrajectoryID: parent.id, CallIndex: int32(l.launcher), Point: schema.PointDone}
	switch {
	case !by.ended:
		edge.Point, edge.GapUS = schema.PointSent, max(first-by.start, 0)
	case by.end <= l.start+wekaSlack:
		edge.GapUS = max(first-by.end, 0)
	default:
		from := by.start
		if ttft := parent.requests[l.launcher].TTFT; ttft.known {
			from = min(from+ttft.us(), by.end)
		}
		edge.Point, edge.GapUS = schema.PointToken, max(first-l.start, 0)
		edge.Share = float32(max(l.start-from, 0)) / float32(max(by.end-from, 1))
	}
	return edge
}

// began returns the start of the trace's first call.
func (w *wekaSession) began() int64 {
	first := int64(-1)
	for _, l := range w.lanes {
		for _, s := range l.spans {
			if first < 0 || s.start < first {
				first = s.start
			}
		}
	}
	return first
}

// join makes the call after a launching call wait for the sub-agents that were
// launched, unless they were to run on by themselves or the call came before
// they had ended. The time from the last end to that call is then the gap of all
// of these causes, and the launching call's end needs none: it was waited
// through.
func (w *wekaSession) join(s *schema.Session) {
	rows := make(map[*wekaLane]int, len(w.lanes)) // of the lane's first call
	n := 0
	for _, l := range w.lanes {
		rows[l] = n
		n += len(l.spans)
	}
	type target struct{ lane, call int }
	joined := make(map[target][]schema.After)
	ends := make(map[target]int64)
	var order []target
	for _, l := range w.lanes[1:] {
		last, end := l.last()
		at := target{l.parent, l.launcher + 1}
		spans := w.lanes[l.parent].spans
		if l.launcher < 0 || l.entry.Status == wekaAsync || at.call >= len(spans) {
			continue
		}
		if start := spans[at.call].start; start < end-wekaSlack || start < l.spans[last].start {
			continue
		}
		if joined[at] == nil {
			order = append(order, at)
		}
		joined[at] = append(joined[at], schema.After{TrajectoryID: l.id, CallIndex: int32(last), Point: schema.PointDone})
		ends[at] = max(ends[at], end)
	}
	for _, at := range order {
		l := w.lanes[at.lane]
		c := &s.Calls[rows[l]+at.call]
		for i := range c.After {
			c.After[i].GapUS = 0
		}
		for _, edge := range joined[at] {
			edge.GapUS = max(l.spans[at.call].start-ends[at], 0)
			c.After = append(c.After, edge)
		}
	}
}

// last returns a sub-agent's call that ended last, and that end.
func (l *wekaLane) last() (call int, end int64) {
	for i, s := range l.spans {
		if s.end >= end {
			call, end = i, s.end
		}
	}
	if !l.spans[call].ended {
		end = max(end, l.start+number{v: l.entry.duration()}.us())
	}
	return call, end
}
