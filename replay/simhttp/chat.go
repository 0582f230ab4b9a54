package simhttp

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math"
	"net/http"
	"slices"
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
	// firstRead is the memory that a body gets before any of it has come.
	firstRead = 1 << 20
	// pieceBytes is the grain in which prompts are compared: elements are cut into
	// pieces of this size, so an element that grows shares what it was.
	pieceBytes = 256
)

// request is a completion request, understood.
type request struct {
	params wire.ChatParams
	prompt []sim.Run
	size   int64 // bytes of prompt
	least  int64 // tokens of the answer: min_tokens
	most   int64 // the bound that the client gave; 0: none
	output int32 // tokens that the answer will have
	finish string
}

// chat answers a completion request.
func (s *Server) chat(w http.ResponseWriter, r *http.Request) {
	fault := s.fault(r)
	if fault.before(w, r) {
		return
	}
	body, err := readBody(w, r, maxBody)
	if err != nil {
		refuse(w, err)
		return
	}
	req, err := s.understand(body)
	if err != nil {
		fail(w, http.StatusBadRequest, "BadRequestError", err.Error())
		return
	}
	if most := s.tokens(req.size) + req.most; most > int64(s.params.MaxContext) {
		fail(w, http.StatusBadRequest, "BadRequestError", s.overflow(s.tokens(req.size), req.most))
		return
	}
	ask := sim.Ask{Prompt: req.prompt, Output: req.output}
	if req.params.Stream {
		ask.Every = s.params.StreamInterval
	}
	st := s.submit(ask)
	defer s.release(st)
	if e, ok := s.rejected(st); ok {
		fail(w, http.StatusBadRequest, "BadRequestError", s.overflow(int64(e.Input), int64(req.output)))
		return
	}
	head := wire.AnswerHead{ID: "chatcmpl-" + strconv.FormatInt(st.id, 10), Model: s.model(req), Created: time.Now().Unix()}
	if req.params.Stream {
		s.stream(w, r, st, req, head, fault)
		return
	}
	s.answer(w, r, st, req, head, fault)
}

// readBody reads the whole body, of at most bound bytes. Memory grows with what has come, not with what
// was announced.
func readBody(w http.ResponseWriter, r *http.Request, bound int64) ([]byte, error) {
	most := bound + 1 // one more, to see that there is one more
	if r.ContentLength > bound {
		return nil, &http.MaxBytesError{Limit: bound}
	}
	if r.ContentLength >= 0 {
		most = r.ContentLength
	}
	limited := http.MaxBytesReader(w, r.Body, bound)
	body := make([]byte, 0, min(most, firstRead))
	for int64(len(body)) < most {
		if len(body) == cap(body) {
			body = append(make([]byte, 0, min(2*int64(cap(body)), most)), body...)
		}
		n, err := limited.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return body, nil
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
	elements := order(layout)
	req := &request{}
	for _, e := range elements {
		req.prompt = s.cut(req.prompt, e)
		req.size += int64(len(e))
	}
	if len(req.prompt) == 0 {
		return nil, errors.New("messages: at least one message is required")
	}
	if req.params, err = wire.ParseChatParams(layout.Envelope); err != nil {
		return nil, err
	}
	if err := req.limits(layout.Envelope); err != nil {
		return nil, err
	}
	s.length(req, elements)
	return req, nil
}

// order is a body's elements in the order in which a chat template puts them:
// leading system messages, tools, the other messages.
func order(l wire.Layout) [][]byte {
	var system, tools, rest [][]byte
	for _, slot := range l.Slots {
		for _, e := range slot {
			switch {
			case e.Kind == wire.KindTools:
				tools = append(tools, e.Bytes)
			case e.Kind == wire.KindSystem && len(rest) == 0:
				system = append(system, e.Bytes)
			default:
				rest = append(rest, e.Bytes)
			}
		}
	}
	return slices.Concat(system, tools, rest)
}

func (s *Server) cut(runs []sim.Run, b []byte) []sim.Run {
	for len(b) > 0 {
		n := min(pieceBytes, len(b))
		runs = append(runs, sim.Run{ID: maphash.Bytes(s.seed, b[:n]), Bytes: int32(n)})
		b = b[n:]
	}
	return runs
}

// tokens is the prompt tokens of so many bytes, as the engine counts them: by
// bytes_per_token to a thousandth.
func (s *Server) tokens(bytes int64) int64 {
	milli := int64(math.Round(s.params.BytesPerToken * 1000))
	return max((bytes*1000+milli-1)/milli, 1)
}

// overflow words a refusal.
func (s *Server) overflow(input, output int64) string {
	return fmt.Sprintf("This model's maximum context length is %d tokens. However, you requested %d tokens (%d in the messages, %d in the completion).",
		s.params.MaxContext, input+output, input, output)
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
