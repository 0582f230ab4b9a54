package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/capstan-bench/capstan/proxy/codec"
	"github.com/capstan-bench/capstan/schema/wire"
)

// Config is what a server needs.
type Config struct {
	Script *Script     // required
	Log    func(Entry) // called for every request that was answered; may be nil
}

// Entry is a line of the log: one request, or one message of a WebSocket.
type Entry struct {
	Time   time.Time `json:"time"`
	TookMS float64   `json:"took_ms"`
	Host   string    `json:"host"`
	Method string    `json:"method"`
	Path   string    `json:"path"`
	Format string    `json:"format,omitempty"`
	Kind   string    `json:"kind,omitempty"`
	Agent  string    `json:"agent,omitempty"`
	Turn   int       `json:"turn"`
	Calls  int       `json:"calls,omitempty"`  // tool calls said
	Status int       `json:"status,omitempty"` // of HTTP, or that would be
	Bytes  int       `json:"bytes,omitempty"`  // of the request's body, decoded
	Fault  string    `json:"fault,omitempty"`
	Err    string    `json:"err,omitempty"`
}

// Server is the scripted model.
type Server struct {
	cfg Config
	ca  *authority

	sockets sync.WaitGroup // WebSockets, which no http.Server counts

	faults struct {
		sync.Mutex
		seen map[uint64]int // by request, how often it was failed
	}
}

// maxBody bounds a request, decoded.
const maxBody = 256 << 20

// NewServer checks the configuration.
func NewServer(cfg Config) (*Server, error) {
	if cfg.Script == nil {
		return nil, errors.New("a server needs a script")
	}
	ca, err := newAuthority()
	if err != nil {
		return nil, fmt.Errorf("make certificate authority: %w", err)
	}
	s := &Server{cfg: cfg, ca: ca}
	s.faults.seen = map[uint64]int{}
	return s, nil
}

// CA is the certificate authority of the hosts that are tunnelled to, in PEM.
func (s *Server) CA() []byte { return s.ca.pem }

// Serve answers until the context ends, and returns when everything has stopped. It
// is called once.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	tunnels := newTunnels(ln.Addr())
	base := func(net.Listener) context.Context { return ctx }
	inner := &http.Server{Handler: s, BaseContext: base, ReadHeaderTimeout: time.Minute}
	outer := &http.Server{BaseContext: base, ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect {
			s.connect(w, r, tunnels)
			return
		}
		s.ServeHTTP(w, r)
	})}
	var wg sync.WaitGroup
	wg.Go(func() { inner.Serve(tunnels) })
	wg.Go(func() {
		<-ctx.Done() // which ends every wait of a handler
		tunnels.Close()
		for _, server := range []*http.Server{outer, inner} {
			soon, cancel := context.WithTimeout(context.Background(), time.Second)
			server.Shutdown(soon)
			cancel()
			server.Close()
		}
	})
	err := outer.Serve(ln)
	stop()
	wg.Wait()
	s.sockets.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e := Entry{Time: time.Now(), Host: r.Host, Method: r.Method, Path: r.URL.Path}
	defer func() {
		if s.cfg.Log != nil {
			e.TookMS = float64(time.Since(e.Time).Microseconds()) / 1000
			s.cfg.Log(e)
		}
	}()
	body, err := readBody(r)
	if err != nil {
		s.refuse(w, &e, "", http.StatusBadRequest, err)
		return
	}
	e.Bytes = len(body)
	route := wire.DetectFormat(r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"), body)
	e.Format = route.Format
	switch route.Op {
	case wire.OpCall, wire.OpCompact:
		s.call(w, r, &e, route, body)
	case wire.OpSocket:
		e.Kind = string(route.Op) // its messages are logged too
		s.socket(w, r, &e)
	case wire.OpCountTokens:
		e.Kind = string(route.Op)
		count(w, route.Format, len(body))
	case wire.OpModels:
		e.Kind = string(route.Op)
		s.models(w, r)
	default:
		s.other(w, r, &e)
	}
}

// call answers a request for a turn.
func (s *Server) call(w http.ResponseWriter, r *http.Request, e *Entry, route wire.Route, body []byte) {
	conv, err := readConversation(route.Format, body)
	if err != nil {
		s.refuse(w, e, route.Format, http.StatusBadRequest, err)
		return
	}
	conv.compact = conv.compact || route.Op == wire.OpCompact
	if conv.params.Model == "" {
		conv.params.Model = route.Model
	}
	a := s.cfg.Script.answer(conv)
	e.take(a)
	fault := s.fault(a)
	e.fault(fault)
	setHead(w.Header(), route.Format, a.ID)
	if fault.Kind == FaultStatus {
		if fault.RetryAfter > 0 {
			w.Header().Set("Retry-After", fmt.Sprint(fault.RetryAfter))
		}
		e.Status = fault.status()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(e.Status)
		w.Write(wire.AppendError(nil, route.Format, e.Status, fault.code(route.Format), "the script says so"))
		return
	}
	e.Status = http.StatusOK
	p := s.performance(conv.format, a, fault)
	if route.Stream || conv.params.Stream != nil && *conv.params.Stream {
		err = p.stream(w, r)
	} else {
		err = p.whole(w, r)
	}
	if err != nil {
		e.Err = err.Error()
		panic(http.ErrAbortHandler) // the client must not take it for whole
	}
}

func (e *Entry) take(a answer) {
	e.Kind, e.Agent, e.Turn = a.kind, a.agent, a.turn
	for _, p := range a.Parts {
		if p.Kind == wire.PartTool {
			e.Calls++
		}
	}
}

func (e *Entry) fault(f Fault) { e.Fault = f.Kind }

func (s *Server) refuse(w http.ResponseWriter, e *Entry, format string, status int, err error) {
	e.Status, e.Err = status, err.Error()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(wire.AppendError(nil, format, status, "invalid_request_error", err.Error()))
}

// setHead sets the headers by which vendors name a request.
func setHead(h http.Header, format, id string) {
	switch format {
	case wire.FormatMessages:
		h.Set("Request-Id", "req_"+random(24))
	case wire.FormatResponses:
		h.Set("X-Request-Id", "req_"+random(24))
		h.Set("X-Codex-Turn-State", "turn-"+random(16))
	case wire.FormatChat:
		h.Set("X-Request-Id", "req_"+random(24))
	}
}

// readBody reads a body and undoes its codings.
func readBody(r *http.Request) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	coding := r.Header.Get("Content-Encoding")
	if coding != "" && !strings.EqualFold(coding, "identity") {
		d, err := codec.NewDecoder(coding, codec.Limit{Plain: maxBody})
		if err != nil {
			return nil, err
		}
		var plain []byte
		keep := func(p []byte) { plain = append(plain, p...) }
		d.Feed(raw, keep)
		if err := d.Close(keep); err != nil {
			return nil, fmt.Errorf("read request: %w", err)
		}
		raw = plain
	}
	if len(raw) > maxBody {
		return nil, fmt.Errorf("request of more than %d bytes", maxBody)
	}
	return raw, nil
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// count answers a request to count a context.
func count(w http.ResponseWriter, format string, bytes int) {
	n := bytes / bytesPerToken
	if format == wire.FormatGemini {
		reply(w, map[string]any{"totalTokens": n})
		return
	}
	reply(w, map[string]any{"input_tokens": n, "object": "response.input_tokens"})
}

// models lists the script's models, or describes one, for every client at once:
// each finds the members that it knows.
func (s *Server) models(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("client_version") { // Codex wants descriptions that only its vendor has
		reply(w, map[string]any{"models": []any{}})
		return
	}
	describe := func(id string) map[string]any {
		return map[string]any{
			"id": id, "name": "models/" + id, "object": "model", "type": "model", "display_name": id, "displayName": id,
			"created": 1700000000, "created_at": "2024-01-01T00:00:00Z", "owned_by": "standin",
			"inputTokenLimit": 1 << 20, "outputTokenLimit": 1 << 16,
			"supportedGenerationMethods": []string{"generateContent", "countTokens"},
		}
	}
	path := strings.TrimRight(r.URL.Path, "/")
	if last := path[strings.LastIndexByte(path, '/')+1:]; last != "models" {
		reply(w, describe(last))
		return
	}
	var all []map[string]any
	for _, id := range s.cfg.Script.Models {
		all = append(all, describe(id))
	}
	reply(w, map[string]any{"object": "list", "data": all, "models": all, "has_more": false})
}

// other answers what is no model call: a greeting is returned, and whatever else a
// vendor's host would know is not found.
func (s *Server) other(w http.ResponseWriter, r *http.Request, e *Entry) {
	e.Status = http.StatusNotFound
	if r.URL.Path == "/" || strings.HasSuffix(r.URL.Path, "/api/hello") {
		e.Status = http.StatusOK
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.Status)
	if e.Status != http.StatusOK {
		w.Write(wire.AppendError(nil, "", e.Status, "not_found_error", "the stand-in has no "+r.URL.Path))
	}
}
