package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/capstan-bench/capstan/schema"
)

// draft is a session's steps before they have bodies.
type draft struct {
	session *schema.Session
	text    bool // bodies come from recorded text, else from token blocks
	lanes   []string
	calls   []CallRef
	steps   []draftStep
	cut     int // steps that do not fit the model's context, or hang on one
}

// draftStep is a step before it has a body.
type draftStep struct {
	call   int32 // index into session.Calls
	lane   int32
	after  []Edge
	when   when
	input  int64
	output int32
	turn   int32
}

// newDraft turns a session's calls into steps in the order of their recorded,
// capped time, and cuts those that the model cannot take.
func newDraft(s *schema.Session, cfg Config) (*draft, error) {
	if len(s.Trajectories) == 0 {
		return nil, fmt.Errorf("read trajectories: there are none")
	}
	text, err := hasText(s)
	if err != nil {
		return nil, err
	}
	d := &draft{session: s, text: text}
	lanes := map[string]int32{}
	for i, t := range s.Trajectories {
		lanes[t.TrajectoryID] = int32(i)
		d.lanes = append(d.lanes, t.TrajectoryID)
	}
	for _, c := range s.Calls {
		lane, ok := lanes[c.TrajectoryID]
		if !ok {
			return nil, fmt.Errorf("read call %d of trajectory %q: the session has no such trajectory", c.CallIndex, c.TrajectoryID)
		}
		d.calls = append(d.calls, CallRef{lane, c.CallIndex})
	}
	sizes, err := newSizes(s, d.text)
	if err != nil {
		return nil, err
	}
	g, err := newGraph(d, cfg)
	if err != nil {
		return nil, err
	}
	if err := g.walk(sizes); err != nil {
		return nil, err
	}
	d.order(g, sizes)
	d.fit(cfg.MaxContext)
	d.count()
	return d, nil
}

// order makes steps of the calls that were answered, sorted by due time. A call
// never comes before one that it hangs on, as its depth is greater.
func (d *draft) order(g *graph, sizes *sizes) {
	var sorted []int32
	for i := range d.calls {
		if !g.failed[i] {
			sorted = append(sorted, int32(i))
		}
	}
	slices.SortFunc(sorted, func(a, b int32) int {
		return cmp.Or(cmp.Compare(g.when[a].due, g.when[b].due), cmp.Compare(g.depth[a], g.depth[b]),
			cmp.Compare(d.calls[a].Lane, d.calls[b].Lane), cmp.Compare(d.calls[a].Index, d.calls[b].Index), cmp.Compare(a, b))
	})
	step := make([]int32, len(d.calls))
	for i, call := range sorted {
		step[call] = int32(i)
		after := slices.Clone(g.after[call])
		for j := range after {
			if after[j].At != PlayStart {
				after[j].From = step[after[j].From]
			}
		}
		d.steps = append(d.steps, draftStep{
			call: call, lane: d.calls[call].Lane, after: tidy(after), when: g.when[call],
			input: sizes.input[call], output: sizes.output[call],
		})
	}
}

// fit takes out the steps whose prompt and answer exceed the model's context,
// and all that hang on one of them.
func (d *draft) fit(context int64) {
	if context == 0 {
		return
	}
	place := make([]int32, len(d.steps)) // -1: cut
	kept := d.steps[:0]
	for i, st := range d.steps {
		out := st.input+int64(st.output) > context
		for _, e := range st.after {
			out = out || e.At != PlayStart && place[e.From] < 0
		}
		if out {
			place[i] = -1
			d.cut++
			continue
		}
		place[i] = int32(len(kept))
		for j, e := range st.after {
			if e.At != PlayStart {
				st.after[j].From = place[e.From]
			}
		}
		kept = append(kept, st)
	}
	d.steps = kept
}

// count numbers the turns of each lane. A retry is not a turn of its own, and
// calls off the main chain carry the number of the turn they belong to.
func (d *draft) count() {
	type seen struct{ turns, call int32 }
	lanes := make([]seen, len(d.lanes))
	for i := range d.steps {
		st := &d.steps[i]
		c := &d.session.Calls[st.call]
		l := &lanes[st.lane]
		st.when.main = c.Purpose == schema.PurposeMain || c.Purpose == ""
		st.turn = l.turns
		if !st.when.main {
			continue
		}
		if l.turns > 0 && l.call == c.CallIndex {
			st.turn--
			continue
		}
		l.turns++
		l.call = c.CallIndex
	}
}

// length is the session's time on the ring: until the last answer, and the idle
// time after it.
func (d *draft) length(idle time.Duration) time.Duration {
	var end time.Duration
	for _, st := range d.steps {
		end = max(end, st.when.done)
	}
	return max(later(end, idle), 1)
}
