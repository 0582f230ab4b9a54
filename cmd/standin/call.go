package main

import (
	"errors"
	"fmt"
)

// What tools do.
const (
	ToolShell = "shell" // run Command
	ToolRead  = "read"  // read the file at Path
	ToolWrite = "write" // write Text to the file at Path
	ToolEdit  = "edit"  // put New for Old in the file at Path
	ToolTask  = "task"  // let Agent work, told Prompt
	ToolJoin  = "join"  // wait for agents that work in the background
)

// Call is a tool call, named by what the tool does. A harness without a tool for it
// is given one to its shell that does the same: files are read with cat and written
// with a here-document. Where a harness has no sub-agents, or needs not be told to
// wait for them, the shell does nothing.
//
// Paths are relative to the working directory, and become absolute where the request
// says which that is.
type Call struct {
	Tool    string `yaml:"tool"`
	Command string `yaml:"command"`
	Path    string `yaml:"path"`
	Text    string `yaml:"text"`
	Old     string `yaml:"old"`
	New     string `yaml:"new"`
	Agent   string `yaml:"agent"`
	Prompt  string `yaml:"prompt"` // default: the agent's When
}

// check says what is missing.
func (c *Call) check() error {
	lacks := func(what string, missing bool) error {
		if missing {
			return fmt.Errorf("tool %s wants %s", c.Tool, what)
		}
		return nil
	}
	switch c.Tool {
	case ToolShell:
		return lacks("a command", c.Command == "")
	case ToolRead:
		return lacks("a path", c.Path == "")
	case ToolWrite:
		return lacks("a path", c.Path == "")
	case ToolEdit:
		return lacks("a path, and old and new that differ", c.Path == "" || c.Old == "" || c.Old == c.New)
	case ToolTask:
		return lacks("an agent", c.Agent == "")
	case ToolJoin:
		return nil
	}
	return fmt.Errorf("tool %q: want %s, %s, %s, %s, %s or %s", c.Tool, ToolShell, ToolRead, ToolWrite, ToolEdit, ToolTask, ToolJoin)
}

// bindPrompt checks a call, and gives a task a prompt by which its agent will be
// known: what the sub-agent's user says is all that the stand-in sees of it.
func (s *Script) bindPrompt(c *Call) error {
	if err := c.check(); err != nil || c.Tool != ToolTask {
		return err
	}
	i := s.agent(c.Agent)
	if i < 0 {
		return fmt.Errorf("there is no agent %q", c.Agent)
	}
	if s.Agents[i].When == "" {
		return fmt.Errorf("agent %s has no when, so its conversation would not be known", c.Agent)
	}
	if c.Prompt == "" {
		c.Prompt = s.Agents[i].When
	}
	if s.leads([]string{c.Prompt}) != i {
		return errors.New("its prompt is not led by the agent that it names")
	}
	return nil
}
