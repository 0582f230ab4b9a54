package convert

// wekaRounding is how far the times of a trace may be off, in seconds: starts of
// requests are whole seconds, those of sub-agents are not.
const wekaRounding = 1.5

// wekaTimes says how a file counts the times of its sub-agents.
type wekaTimes struct {
	relative bool // requests count from the sub-agent's start, not from the trace's
	end      bool // a sub-agent's t is its end, not its start
}

// timesOf finds out which of its conventions a trace follows. They differ
// between builds of the format and no member names them.
func timesOf(t *wekaTrace) wekaTimes {
	relative := !startsLate(t)
	for i := range t.Requests {
		e := &t.Requests[i]
		if first, ok := firstRequest(e); ok && e.T.known && first < e.T.v-e.duration()-wekaRounding {
			relative = true // from the trace's start it would be before any possible launch
		}
	}
	return wekaTimes{relative: relative, end: relative && marksEnds(t)}
}

// startsLate reports whether a sub-agent has its first request long after 0.
func startsLate(t *wekaTrace) bool {
	for i := range t.Requests {
		if first, ok := firstRequest(&t.Requests[i]); ok && first > wekaRounding {
			return true
		}
	}
	return false
}

// marksEnds reports whether t is the end of most of the sub-agents that can
// tell: as an end it must leave the duration between the request before the
// sub-agent and t, as a start between t and the request after it. Sub-agents
// that run on by themselves, and those that fit both ways, do not vote.
func marksEnds(t *wekaTrace) bool {
	votes := 0
	for i := range t.Requests {
		e := &t.Requests[i]
		if e.Type != wekaSubagent || e.Status == wekaAsync || !e.T.known || e.duration() == 0 {
			continue
		}
		asEnd, asStart := true, true
		for _, p := range t.Requests[:i] {
			if p.Type != wekaSubagent && p.T.known && p.T.v+p.APITime.v > e.T.v-e.duration()+wekaRounding {
				asEnd = false
			}
		}
		for _, n := range t.Requests[i+1:] {
			if n.Type != wekaSubagent && n.T.known && n.T.v < e.T.v+e.duration()-wekaRounding {
				asStart = false
			}
		}
		switch {
		case asEnd && !asStart:
			votes++
		case asStart && !asEnd:
			votes--
		}
	}
	return votes > 0
}

// duration is a sub-agent's duration in seconds, 0 if unknown.
func (e *wekaEntry) duration() float64 { return e.DurationMS.v / 1000 }

// firstRequest returns the smallest t of a sub-agent's requests as it is given.
func firstRequest(e *wekaEntry) (first float64, ok bool) {
	if e.Type != wekaSubagent {
		return 0, false
	}
	for _, r := range e.Requests {
		if r.T.known && (!ok || r.T.v < first) {
			first, ok = r.T.v, true
		}
	}
	return first, ok
}

// launch returns the start of sub-agent e in microseconds since the trace's, and
// what the times of its requests count from. base is what e.T counts from.
func (w wekaTimes) launch(e *wekaEntry, base int64) (start, inner int64) {
	if !w.relative {
		first, ok := firstRequest(e)
		if !ok {
			first = e.T.v
		}
		return number{v: first}.us(), 0
	}
	start = base + e.T.us()
	if w.end {
		start = max(start-number{v: e.duration()}.us(), base)
	}
	return start, start
}
