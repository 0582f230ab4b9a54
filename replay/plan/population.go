package plan

import "time"

// Stagger lies between the starts of two agents that follow one another, so
// that a probe does not open with one burst of connections.
const Stagger = 10 * time.Millisecond

// Population is the agents of one probe: where on the ring of sessions each of
// them starts, and what it plays. It is a pure function of the plan and the
// seed, so any number of machines agrees on it, and the agents of a level are
// among those of every higher level. It is safe for concurrent use.
type Population struct {
	plan  *Plan
	seed  uint64
	level int
	ring  ring
	nonce uint64 // of the salts
}

// Population is the agents of a probe with a seed at a level.
func (p *Plan) Population(seed uint64, level int) *Population {
	return &Population{plan: p, seed: seed, level: level, ring: newRing(p.tracks, seed)}
}

// Level is the number of agents.
func (p *Population) Level() int { return p.level }

// Start is when an agent begins its play 0, from the start of the probe.
func (p *Population) Start(agent int) time.Duration { return time.Duration(agent) * Stagger }

// Offset is an agent's place on the ring when it starts, from the start of the
// first session: 0 up to Plan.Ring.
func (p *Population) Offset(agent int) time.Duration { return p.ring.offset(p.seed, agent) }

// ProbeSalt is the salt that all plays of the probe share.
func (p *Population) ProbeSalt() Salt { return p.salt(3) }

// Salted is the same population with other salts, for a system that may hold what
// an earlier run with this seed left. A nonce of 0 changes nothing.
func (p *Population) Salted(nonce uint64) *Population {
	q := *p
	q.nonce = nonce
	return &q
}

func (p *Population) salt(parts ...uint64) Salt {
	seed := p.seed
	if p.nonce != 0 {
		seed = mix(p.seed, p.nonce)
	}
	return newSalt(append([]uint64{seed}, parts...)...)
}

// Play is what an agent plays as its nth, from 0, and the play's salt. Play 0
// begins where the agent stands on the ring, which is most often inside a
// session: see METHOD.md, "Load unit". Later plays are the whole sessions that
// follow on the ring. An agent begins a play when the last step of the one
// before is done and that script's Idle has passed.
func (p *Population) Play(agent, n int) (*Script, Salt) {
	salt := p.salt(4, uint64(agent), uint64(n))
	place, into := p.ring.find(p.Offset(agent))
	first := p.plan.tracks[p.ring.at(place, 0)]
	late := !first.sends(into)
	if late {
		place++ // nothing of that session is left to send
	}
	t := p.plan.tracks[p.ring.at(place, n%len(p.ring.order))]
	switch {
	case n > 0:
		return t.script, salt
	case late:
		return t.after(first.length - into), salt
	default:
		return t.enter(into), salt
	}
}
