package plan

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Cursor follows one play of a script and says which steps are due. It has no
// clock: the driver tells it what happened and when, and gets back what that
// made due. Times are on the driver's clock. A cursor serves one goroutine.
type Cursor struct {
	script *Script
	links  *links
	steps  []progress
	open   int // steps that are still to be done
}

// progress is how far a step has come.
type progress struct {
	due   time.Duration // the latest of its edges that have fired
	share float32       // of its answer, noted
	wait  int32         // edges that have not fired
	state uint8
}

const (
	waiting uint8 = iota // or skipped: notes are ignored
	due                  // handed out
	sent
	done
)

// NewCursor begins a play at start and appends to dst the steps that are due
// without any other step. A step is handed out once, as soon as the time at
// which it is due is known, so Due.At may lie ahead.
func NewCursor(s *Script, start time.Duration, dst []Due) (*Cursor, []Due) {
	c := &Cursor{script: s, links: s.links, steps: make([]progress, len(s.Steps))}
	if c.links == nil {
		c.links = link(s.Steps)
	}
	mark := len(dst)
	for i := range s.Steps {
		if s.Steps[i].Role == Skip {
			continue
		}
		c.open++
		p := &c.steps[i]
		p.due = start
		for _, e := range s.Steps[i].After {
			if settled(s.Steps, e) {
				p.due = max(p.due, start+e.Gap)
			} else {
				p.wait++
			}
		}
		if p.wait == 0 {
			dst = c.hand(dst, int32(i))
		}
	}
	return c, inOrder(dst, mark)
}

// Note tells the cursor that a step reached a point at time t, with Token also
// the share of the answer that has arrived. It appends to dst what has become
// due, by time and then by step. Done stands for Sent and the whole answer too,
// where these were not noted. Notes that tell nothing new are ignored: those of
// a point already passed and those of a step that was not handed out.
func (c *Cursor) Note(dst []Due, step int32, p Point, share float32, t time.Duration) []Due {
	s := &c.steps[step]
	if s.state == waiting || s.state == done {
		return dst
	}
	mark := len(dst)
	if s.state == due && p >= Sent {
		s.state = sent
		dst = c.fire(dst, step, Sent, 0, 0, t)
	}
	if p == Done {
		share = math.MaxFloat32
	}
	if p >= Token && share > s.share {
		dst = c.fire(dst, step, Token, s.share, share, t)
		s.share = share
	}
	if p == Done {
		s.state = done
		c.open--
		dst = c.fire(dst, step, Done, 0, 0, t)
	}
	return inOrder(dst, mark)
}

// Ended tells whether every step of the play is done.
func (c *Cursor) Ended() bool { return c.open == 0 }

// fire fires the edges that hang on a point of a step, with Token those on
// shares in (over, upto].
func (c *Cursor) fire(dst []Due, step int32, p Point, over, upto float32, t time.Duration) []Due {
	for _, o := range c.links.outs[c.links.from[step]:c.links.from[step+1]] {
		if o.at != p || p == Token && (o.share <= over || o.share > upto) {
			continue
		}
		to := &c.steps[o.to]
		to.due = max(to.due, t+o.gap)
		if to.wait--; to.wait == 0 {
			dst = c.hand(dst, o.to)
		}
	}
	return dst
}

func (c *Cursor) hand(dst []Due, step int32) []Due {
	c.steps[step].state = due
	return append(dst, Due{c.steps[step].due, step})
}

// inOrder sorts what was appended since mark.
func inOrder(dst []Due, mark int) []Due {
	if len(dst)-mark > 1 {
		slices.SortFunc(dst[mark:], func(a, b Due) int {
			return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Step, b.Step))
		})
	}
	return dst
}
