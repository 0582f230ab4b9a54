package main

import "github.com/capstan-bench/capstan/schema/wire"

// mostFaults bounds what is remembered of failed requests.
const mostFaults = 100_000

// fault is what goes wrong with an answer; the zero fault is none. A request whose
// fault has happened often enough gets its answer.
func (s *Server) fault(a answer) Fault {
	f := a.step.Fault
	if f == nil || a.kind != AnswerTurn {
		return Fault{}
	}
	s.faults.Lock()
	defer s.faults.Unlock()
	if s.faults.seen[a.identity] >= max(f.Times, 1) {
		return Fault{}
	}
	if len(s.faults.seen) > mostFaults {
		clear(s.faults.seen)
	}
	s.faults.seen[a.identity]++
	return *f
}

func (f *Fault) status() int {
	if f.Status == 0 {
		return 529
	}
	return f.Status
}

// code is what the dialect's own endpoint calls the status.
func (f *Fault) code(format string) string {
	if f.Code != "" {
		return f.Code
	}
	gemini := format == wire.FormatGemini
	switch status := f.status(); {
	case gemini && status == 429:
		return "RESOURCE_EXHAUSTED"
	case gemini && status < 500:
		return "INVALID_ARGUMENT"
	case gemini:
		return "UNAVAILABLE"
	case status == 429:
		return "rate_limit_error"
	case status < 500:
		return "invalid_request_error"
	case status == 529 || status == 503:
		return "overloaded_error"
	}
	return "api_error"
}
