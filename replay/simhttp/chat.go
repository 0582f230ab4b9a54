package simhttp

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/capstan-bench/capstan/replay/sim"
	"github.com/capstan-bench/capstan/schema/wire"
)

const (
	// maxBody bounds a request body.
	maxBody = 256 << 20
	// defaultOutput bounds an answer whose request names no bound.
	defaultOutput = 4096
	// pieceBytes is the grain in which prompts are compared: elements are cut into
	// pieces of this size, so an element that grows shares what it was.
	pieceBytes = 256
)

// request is a completion request, understood.
type request struct {
	params wire.ChatParams
	prompt []sim.Run
	output int32
	finish string
}

// chat answers a completion request.
func (s *Server) chat(w http.ResponseWriter, r *http.Request) {
	fault := s.fault(r)
	if fault.before(w, r) {
		return
	}
	body, err := readBody(w, r)
	if err != nil {
		refuse(w, err)
		return
	}
	req, err := s.understand(body)
	if err != nil {
		fail(w, http.StatusBadRequest, "BadRequestError", err.Error())
		return
	}
	ask := sim.Ask{Prompt: req.prompt, Output: req.output}
	if req.params.Stream {
		ask.Every = s.params.StreamInterval
	}
	if !s.fits(req) {
		fail(w, http.StatusBadRequest, "BadRequestError", s.overflow(req))
		return
	}
	st := s.submit(ask)
	defer s.release(st)
	head := wire.AnswerHead{ID: "chatcmpl-" + strconv.FormatInt(st.id, 10), Model: s.model(req), Created: time.Now().Unix()}
	if req.params.Stream {
		s.stream(w, r, st, req, head, fault)
		return
	}
	s.answer(w, r, st, req, head)
}

// readBody reads the whole body, in one piece where its length is known.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	limited := http.MaxBytesReader(w, r.Body, maxBody)
	if n := r.ContentLength; n > 0 && n <= maxBody {
		body := make([]byte, n)
		_, err := io.ReadFull(limited, body)
		return body, err
	}
	return io.ReadAll(limited)
}

// refuse answers a request whose body could not be read.
func refuse(w http.ResponseWriter, err error) {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		fail(w, http.StatusRequestEntityTooLarge, "BadRequestError", fmt.Sprintf("the body is larger than %d bytes", large.Limit))
		return
	}
	fail(w, http.StatusBadRequest, "BadRequestError", "the body did not come whole")
}

func (s *Server) understand(body []byte) (*request, error) {
	layout, err := wire.Split(wire.FormatChat, body)
	if err != nil {
		return nil, err
	}
	req := &request{prompt: s.prompt(layout)}
	if len(req.prompt) == 0 {
		return nil, errors.New("messages: at least one message is required")
	}
	if req.params, err = wire.ParseChatParams(layout.Envelope); err != nil {
		return nil, err
	}
	req.length()
	return req, nil
}

// prompt cuts a body's elements into runs, in the order in which a chat template
// puts them: leading system messages, tools, the other messages.
func (s *Server) prompt(l wire.Layout) []sim.Run {
	var runs []sim.Run
	var tools, rest []*wire.Element
	leading := true
	for _, slot := range l.Slots {
		for i := range slot {
			switch e := &slot[i]; {
			case e.Kind == wire.KindTools:
				tools = append(tools, e)
			case e.Kind == wire.KindSystem && leading:
				runs = s.cut(runs, e.Bytes)
			default:
				leading = false
				rest = append(rest, e)
			}
		}
	}
	for _, e := range tools {
		runs = s.cut(runs, e.Bytes)
	}
	for _, e := range rest {
		runs = s.cut(runs, e.Bytes)
	}
	return runs
}

func (s *Server) cut(runs []sim.Run, b []byte) []sim.Run {
	for len(b) > 0 {
		n := min(pieceBytes, len(b))
		runs = append(runs, sim.Run{ID: maphash.Bytes(s.seed, b[:n]), Bytes: int32(n)})
		b = b[n:]
	}
	return runs
}

// length decides how long the answer will be. One that is not made to run to its
// bound ends by itself, after a number of tokens that depends on the prompt
// alone.
func (q *request) length() {
	bound := int64(defaultOutput)
	if q.params.MaxTokens > 0 {
		bound = q.params.MaxTokens
	}
	want := bound
	if !q.params.IgnoreEOS {
		want = 32 + int64(q.size()%480)
	}
	want = max(want, q.params.MinTokens, 1)
	q.finish = "stop"
	if want >= bound {
		want, q.finish = bound, "length"
	}
	q.output = int32(min(want, 1<<30))
}

// size is the prompt's bytes.
func (q *request) size() (n int64) {
	for _, r := range q.prompt {
		n += int64(r.Bytes)
	}
	return n
}

func (s *Server) tokens(q *request) int64 {
	return int64(float64(q.size())/s.params.BytesPerToken + 0.999999)
}

func (s *Server) fits(q *request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.engine.Fits(s.tokens(q), int64(q.output))
}

func (s *Server) overflow(q *request) string {
	return fmt.Sprintf("This model's maximum context length is %d tokens. However, you requested %d tokens (%d in the messages, %d in the completion).",
		s.params.MaxContext, s.tokens(q)+int64(q.output), s.tokens(q), q.output)
}

func (s *Server) model(q *request) string {
	if q.params.Model != "" {
		return q.params.Model
	}
	return s.params.Name
}

// fail answers with an error as vLLM words it.
func fail(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(wire.AppendChatError(nil, status, kind, message))
}
