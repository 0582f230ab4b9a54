package simhttp

import (
	"context"
	"sync"

	"github.com/capstan-bench/capstan/replay/sim"
)

// stream is what the engine has done for one request. The engine's side never
// waits for the client's: a client that reads slowly finds the latest state, with
// more tokens in one chunk.
type stream struct {
	id   int64
	wake chan struct{}
	gone chan struct{} // closed when the handler is through

	mu    sync.Mutex
	last  sim.Event // guarded by mu; zero before the first
	fresh bool      // guarded by mu: last was not taken yet
	ended bool      // guarded by mu: no event follows
}

func newStream(id int64) *stream {
	return &stream{id: id, wake: make(chan struct{}, 1), gone: make(chan struct{})}
}

// tell is the engine's side.
func (st *stream) tell(e sim.Event) {
	if st == nil {
		return // cancelled
	}
	st.mu.Lock()
	st.last, st.fresh, st.ended = e, true, e.Kind != sim.Tokens
	st.mu.Unlock()
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

// next waits for news. ok is false when ctx ended first.
func (st *stream) next(ctx context.Context) (e sim.Event, ok bool) {
	for {
		st.mu.Lock()
		e, fresh := st.last, st.fresh
		st.fresh = false
		st.mu.Unlock()
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
