package simhttp

import (
	"context"
	"io"
	"net/http"
	"time"
)

// Fault is what a server does wrong with one request, for tests of clients. The
// zero value does nothing wrong. A plain answer is one chunk, numbered 0.
type Fault struct {
	Status  int           // answer with this status at once, and Body
	Body    string        // of an answer with Status
	Stall   time.Duration // wait this long before the chunk numbered Chunk
	Reset   bool          // break the connection before the chunk numbered Chunk
	Garbage bool          // send an event that is no JSON before the chunk numbered Chunk
	Chunk   int           // from 0
	NoDone  bool          // leave out the event that ends the stream
}

func (s *Server) fault(r *http.Request) Fault {
	if s.Fault == nil {
		return Fault{}
	}
	return s.Fault(r)
}

// before does what goes wrong before the request is read, and tells whether that
// was the answer.
func (f Fault) before(w http.ResponseWriter, r *http.Request) bool {
	if f.Status == 0 {
		return false
	}
	io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.Status)
	io.WriteString(w, f.Body)
	return true
}

// during does what goes wrong before a chunk. It panics, as net/http has it,
// where the connection must break: for Reset, or when ctx ends a stall.
func (f Fault) during(ctx context.Context, w http.ResponseWriter, chunk int) {
	if chunk != f.Chunk {
		return
	}
	if f.Garbage {
		io.WriteString(w, "data: {\"choices\": [{]\n\n")
	}
	if f.Stall > 0 {
		timer := time.NewTimer(f.Stall)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			panic(http.ErrAbortHandler)
		case <-timer.C:
		}
	}
	if f.Reset {
		panic(http.ErrAbortHandler)
	}
}
