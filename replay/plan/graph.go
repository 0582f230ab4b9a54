package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/capstan-bench/capstan/schema"
)

// callKey names a call as calls.after and prefix_blocks do.
type callKey struct {
	trajectory string
	index      int32
}

// graph is what each call of a session hangs on. Edge.From is an index into the
// session's calls here.
type graph struct {
	draft  *draft
	cfg    Config
	byName map[callKey][]int32 // attempts, in order
	before []int32             // the call before in its lane, or -1
	after  [][]Edge            // as recorded; walk replaces those on failed calls
	failed []bool
	when   []when
	depth  []int32
}

func newGraph(d *draft, cfg Config) (*graph, error) {
	n := len(d.calls)
	g := &graph{
		draft: d, cfg: cfg, byName: map[callKey][]int32{}, before: make([]int32, n),
		after: make([][]Edge, n), failed: make([]bool, n), when: make([]when, n), depth: make([]int32, n),
	}
	g.name()
	for i := range d.calls {
		g.failed[i] = failed(&d.session.Calls[i])
		after, err := g.causes(int32(i))
		if err != nil {
			return nil, err
		}
		g.after[i] = after
	}
	return g, nil
}

// name sorts the calls of each lane.
func (g *graph) name() {
	calls := g.draft.session.Calls
	sorted := make([]int32, len(calls))
	for i := range sorted {
		sorted[i] = int32(i)
	}
	refs := g.draft.calls
	slices.SortFunc(sorted, func(a, b int32) int {
		return cmp.Or(cmp.Compare(refs[a].Lane, refs[b].Lane), cmp.Compare(refs[a].Index, refs[b].Index),
			cmp.Compare(calls[a].Attempt, calls[b].Attempt), cmp.Compare(a, b))
	})
	for i, call := range sorted {
		g.before[call] = -1
		if i > 0 && refs[sorted[i-1]].Lane == refs[call].Lane {
			g.before[call] = sorted[i-1]
		}
		key := callKey{calls[call].TrajectoryID, calls[call].CallIndex}
		g.byName[key] = append(g.byName[key], call)
	}
}

// causes are a call's edges: what calls.after holds; where it is empty, the end
// of the call before in the lane; for the first call of a sub-agent, the end of
// the call that spawned it; else the session's start.
func (g *graph) causes(call int32) ([]Edge, error) {
	c := &g.draft.session.Calls[call]
	var gap time.Duration
	if c.GapUS != nil {
		gap = g.cfg.gap(*c.GapUS)
	}
	switch {
	case len(c.After) > 0:
		return g.recorded(call, c.After)
	case g.before[call] >= 0:
		return []Edge{{From: g.before[call], At: Done, Gap: gap}}, nil
	}
	t := &g.draft.session.Trajectories[g.draft.calls[call].Lane]
	if t.ParentTrajectoryID != nil && t.SpawnedByCallIndex != nil {
		if by, ok := g.find(call, *t.ParentTrajectoryID, *t.SpawnedByCallIndex); ok {
			return []Edge{{From: by, At: Done, Gap: gap}}, nil
		}
	}
	return []Edge{{At: PlayStart, Gap: g.cfg.gap(sinceStart(g.draft.session, c))}}, nil
}

func (g *graph) recorded(call int32, after []schema.After) ([]Edge, error) {
	var edges []Edge
	for _, a := range after {
		e := Edge{Gap: g.cfg.gap(a.GapUS)}
		switch a.Point {
		case schema.PointStart:
			edges = append(edges, e)
			continue
		case schema.PointSent:
			e.At = Sent
		case schema.PointDone:
			e.At = Done
		case schema.PointToken:
			e.At, e.Share = Token, share(a.Share)
		default:
			return nil, g.wrong(call, fmt.Sprintf("unknown point %q", a.Point))
		}
		from, ok := g.find(call, a.TrajectoryID, a.CallIndex)
		if !ok {
			return nil, g.wrong(call, fmt.Sprintf("hangs on call %d of trajectory %q, which is not in the session", a.CallIndex, a.TrajectoryID))
		}
		e.From = from
		edges = append(edges, e)
	}
	return tidy(edges), nil
}

// leastShare stands for the first token of any answer.
const leastShare = 1e-6

func share(recorded float32) float32 {
	if !(recorded > leastShare) { // also not a number
		return leastShare
	}
	return min(recorded, 1)
}

// find is the call that a cause names: its last attempt, and for another attempt
// at the same call the one before.
func (g *graph) find(call int32, trajectory string, index int32) (int32, bool) {
	attempts := g.byName[callKey{trajectory, index}]
	if i := slices.Index(attempts, call); i >= 0 {
		attempts = attempts[:i]
	}
	if len(attempts) == 0 {
		return 0, false
	}
	return attempts[len(attempts)-1], true
}

func (g *graph) wrong(call int32, what string) error {
	c := &g.draft.session.Calls[call]
	return fmt.Errorf("read causes of call %d of trajectory %q: %s", c.CallIndex, c.TrajectoryID, what)
}

// walk visits the calls, causes first, and finds for each its due time and depth.
// A failed call takes no time and leaves its place to its own causes: what hangs
// on it hangs on them, after both gaps.
func (g *graph) walk(z *sizes) error {
	n := len(g.after)
	wait := make([]int32, n)
	next := make([][]int32, n)
	for i, after := range g.after {
		for _, e := range after {
			if e.At != PlayStart {
				wait[i]++
				next[e.From] = append(next[e.From], int32(i))
			}
		}
	}
	var ready []int32
	for i := range wait {
		if wait[i] == 0 {
			ready = append(ready, int32(i))
		}
	}
	for i := 0; i < len(ready); i++ {
		call := ready[i]
		g.visit(call, z.took[call])
		for _, to := range next[call] {
			if wait[to]--; wait[to] == 0 {
				ready = append(ready, to)
			}
		}
	}
	for i := range wait {
		if wait[i] > 0 {
			return g.wrong(int32(i), "hangs on itself, through other calls")
		}
	}
	return nil
}

func (g *graph) visit(call int32, took when) {
	var after []Edge
	for _, e := range g.after[call] {
		if e.At == PlayStart || !g.failed[e.From] {
			after = append(after, e)
			continue
		}
		for _, cause := range g.after[e.From] {
			cause.Gap = later(cause.Gap, e.Gap)
			after = append(after, cause)
		}
	}
	after = tidy(after)
	g.after[call] = after
	w := when{}
	for _, e := range after {
		at := e.Gap
		if e.At != PlayStart {
			at = later(g.when[e.From].at(e.At, e.Share), e.Gap)
			g.depth[call] = max(g.depth[call], g.depth[e.From]+1)
		}
		w.due = max(w.due, at)
	}
	w.first, w.last, w.done = later(w.due, took.first), later(w.due, took.last), later(w.due, took.done)
	g.when[call] = w
}

// sinceStart is how long after the session's earliest call a call began, in
// microseconds; 0 where either time is unknown.
func sinceStart(s *schema.Session, c *schema.Call) int64 {
	if c.StartedAt == nil {
		return 0
	}
	first := *c.StartedAt
	for i := range s.Calls {
		if at := s.Calls[i].StartedAt; at != nil && at.Before(first) {
			first = *at
		}
	}
	return c.StartedAt.Sub(first).Microseconds()
}

// idle is how long the session went on after its last answer, by the duration
// of its root trajectory; 0 where that is unknown.
func idle(s *schema.Session, cfg Config) time.Duration {
	root := &s.Trajectories[0]
	if root.StartedAt == nil || root.DurationUS == nil {
		return 0
	}
	left := *root.DurationUS
	for i := range s.Calls {
		c := &s.Calls[i]
		if c.StartedAt == nil || c.CompletedUS == nil {
			return 0
		}
		left = min(left, *root.DurationUS-c.StartedAt.Sub(*root.StartedAt).Microseconds()-*c.CompletedUS)
	}
	return cfg.gap(left)
}
