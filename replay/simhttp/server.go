package simhttp

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/capstan-bench/capstan/replay/sim"
)

// Server serves one engine, once. Fault may be set before Serve.
type Server struct {
	// Fault, if not nil, is asked for each completion request what to do wrong.
	Fault func(*http.Request) Fault

	params sim.Params
	seed   maphash.Seed
	start  time.Time     // set before the first request
	kick   chan struct{} // the engine has something new

	mu      sync.Mutex
	served  bool              // guarded by mu
	engine  *sim.Engine       // guarded by mu
	streams map[int64]*stream // guarded by mu; in the engine
	lastID  int64             // guarded by mu
	totals  totals            // guarded by mu
}

// totals count since the start, for /metrics.
type totals struct {
	prompt, cached, generated, finished int64
}

// New returns a server for an engine with these parameters. Its clock starts
// with Serve.
func New(params sim.Params) (*Server, error) {
	engine, err := sim.New(params)
	if err != nil {
		return nil, fmt.Errorf("new simulated endpoint: %w", err)
	}
	return &Server{
		params: engine.Params(), engine: engine, seed: maphash.MakeSeed(),
		kick: make(chan struct{}, 1), streams: map[int64]*stream{},
	}, nil
}

// Serve answers on ln until ctx ends, then closes ln and every connection and
// waits for all it started, Fault's calls included. The error is nil when ctx
// ended it. A server serves once; to serve again is an error, and ln is closed.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	if !s.begin() {
		ln.Close()
		return errors.New("serve simulated endpoint: the server has served before; make a new one")
	}
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	server := &http.Server{
		Handler:     s.routes(),
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				all.Add(1)
			case http.StateClosed: // and its handler has returned
				all.Done()
			}
		},
	}
	all.Go(func() { s.drive(ctx) })
	all.Go(func() {
		<-ctx.Done()
		server.Close()
	})
	err := server.Serve(ln)
	cancel()
	server.Close() // also what was accepted while the other Close was under way
	all.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve simulated endpoint: %w", err)
}

// begin starts the clock, the first time.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.served {
		return false
	}
	s.served, s.start = true, time.Now()
	return true
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/chat/completions", only(http.MethodPost, s.chat))
	mux.HandleFunc("/v1/models", only(http.MethodGet, s.models))
	mux.HandleFunc("/health", only(http.MethodGet, func(http.ResponseWriter, *http.Request) {}))
	mux.HandleFunc("/metrics", only(http.MethodGet, s.metrics))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, http.StatusNotFound, "NotFoundError", "there is nothing at "+r.URL.Path)
	})
	return mux
}

// only answers other methods with 405. The mux would do so too, but not in JSON.
func only(method string, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method && (r.Method != http.MethodHead || method != http.MethodGet) {
			w.Header().Set("Allow", method)
			fail(w, http.StatusMethodNotAllowed, "MethodNotAllowedError", fmt.Sprintf("%s wants %s, got %s", r.URL.Path, method, r.Method))
			return
		}
		h(w, r)
	}
}

// drive moves the engine along in real time and wakes the streams.
func (s *Server) drive(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		wait, busy := s.advance()
		if !busy {
			wait = time.Hour
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-s.kick:
		case <-timer.C:
		}
	}
}

// advance hands out what the engine has done by now and returns how long it is
// until there may be more.
func (s *Server) advance() (wait time.Duration, busy bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.hand()
	wake, busy := s.engine.Wake()
	return max(0, wake-now), busy
}

// hand hands out what the engine has done by now, and returns now. The caller
// holds mu, so that a stream finds all events of one instant at once.
func (s *Server) hand() (now time.Duration) {
	now = time.Since(s.start)
	for e, ok := s.engine.Next(now); ok; e, ok = s.engine.Next(now) {
		if st := s.streams[e.ID]; st != nil {
			st.tell(e)
		}
	}
	return now
}

// wake makes drive ask the engine anew: what it waits for may come earlier.
func (s *Server) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// submit hands a request to the engine. If that does not take it, the stream has
// ended on return.
func (s *Server) submit(a sim.Ask) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastID++
	a.ID = s.lastID
	st := newStream(a.ID)
	s.streams[a.ID] = st
	s.engine.Submit(time.Since(s.start), a)
	s.hand()
	s.wake()
	return st
}

// release ends a stream: its client has everything, or has gone. A request that
// leaves early makes the others faster.
func (s *Server) release(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.hand()
	if !st.ended {
		s.engine.Cancel(now, st.id)
	}
	delete(s.streams, st.id)
	s.totals.add(st.last, st.ended)
	s.wake()
}

func (t *totals) add(last sim.Event, ended bool) {
	if last.Kind == sim.Rejected {
		return
	}
	t.prompt += int64(last.Input)
	t.cached += int64(last.Cached)
	t.generated += int64(last.Tokens)
	if ended {
		t.finished++
	}
}
