package plan_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/replay/plan"
)

// answer is how long a step's answer takes in a drive: its tokens arrive evenly
// between first and done.
type answer struct{ first, done time.Duration }

// played is what a drive saw of a step.
type played struct{ due, done time.Duration }

// note is one note to come.
type note struct {
	at    time.Duration
	step  int32
	point plan.Point
	share float32
}

// drive plays a script with a cursor: every step is sent the moment it is due.
// It fails where a step is handed out twice or out of order.
func drive(t *testing.T, s *plan.Script, start time.Duration, took func(step int32) answer) map[int32]played {
	t.Helper()
	seen := map[int32]played{}
	var notes []note
	take := func(due []plan.Due) {
		if !slices.IsSortedFunc(due, func(a, b plan.Due) int { return int(a.At - b.At) }) {
			t.Fatalf("due out of order: %v", due)
		}
		for _, d := range due {
			if _, twice := seen[d.Step]; twice {
				t.Fatalf("step %d is due twice", d.Step)
			}
			a := took(d.Step)
			seen[d.Step] = played{d.At, d.At + a.done}
			notes = append(notes, note{d.At, d.Step, plan.Sent, 0}, note{d.At + a.done, d.Step, plan.Done, 0})
			for _, f := range s.Marks(d.Step) {
				at := d.At + a.first + time.Duration(float64(f)*float64(a.done-a.first))
				notes = append(notes, note{at, d.Step, plan.Token, f})
			}
		}
	}
	c, due := plan.NewCursor(s, start, nil)
	take(due)
	for len(notes) > 0 {
		next := 0
		for i := range notes {
			if notes[i].at < notes[next].at {
				next = i
			}
		}
		n := notes[next]
		notes = slices.Delete(notes, next, next+1)
		if c.Ended() {
			t.Fatalf("the play has ended before %+v", n)
		}
		take(c.Note(due[:0], n.step, n.point, n.share, n.at))
	}
	if !c.Ended() {
		t.Fatalf("the play has not ended after steps %v", seen)
	}
	return seen
}

// check holds a play to the edges of its script: a step is due at the latest of
// what it hangs on, exactly.
func check(t *testing.T, s *plan.Script, start time.Duration, seen map[int32]played, took func(step int32) answer) {
	t.Helper()
	for i := range s.Steps {
		got, ok := seen[int32(i)]
		if s.Steps[i].Role == plan.Skip {
			if ok {
				t.Errorf("step %d is skipped and was due", i)
			}
			continue
		}
		if !ok {
			t.Errorf("step %d was never due", i)
			continue
		}
		want := start
		for _, e := range s.Steps[i].After {
			want = max(want, fires(s, e, start, seen, took))
		}
		if math.Abs(float64(got.due-want)) > 1 {
			t.Errorf("step %d was due at %v, want %v", i, got.due, want)
		}
	}
}

func fires(s *plan.Script, e plan.Edge, start time.Duration, seen map[int32]played, took func(step int32) answer) time.Duration {
	if e.At == plan.PlayStart || s.Steps[e.From].Role == plan.Skip {
		return start + e.Gap
	}
	from, a := seen[e.From], took(e.From)
	switch e.At {
	case plan.Sent:
		return from.due + e.Gap
	case plan.Token:
		return from.due + a.first + time.Duration(float64(e.Share)*float64(a.done-a.first)) + e.Gap
	}
	return from.done + e.Gap
}
