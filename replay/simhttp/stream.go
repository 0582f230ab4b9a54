package simhttp

import (
	"context"

	"github.com/capstan-bench/capstan/replay/sim"
)

// stream is what the engine has done for one request. The engine's side never
// waits for the client's: a client that reads slowly finds the latest state, with
// more tokens in one chunk. The server's mu guards all but id and wake.
type stream struct {
	id   int64
	wake chan struct{}

	last  sim.Event // zero before the first
	fresh bool      // last was not taken yet
	ended bool      // no event follows
}

func newStream(id int64) *stream { return &stream{id: id, wake: make(chan struct{}, 1)} }

// tell is the engine's side.
func (st *stream) tell(e sim.Event) {
	st.last, st.fresh, st.ended = e, true, e.Kind != sim.Tokens
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

// next waits for news of st. ok is false when ctx ended first.
func (s *Server) next(ctx context.Context, st *stream) (e sim.Event, ok bool) {
	for {
		s.mu.Lock()
		e, fresh := st.last, st.fresh
		st.fresh = false
		s.mu.Unlock()
		if fresh {
			return e, true
		}
		select {
		case <-ctx.Done():
			return sim.Event{}, false
		case <-st.wake:
		}
	}
}

// rejected tells whether the engine did not take st in.
func (s *Server) rejected(st *stream) (e sim.Event, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return st.last, st.last.Kind == sim.Rejected
}
