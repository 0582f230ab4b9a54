package plan

import (
	"time"

	"github.com/capstan-bench/capstan/schema"
)

// Point is a moment of a step, or of the play, that a later step can hang on.
type Point uint8

// Points, in the order in which they happen.
const (
	PlayStart Point = iota // the play began; Edge.From is ignored
	Sent                   // the request was sent
	Token                  // a share of the answer's tokens has arrived
	Done                   // the answer ended, or the attempt failed
)

// Edge is one cause of a step: when Point At of step From has happened, Gap
// passes. From is less than the index of the step that the edge belongs to.
type Edge struct {
	From  int32
	At    Point
	Share float32 // of the answer's tokens, in (0,1]; only with Token
	Gap   time.Duration
}

// Role says what a step is for.
type Role uint8

// Roles.
const (
	Measured Role = iota // sent and measured
	Prime                // sent before measuring, for one token, to fill a cache
	Skip                 // lies before the agent's start: never sent, never due
)

// Step is one call of a script. It is due when the last of its edges has fired.
type Step struct {
	Call   int32 // index into Script.Calls
	Lane   int32 // trajectory; lane 0 is the root
	After  []Edge
	Body   Body
	Prompt []Piece // the body's content in template order: system, tools, messages
	Input  int64   // planned prompt tokens, as recorded
	Ideal  int64   // of Input, tokens that an infinite cache holds from earlier steps of the same script
	Output int32   // planned output tokens, at least 1
	Turn   int32   // turns of the same lane before this one
	Role   Role
}

// Body is a request body as segments that are sent one after another. Segments
// are shared by all agents and must not be written to. Where Segs holds nil, a
// salt goes: the first nil takes the probe's salt, the second the play's.
type Body struct {
	Segs [][]byte
	Len  int64 // bytes, salts included
}

// SaltLen is the length in bytes of every salt.
const SaltLen = 20

// Salt is text that keeps one probe or one play from finding what another left
// in a cache. It needs no escaping inside a JSON string.
type Salt [SaltLen]byte

// Piece is a run of prompt bytes with an identity: equal IDs stand for equal
// bytes. A salted piece's ID does not cover its salt, its Len does.
type Piece struct {
	ID   uint64
	Len  int32 // bytes
	Salt uint8 // 0 none, 1 holds the probe's salt, 2 the play's, 3 both
}

// Script is what one play sends and after what. It is never written to once
// built, so plays share it.
type Script struct {
	Session string
	Lanes   []string      // trajectory ids; a step's Lane is an index
	Calls   []CallRef     // of the session, in its order
	Steps   []Step        // in the order of their recorded, capped time
	Idle    time.Duration // after the last step is done, before the agent's next play

	links *links // nil in a script that Build did not make
}

// Sample is a step's sample before it is sent: who it is and what is planned
// for it. Agent, play, probe, level and target are the driver's to fill in.
func (s *Script) Sample(step int32) schema.Sample {
	st := &s.Steps[step]
	ref := s.Calls[st.Call]
	role := schema.RoleMeasured
	if st.Role == Prime {
		role = schema.RolePrime
	}
	return schema.Sample{
		SessionID:     s.Session,
		TrajectoryID:  s.Lanes[ref.Lane],
		CallIndex:     ref.Index,
		Turn:          st.Turn,
		Role:          role,
		PlannedInput:  st.Input,
		PlannedOutput: int64(st.Output),
		IdealCached:   st.Ideal,
	}
}

// Marks are the shares of a step's answer that later steps hang on, ascending
// and without repeats. A driver notes Token at each of them; in an answer of n
// planned tokens, share f falls on token ceil(f·n). The slice is borrowed.
func (s *Script) Marks(step int32) []float32 {
	if s.links == nil {
		return link(s.Steps).marks[step]
	}
	return s.links.marks[step]
}

// CallRef names a recorded call.
type CallRef struct {
	Lane  int32
	Index int32 // call_index in its trajectory
}

// Due is a step that is to be sent at a time.
type Due struct {
	At   time.Duration
	Step int32
}
