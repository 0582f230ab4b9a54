package stats

import (
	"github.com/capstan-bench/capstan/schema"
)

// schedule computes when the calls of a session would run if every gap were cut
// to limit microseconds and every answer took as long as recorded. A call is sent
// when the latest of its causes has happened and its capped gap has passed. Calls
// whose duration is unknown count as taking none.
//
// It returns the time that calls were in flight, summed, and the time from the
// first sending to the last end.
func schedule(s *schema.Session, limit int64) (busy, length int64) {
	p := pass{s: s, limit: limit, last: make(map[key]int), sent: make([]int64, len(s.Calls)), known: make([]bool, len(s.Calls))}
	for i := range s.Calls {
		p.last[keyOf(&s.Calls[i])] = i // attempts stand in order
	}
	first := int64(-1)
	for i := range s.Calls {
		sent, took := p.at(i), duration(&s.Calls[i])
		busy += took
		length = max(length, sent+took)
		if first < 0 || sent < first {
			first = sent
		}
	}
	return busy, length - max(first, 0)
}

// key names a call without its attempt.
type key struct {
	trajectory string
	call       int32
}

func keyOf(c *schema.Call) key { return key{c.TrajectoryID, c.CallIndex} }

type pass struct {
	s     *schema.Session
	limit int64
	last  map[key]int // row of a call's last attempt
	sent  []int64
	known []bool
}

// at returns when row i is sent. A cause that does not exist is none, and a row
// that waits for itself, which datasets.Check does not let pass, is taken not to.
func (p *pass) at(i int) int64 {
	if p.known[i] {
		return p.sent[i]
	}
	p.known[i] = true
	for _, e := range p.s.Calls[i].After {
		at := min(e.GapUS, p.limit)
		if e.Point != schema.PointStart {
			row, ok := p.last[key{e.TrajectoryID, e.CallIndex}]
			switch {
			case !ok:
				continue
			case row == i || keyOf(&p.s.Calls[row]) == keyOf(&p.s.Calls[i]):
				row = max(i-1, 0) // an attempt follows the one before it
			}
			at += p.at(row) + point(&p.s.Calls[row], e)
		}
		p.sent[i] = max(p.sent[i], at)
	}
	return p.sent[i]
}

// point returns how long after its sending a call reaches a point.
func point(c *schema.Call, e schema.After) int64 {
	took := duration(c)
	switch e.Point {
	case schema.PointSent:
		return 0
	case schema.PointToken:
		first := int64(0)
		if c.FirstTokenUS != nil {
			first = min(*c.FirstTokenUS, took)
		}
		return first + int64(float64(took-first)*float64(e.Share))
	}
	return took
}

func duration(c *schema.Call) int64 {
	switch {
	case c.CompletedUS != nil:
		return *c.CompletedUS
	case c.LastTokenUS != nil:
		return *c.LastTokenUS
	}
	return 0
}
