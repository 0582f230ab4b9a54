package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// counted is what the sources themselves say.
type counted struct {
	sessions                 []session
	subAgents, failed, tools int
	verified                 int  // calls that have a body
	extends                  bool // every context extends the one before
}

// session is what a source says of one session.
type session struct {
	id            string
	turns         int // of the root
	calls         []sourceCall
	input, output int64
}

type sourceCall struct {
	turn          int // from 1, of its trajectory
	input, output int64
}

func (s *session) add(c sourceCall) {
	s.calls = append(s.calls, c)
	s.input, s.output = s.input+c.input, s.output+c.output
}

func (s *session) longest() (most int64) {
	for _, c := range s.calls {
		most = max(most, c.input)
	}
	return most
}

func (c *counted) calls() (n int) {
	for i := range c.sessions {
		n += len(c.sessions[i].calls)
	}
	return n
}

func (c *counted) input() (n int64) {
	for i := range c.sessions {
		n += c.sessions[i].input
	}
	return n
}

func (c *counted) output() (n int64) {
	for i := range c.sessions {
		n += c.sessions[i].output
	}
	return n
}

// countPi counts a pi log of one branch: every assistant message was a call.
func countPi(t *testing.T, path string) (c counted) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := session{}
	for line := range bytes.Lines(text) {
		var e struct {
			Type, ID string
			Message  struct {
				Role, StopReason string
				Usage            struct{ Input, Output, CacheRead, CacheWrite int64 }
			}
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		switch u := e.Message.Usage; {
		case e.Type == "session":
			s.id = e.ID
		case e.Message.Role == "toolResult":
			c.tools++
		case e.Message.Role == "assistant":
			if e.Message.StopReason == "aborted" || e.Message.StopReason == "error" {
				c.failed++
			}
			s.turns++
			s.add(sourceCall{s.turns, u.Input + u.CacheRead + u.CacheWrite, u.Output})
		}
	}
	c.sessions, c.verified, c.extends = []session{s}, len(s.calls), true
	return c
}

// wekaEntry is a request of a trace, or a sub-agent with its own.
type wekaEntry struct {
	Type     string
	In, Out  int64
	Requests []wekaEntry
}

// countWeka counts a folder of traces, and holds the count against the totals
// that the traces carry.
func countWeka(t *testing.T, dir string) (c counted) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no traces in %s: %v", dir, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var trace struct {
			ID       string
			Requests []wekaEntry
			Totals   struct {
				Combined struct{ Input, Output int64 } `json:"combined_tokens"`
			}
		}
		if err := json.Unmarshal(text, &trace); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		s := session{id: trace.ID}
		for _, e := range trace.Requests {
			if e.Type != "subagent" {
				s.turns++
				s.add(sourceCall{s.turns, e.In, e.Out})
				continue
			}
			c.subAgents++
			for i, own := range e.Requests {
				s.add(sourceCall{i + 1, own.In, own.Out})
			}
		}
		if want := trace.Totals.Combined; s.input != want.Input || s.output != want.Output || s.id != strings.TrimSuffix(filepath.Base(file), ".json") {
			t.Fatalf("%s: counted %d tokens in and %d out, its totals are %+v", file, s.input, s.output, want)
		}
		c.sessions = append(c.sessions, s)
	}
	return c
}
