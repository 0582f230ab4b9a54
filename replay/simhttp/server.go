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

// Server serves one engine. Fault may be set before Serve.
type Server struct {
	// Fault, if not nil, is asked for each completion request what to do wrong.
	Fault func(*http.Request) Fault

	params sim.Params
	seed   maphash.Seed
	start  time.Time
	kick   chan struct{} // the engine has something new

	mu      sync.Mutex
	engine  *sim.Engine       // guarded by mu
	streams map[int64]*stream // guarded by mu; in the engine
	lastID  int64             // guarded by mu
	totals  totals            // guarded by mu
}

// totals count since the start, for /metrics.
type totals struct {
	prompt, cached, generated, finished, rejected int64
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
// waits for all it started. The error is nil when ctx ended it.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	s.start = time.Now()
	server := &http.Server{Handler: s.routes(), BaseContext: func(net.Listener) context.Context { return ctx }}
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() { s.drive(ctx) })
	all.Go(func() {
		<-ctx.Done()
		server.Close()
	})
	err := server.Serve(ln)
	cancel()
	all.Wait()
	s.settle()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve simulated endpoint: %w", err)
}

// settle waits until the last handler has let go of its stream. Their
// connections are closed, so none of them has anything left to wait for.
func (s *Server) settle() {
	for {
		s.mu.Lock()
		var one *stream
		for _, st := range s.streams {
			one = st
			break
		}
		s.mu.Unlock()
		if one == nil {
			return
		}
		<-one.gone
	}
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", s.chat)
	mux.HandleFunc("GET /v1/models", s.models)
	mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /metrics", s.metrics)
	return mux
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
	now := time.Since(s.start)
	for {
		e, ok := s.engine.Next(now)
		if !ok {
			break
		}
		s.streams[e.ID].tell(e)
	}
	wake, busy := s.engine.Wake()
	return max(0, wake-now), busy
}

// submit hands a request to the engine.
func (s *Server) submit(a sim.Ask) *stream {
	s.mu.Lock()
	s.lastID++
	a.ID = s.lastID
	st := newStream(a.ID)
	s.streams[a.ID] = st
	s.engine.Submit(time.Since(s.start), a)
	s.mu.Unlock()
	select {
	case s.kick <- struct{}{}:
	default:
	}
	return st
}

// release ends a stream: its client has everything, or has gone.
func (s *Server) release(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.mu.Lock()
	last, ended := st.last, st.ended
	st.mu.Unlock()
	if !ended {
		now := time.Since(s.start)
		for e, ok := s.engine.Next(now); ok; e, ok = s.engine.Next(now) {
			s.streams[e.ID].tell(e)
		}
		s.engine.Cancel(now, st.id)
	}
	delete(s.streams, st.id)
	close(st.gone)
	s.totals.add(last, ended)
}

func (t *totals) add(last sim.Event, ended bool) {
	if ended && last.Kind == sim.Rejected {
		t.rejected++
		return
	}
	t.prompt += int64(last.Input)
	t.cached += int64(last.Cached)
	t.generated += int64(last.Tokens)
	if ended {
		t.finished++
	}
}
