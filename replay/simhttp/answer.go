package simhttp

import (
	"net/http"
	"strings"

	"github.com/capstan-bench/capstan/replay/sim"
	"github.com/capstan-bench/capstan/schema/wire"
)

// word stands for one generated token.
const word = " tok"

// stream answers event by event, as the tokens are generated. The header goes
// out at once, like that of servers which accept before they compute. Where it
// cannot end, the connection breaks: the client must not take it for whole.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, st *stream, req *request, head wire.AnswerHead, fault Fault) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusOK)
	out := http.NewResponseController(w)
	if out.Flush() != nil {
		return
	}
	var buf []byte
	sent := int32(0)
	for chunk := 0; ; chunk++ {
		fault.during(r.Context(), w, chunk)
		e, ok := s.next(r.Context(), st)
		if !ok {
			panic(http.ErrAbortHandler)
		}
		buf = wire.AppendChatChunk(buf[:0], head, wire.ChatChunk{Role: sent == 0, Content: strings.Repeat(word, int(e.Tokens-sent))})
		sent = e.Tokens
		if e.Kind == sim.Done {
			buf = s.end(buf, req, head, e, fault)
		}
		if _, err := w.Write(buf); err != nil || out.Flush() != nil || e.Kind == sim.Done {
			return
		}
	}
}

// end appends what follows the last token.
func (s *Server) end(buf []byte, req *request, head wire.AnswerHead, e sim.Event, fault Fault) []byte {
	buf = wire.AppendChatChunk(buf, head, wire.ChatChunk{Finish: req.finish})
	if req.params.IncludeUsage {
		u := usage(e)
		buf = wire.AppendChatChunk(buf, head, wire.ChatChunk{Usage: &u})
	}
	if fault.NoDone {
		return buf
	}
	return wire.AppendChatDone(buf)
}

// answer waits for the whole answer and sends it in one piece.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, st *stream, req *request, head wire.AnswerHead, fault Fault) {
	e, ok := s.next(r.Context(), st)
	for ok && e.Kind != sim.Done {
		e, ok = s.next(r.Context(), st)
	}
	if !ok {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	fault.during(r.Context(), w, 0)
	w.Write(wire.AppendChatAnswer(nil, head, strings.Repeat(word, int(e.Tokens)), req.finish, usage(e)))
}

func usage(e sim.Event) wire.Usage {
	return wire.Usage{Input: int64(e.Input), Cached: int64(e.Cached), CacheWrite: wire.Unknown, Output: int64(e.Tokens), Reasoning: wire.Unknown}
}
