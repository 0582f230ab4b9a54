package plan

import (
	"slices"
	"time"
)

// sends tells whether a step is due at or after x.
func (t *track) sends(x time.Duration) bool { return t.when[len(t.when)-1].due >= x }

// after is the whole script with a wait before it; a wait below zero takes from
// the one that is recorded.
func (t *track) after(wait time.Duration) *Script {
	if wait == 0 {
		return t.script
	}
	s := t.copy()
	for i := range s.Steps {
		st := &s.Steps[i]
		for j, e := range st.After {
			if e.At == PlayStart {
				st.After = slices.Clone(st.After)
				st.After[j].Gap = max(later(e.Gap, wait), 0)
			}
		}
	}
	s.links = link(s.Steps)
	return s
}

// enter is the script from the instant x of the session on. What was sent
// before x is skipped, except one step of each lane that lives on: it primes
// the lane's prefix, and everything that was under way at x goes on when it is
// done, after the time that was left.
func (t *track) enter(x time.Duration) *Script {
	if x <= t.when[0].due {
		return t.after(-x)
	}
	s := t.copy()
	primes := t.primes(x)
	begun := make([]bool, len(s.Lanes))
	primed := time.Duration(0)
	for i := range s.Steps {
		st := &s.Steps[i]
		if t.when[i].due >= x {
			st.After = t.resume(st, primes, x, !begun[st.Lane])
			begun[st.Lane] = true
			continue
		}
		st.After = nil
		st.Role = Skip
		if primes[st.Lane] == int32(i) {
			t.prime(st, i, primed*laneStagger)
			primed++
		}
	}
	t.tree.ideal(s.Steps)
	s.links = link(s.Steps)
	return s
}

// copy is the script with steps of its own. Bodies and pieces stay shared.
func (t *track) copy() *Script {
	s := *t.script
	s.Steps = slices.Clone(s.Steps)
	return &s
}

// primes is for each lane the step that primes it at x, or -1. A lane lives on
// when one of its steps is still to be sent or still being answered. It is
// primed with its last turn sent; where there is none, with its last step.
func (t *track) primes(x time.Duration) []int32 {
	steps := t.script.Steps
	last := make([]int32, len(t.script.Lanes))
	alive := make([]bool, len(t.script.Lanes))
	for i := range last {
		last[i] = -1
	}
	for i := range steps {
		w, lane := t.when[i], steps[i].Lane
		alive[lane] = alive[lane] || w.due >= x || w.done > x
		if w.due < x && (w.main || last[lane] < 0 || !t.when[last[lane]].main) {
			last[lane] = int32(i)
		}
	}
	for lane := range last {
		if !alive[lane] {
			last[lane] = -1
		}
	}
	return last
}

// laneStagger lies between the primes of a play's lanes, so that every driver
// sends them in the same order. It shares no multiple with Stagger below 3 s.
const laneStagger = 617 * time.Microsecond

// prime makes a step ask for one token, so long after the play begins.
func (t *track) prime(st *Step, i int, gap time.Duration) {
	st.Role, st.Output = Prime, 1
	st.After = []Edge{{At: PlayStart, Gap: gap}}
	end := len(st.Body.Segs) - 1
	st.Body.Len += int64(len(t.short[i]) - len(st.Body.Segs[end]))
	st.Body.Segs = slices.Clone(st.Body.Segs)
	st.Body.Segs[end] = t.short[i]
}

// resume is what a step waits for in a play that begins at x. A cause that lies
// before x becomes the end of a prime and the time that was left. The first
// step of a lane waits for the lane's own prime in any case.
func (t *track) resume(st *Step, primes []int32, x time.Duration, first bool) []Edge {
	var after []Edge
	if own := primes[st.Lane]; own >= 0 && first {
		after = append(after, Edge{From: own, At: Done})
	}
	for _, e := range st.After {
		if e.At != PlayStart && t.when[e.From].due >= x {
			after = append(after, e)
			continue
		}
		cause := st.Lane
		if e.At != PlayStart {
			cause = t.script.Steps[e.From].Lane
		}
		after = append(after, t.remains(primes, st.Lane, cause, t.fires(e)-x))
	}
	return tidy(after)
}

// remains is the edge that stands for a wait with some time left at the play's
// start: after the prime of the step's own lane, else of the cause's, else of
// any, else after the start itself.
func (t *track) remains(primes []int32, own, cause int32, left time.Duration) Edge {
	left = max(left, 0)
	for _, lane := range []int32{own, cause} {
		if primes[lane] >= 0 {
			return Edge{From: primes[lane], At: Done, Gap: left}
		}
	}
	for _, p := range primes {
		if p >= 0 {
			return Edge{From: p, At: Done, Gap: left}
		}
	}
	return Edge{At: PlayStart, Gap: left}
}
