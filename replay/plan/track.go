package plan

import "time"

// track is a session on the ring: its script, and when its steps happened in
// recorded time with the gaps capped. Tracks are never written to once built.
type track struct {
	script *Script
	when   []when
	short  [][]byte // by step: the end of its body that asks for one token
	tree   *prompts
	length time.Duration // on the ring, Idle included, at least 1 ns
}

// when are the times of a step from the start of its session, if every answer
// took as long as recorded and every gap was kept after scaling and capping.
type when struct {
	due, first, last, done time.Duration
	main                   bool // the step is on its lane's main chain
}

// at is the time at which a point of the step happened. The tokens of an answer
// arrive evenly between the first and the last: share f at first + f·(last−first).
func (w when) at(p Point, share float32) time.Duration {
	switch p {
	case Sent:
		return w.due
	case Token:
		return w.first + time.Duration(float64(share)*float64(w.last-w.first))
	default:
		return w.done
	}
}

// fires is the time at which an edge of a track fired.
func (t *track) fires(e Edge) time.Duration {
	if e.At == PlayStart {
		return e.Gap
	}
	return later(t.when[e.From].at(e.At, e.Share), e.Gap)
}
