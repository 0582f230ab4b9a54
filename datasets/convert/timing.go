package convert

import (
	"github.com/capstan-bench/capstan/schema"
)

// span is when a call ran, in microseconds since its session's start.
type span struct {
	start, end int64
	ended      bool // end is known
}

// causes returns what made call i of a trajectory happen, judged by time: the
// call before it is the one with the latest start among those listed earlier.
//
//   - It had ended by then: wait for its end, then for the gap.
//   - It had not: wait as long since its sending as was recorded.
//   - Its end is unknown: both, so the schedule is kept and calls still follow
//     each other.
//
// Times are recorded with some error; an end up to slack after the start counts
// as being before it. The first call has no cause.
func causes(trajectory string, spans []span, i int, slack int64) (after []schema.After, gap *int64) {
	if i == 0 {
		return nil, nil
	}
	p := before(spans, i)
	if p < 0 { // listed later, but started before all others
		return []schema.After{{Point: schema.PointStart, GapUS: max(spans[i].start-earliest(spans), 0)}}, nil
	}
	since := spans[i].start - spans[p].start
	idle := max(spans[i].start-spans[p].end, 0)
	edge := schema.After{TrajectoryID: trajectory, CallIndex: int32(p), Point: schema.PointDone, GapUS: idle}
	switch {
	case !spans[p].ended:
		sent := edge
		edge.GapUS = 0
		sent.Point, sent.GapUS = schema.PointSent, since
		return []schema.After{edge, sent}, nil
	case spans[p].end > spans[i].start+slack:
		edge.Point, edge.GapUS = schema.PointSent, since
		return []schema.After{edge}, nil
	}
	return []schema.After{edge}, &idle
}

// before returns the call with the latest start at or before that of call i
// among the calls listed earlier; -1 if there is none.
func before(spans []span, i int) int {
	best := -1
	for j := i - 1; j >= 0; j-- {
		if spans[j].start <= spans[i].start && (best < 0 || spans[j].start > spans[best].start) {
			best = j
		}
	}
	return best
}

func earliest(spans []span) int64 {
	first := spans[0].start
	for _, s := range spans {
		first = min(first, s.start)
	}
	return first
}
