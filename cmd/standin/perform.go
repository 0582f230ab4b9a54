package main

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/capstan-bench/capstan/schema/wire"
)

// performance is an answer on its way out.
type performance struct {
	format string
	answer answer
	fault  Fault
	pace   Pace
	piece  int
	gzip   bool
	rng    *rand.Rand // of the pace: the same for the same conversation
}

func (s *Server) performance(format string, a answer, f Fault) *performance {
	script := s.cfg.Script
	p := &performance{
		format: format, answer: a, fault: f, pace: script.Pace, piece: script.Piece, gzip: script.Gzip,
		rng: rand.New(rand.NewPCG(script.Seed, a.identity)),
	}
	if a.step.Pace != nil {
		p.pace = *a.step.Pace
	}
	return p
}

// sink takes what is said, event by event, over HTTP or a WebSocket.
type sink interface {
	event(e wire.Event, split bool) error
	ping() error
}

var errCut = errors.New("cut off, as the script says")

// play says the answer. It returns errCut where the connection has to break.
func (p *performance) play(ctx context.Context, out sink) error {
	events, err := wire.Events(p.format, p.answer.Scripted, p.piece)
	if err != nil {
		return err
	}
	if err := p.wait(ctx, out, p.pace.FirstMS); err != nil {
		return err
	}
	at := int(p.fault.At * float64(len(events)))
	begun := false // the first text takes no longer than the first event
	for i, e := range events {
		if p.fault.Kind != "" && i == at {
			if over, err := p.fail(ctx, out); over || err != nil {
				return err
			}
		}
		if p.pace.TokensPerSecond > 0 && e.Text > 0 && begun {
			if err := p.wait(ctx, out, 1000*float64(e.Text)/bytesPerToken/p.pace.TokensPerSecond); err != nil {
				return err
			}
		}
		begun = begun || e.Text > 0
		if err := out.event(e, p.pace.Split > 0 && p.rng.Float64() < p.pace.Split); err != nil {
			return err
		}
	}
	if p.fault.Kind != "" && at >= len(events) {
		_, err = p.fail(ctx, out)
	}
	return err
}

// fail lets the fault happen, and says whether the answer is over.
func (p *performance) fail(ctx context.Context, out sink) (over bool, err error) {
	switch p.fault.Kind {
	case FaultCut:
		return true, errCut
	case FaultStall:
		return false, sleep(ctx, p.fault.StallMS)
	case FaultError:
		status := p.fault.status()
		return true, out.event(wire.ErrorEvent(p.format, p.answer.ID, status, p.fault.code(p.format), "the script says so"), false)
	}
	return false, nil
}

// wait waits about so long, with pings.
func (p *performance) wait(ctx context.Context, out sink, ms float64) error {
	if ms <= 0 {
		return nil
	}
	ms *= 1 + p.pace.Jitter*(2*p.rng.Float64()-1)
	for ; p.pace.PingMS > 0 && ms > p.pace.PingMS; ms -= p.pace.PingMS {
		if err := sleep(ctx, p.pace.PingMS); err != nil {
			return err
		}
		if err := out.ping(); err != nil {
			return err
		}
	}
	return sleep(ctx, ms)
}

func sleep(ctx context.Context, ms float64) error {
	t := time.NewTimer(time.Duration(ms * float64(time.Millisecond)))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stream answers with server-sent events.
func (p *performance) stream(w http.ResponseWriter, r *http.Request) error {
	out := &eventStream{format: p.format, out: w, flush: http.NewResponseController(w).Flush}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	var packed *gzip.Writer
	if p.gzip && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		packed = gzip.NewWriter(w)
		out.out, out.packed = packed, packed
	}
	w.WriteHeader(http.StatusOK)
	if err := out.flush(); err != nil {
		return err
	}
	if err := p.play(r.Context(), out); err != nil {
		return err
	}
	if packed != nil {
		return packed.Close()
	}
	return nil
}

// eventStream is a sink over HTTP.
type eventStream struct {
	format string
	out    io.Writer
	packed *gzip.Writer // out, if it compresses
	flush  func() error
	buf    []byte
}

func (s *eventStream) event(e wire.Event, split bool) error {
	s.buf = wire.AppendEvent(s.buf[:0], e)
	if half := len(s.buf) / 2; split {
		if err := s.write(s.buf[:half]); err != nil {
			return err
		}
		return s.write(s.buf[half:])
	}
	return s.write(s.buf)
}

// ping is an event where the dialect has one for it, else a comment.
func (s *eventStream) ping() error {
	if s.format == wire.FormatMessages {
		return s.event(wire.Event{Name: "ping", Data: []byte(`{"type":"ping"}`)}, false)
	}
	return s.write([]byte(": ping\n\n"))
}

func (s *eventStream) write(b []byte) error {
	if _, err := s.out.Write(b); err != nil {
		return err
	}
	if s.packed != nil {
		if err := s.packed.Flush(); err != nil {
			return err
		}
	}
	return s.flush()
}

// whole answers in plain JSON, when all of it would have been streamed.
func (p *performance) whole(w http.ResponseWriter, r *http.Request) error {
	body, err := wire.AppendAnswer(nil, p.format, p.answer.Scripted)
	if err != nil {
		return err
	}
	ms := p.pace.FirstMS
	if p.pace.TokensPerSecond > 0 {
		ms += 1000 * float64(p.answer.Usage.Output) / p.pace.TokensPerSecond
	}
	if p.fault.Kind == FaultStall {
		ms += p.fault.StallMS
	}
	if ms > 0 {
		if err := sleep(r.Context(), ms); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", "application/json")
	switch p.fault.Kind {
	case FaultError:
		status := p.fault.status()
		body = wire.AppendError(nil, p.format, status, p.fault.code(p.format), "the script says so")
	case FaultCut:
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Write(body[:int(p.fault.At*float64(len(body)))])
		http.NewResponseController(w).Flush()
		return errCut
	}
	w.Write(body)
	return nil
}
