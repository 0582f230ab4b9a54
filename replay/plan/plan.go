package plan

import "time"

// Plan is a corpus of scripts, ready to be replayed by any number of agents. It
// is never written to once built and may be used from many goroutines.
type Plan struct {
	tracks   []*track
	ring     time.Duration
	calls    int
	cut      int
	means    Means
	across   float64
	hash     string
	rewrites []string
}

// Means are per-call means, in tokens.
type Means struct {
	Input    float64 // of the prompt
	Uncached float64 // of the prompt, that an infinite cache does not hold
	Output   float64 // of the answer
}

// Hash identifies the plan: SHA-256 in hex over the settings, every byte that a
// body can hold, the edges, the pieces and the planned counts.
func (p *Plan) Hash() string { return p.hash }

// Means are over the calls of the corpus, each as often as a sweep of the ring
// holds it, which is once. Uncached is Input − Ideal: what an infinite cache
// that starts empty with every play does not hold. See AcrossPlays.
func (p *Plan) Means() Means { return p.means }

// AcrossPlays is how many tokens of Means.Uncached per call lie before the
// play's salt, so that an infinite cache finds them where other plays of the
// same probe left them. Without salts it is all of them.
func (p *Plan) AcrossPlays() float64 { return p.across }

// Ring is how long all sessions take end to end, in recorded, capped time.
func (p *Plan) Ring() time.Duration { return p.ring }

// Sessions is the number of sessions on the ring: those of which a call was left.
func (p *Plan) Sessions() int { return len(p.tracks) }

// Calls is the number of calls on the ring.
func (p *Plan) Calls() int { return p.calls }

// CutShare is the share of answered calls that were cut because they, or a call
// that they hang on, exceed Config.MaxContext; in [0,1).
func (p *Plan) CutShare() float64 { return float64(p.cut) / float64(p.cut+p.calls) }

// Rewrites says in words what bodies do not send as it was recorded, one line
// each. The slice is borrowed.
func (p *Plan) Rewrites() []string { return p.rewrites }
