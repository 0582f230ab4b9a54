package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/goccy/go-yaml"
)

// Script is what the model says.
//
// Its texts (prompts, commands and contents too) are templates: {{.N}} is the number
// of the repetition that the turn is in, from 1, and {{words 40}} is that many words
// of filler, the same in every run with the same seed.
type Script struct {
	Seed   uint64   `yaml:"seed"`
	Models []string `yaml:"models"` // that the endpoint lists; default: standin
	Piece  int      `yaml:"piece"`  // bytes of text in an event; default 24
	Gzip   bool     `yaml:"gzip"`   // compress streams for clients that accept it
	Pace   Pace     `yaml:"pace"`

	// Agents says what happens in a conversation, by the agent that leads it. The
	// first one whose When occurs in what the user said leads; one without a When
	// takes what nobody else does.
	Agents []Agent `yaml:"agents"`
}

// Agent is the script of one kind of conversation: of the main agent, or of a
// sub-agent.
type Agent struct {
	Name  string `yaml:"name"`
	When  string `yaml:"when"`
	Turns []Turn `yaml:"turns"`

	steps []Turn // Turns with repetitions written out
}

// Turn is one answer, or a group of turns that is repeated. A turn without calls
// ends the agent's work, until the user says something else.
type Turn struct {
	Reasoning string `yaml:"reasoning"`
	Text      string `yaml:"text"`
	Calls     []Call `yaml:"calls"` // more than one: in parallel
	Usage     Tokens `yaml:"usage"` // what is reported, where it is not what was counted
	Pace      *Pace  `yaml:"pace"`  // instead of the script's
	Fault     *Fault `yaml:"fault"`

	Repeat int    `yaml:"repeat"`
	Turns  []Turn `yaml:"turns"`
}

// Tokens are reported counts. A large input makes agents compact their context.
type Tokens struct {
	Input  int64 `yaml:"input"`
	Output int64 `yaml:"output"`
}

// Pace is how fast an answer comes. Zero fields do not wait.
type Pace struct {
	FirstMS         float64 `yaml:"first_ms"`          // before the first event
	TokensPerSecond float64 `yaml:"tokens_per_second"` // of text
	Jitter          float64 `yaml:"jitter"`            // share by which each wait differs, up or down
	PingMS          float64 `yaml:"ping_ms"`           // a ping after so much silence
	Split           float64 `yaml:"split"`             // share of the events that go out in two writes
}

// Kinds of faults.
const (
	FaultStatus = "status" // refused with a status
	FaultCut    = "cut"    // the connection breaks
	FaultStall  = "stall"  // nothing comes for a while
	FaultError  = "error"  // an error event inside the stream
)

// Fault is what goes wrong in a turn, the first Times that it is asked for.
type Fault struct {
	Kind       string  `yaml:"kind"`
	Times      int     `yaml:"times"`       // default 1
	At         float64 `yaml:"at"`          // share of the events before it, but of a status
	Status     int     `yaml:"status"`      // default 529
	Code       string  `yaml:"code"`        // the error's type; default: the dialect's for the status
	RetryAfter int     `yaml:"retry_after"` // seconds; 0 sends no header
	StallMS    float64 `yaml:"stall_ms"`
}

// maxSteps bounds what repetitions may multiply to.
const maxSteps = 100_000

// ParseScript reads a script and checks it.
func ParseScript(text []byte) (s *Script, err error) {
	defer func() { // the text may be anything, and the reader is not ours
		if r := recover(); r != nil {
			s, err = nil, fmt.Errorf("read script: %v", r)
		}
	}()
	s = &Script{Piece: 24, Models: []string{"standin"}}
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(s); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read script: %s", yaml.FormatError(err, false, false))
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Script) check() error {
	if len(s.Agents) == 0 {
		return errors.New("a script needs agents")
	}
	if s.Piece < 0 || len(s.Models) == 0 {
		return errors.New("piece must not be negative, and models not empty")
	}
	if err := s.Pace.check(); err != nil {
		return err
	}
	t := newTexts(s.Seed)
	for i := range s.Agents {
		a := &s.Agents[i]
		if a.Name == "" || s.agent(a.Name) != i {
			return fmt.Errorf("agent %d: wants a name of its own", i)
		}
		var err error
		if a.steps, err = t.expand(nil, a.Turns, 1); err != nil {
			return fmt.Errorf("agent %s: %w", a.Name, err)
		}
		if len(a.steps) == 0 {
			return fmt.Errorf("agent %s: has no turns", a.Name)
		}
	}
	return s.checkCalls()
}

// checkCalls needs all agents: calls name them.
func (s *Script) checkCalls() error {
	for _, a := range s.Agents {
		for i := range a.steps {
			for j := range a.steps[i].Calls {
				if err := s.bindPrompt(&a.steps[i].Calls[j]); err != nil {
					return fmt.Errorf("agent %s, turn %d, call %d: %w", a.Name, i+1, j+1, err)
				}
			}
		}
	}
	return nil
}

// agent is the index of the agent of that name, or -1.
func (s *Script) agent(name string) int {
	for i := range s.Agents {
		if s.Agents[i].Name == name {
			return i
		}
	}
	return -1
}

// leads is the index of the agent that leads a conversation in which the user said
// these texts. Where nobody does, it is -1.
func (s *Script) leads(said []string) int {
	for _, text := range said {
		for i, a := range s.Agents {
			if a.When != "" && strings.Contains(text, a.When) {
				return i
			}
		}
	}
	for i, a := range s.Agents {
		if a.When == "" {
			return i
		}
	}
	return -1
}

func (p *Pace) check() error {
	if p.FirstMS < 0 || p.TokensPerSecond < 0 || p.PingMS < 0 || p.Jitter < 0 || p.Jitter > 1 || p.Split < 0 || p.Split > 1 {
		return fmt.Errorf("pace %+v: counts must not be negative, and shares lie between 0 and 1", *p)
	}
	return nil
}

func (f *Fault) check() error {
	switch f.Kind {
	case FaultStatus, FaultCut, FaultStall, FaultError:
	default:
		return fmt.Errorf("fault %q: want %s, %s, %s or %s", f.Kind, FaultStatus, FaultCut, FaultStall, FaultError)
	}
	if f.At < 0 || f.At > 1 || f.Times < 0 || f.StallMS < 0 || f.RetryAfter < 0 {
		return fmt.Errorf("fault %s: at must lie between 0 and 1, and counts not be negative", f.Kind)
	}
	if f.Status != 0 && (f.Status < 400 || f.Status > 599) {
		return fmt.Errorf("fault %s: status %d is no error", f.Kind, f.Status)
	}
	return nil
}
