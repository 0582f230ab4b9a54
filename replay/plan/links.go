package plan

import (
	"cmp"
	"slices"
	"time"
)

// links are the edges of a script from cause to step, so that a note is worth
// no search. They depend on the steps only, so all plays of a script share them.
type links struct {
	from  []int32 // outs of step i are outs[from[i]:from[i+1]]
	outs  []out
	marks [][]float32
}

// out is one edge, seen from its cause.
type out struct {
	to    int32
	at    Point
	share float32
	gap   time.Duration
}

// link turns the steps' edges around. Edges of the play's start, of steps that
// are skipped, and to steps that are skipped are left out: the cursor settles
// them when it begins.
func link(steps []Step) *links {
	l := &links{from: make([]int32, len(steps)+1), marks: make([][]float32, len(steps))}
	each := func(f func(e Edge, to int32)) {
		for i := range steps {
			for _, e := range steps[i].After {
				if steps[i].Role != Skip && !settled(steps, e) {
					f(e, int32(i))
				}
			}
		}
	}
	each(func(e Edge, _ int32) { l.from[e.From+1]++ })
	for i := range steps {
		l.from[i+1] += l.from[i]
	}
	l.outs = make([]out, l.from[len(steps)])
	next := slices.Clone(l.from)
	each(func(e Edge, to int32) {
		l.outs[next[e.From]] = out{to, e.At, e.Share, e.Gap}
		next[e.From]++
	})
	for i := range steps {
		l.marks[i] = marks(l.outs[l.from[i]:l.from[i+1]])
	}
	return l
}

// settled tells whether an edge has fired when the play begins.
func settled(steps []Step, e Edge) bool {
	return e.At == PlayStart || steps[e.From].Role == Skip
}

func marks(outs []out) []float32 {
	var shares []float32
	for _, o := range outs {
		if o.at == Token {
			shares = append(shares, o.share)
		}
	}
	slices.SortFunc(shares, cmp.Compare)
	return slices.Compact(shares)
}
