package convert

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/fold"
	"github.com/capstan-bench/capstan/schema/tokens"
	"github.com/capstan-bench/capstan/schema/wire"
)

// What stands in front of every imported context, of about the length of what pi
// sends: the first recorded call of a real session had 1,690 prompt tokens.
var (
	//go:embed harness/system.txt
	harnessSystem string
	//go:embed harness/tools.json
	harnessTools []byte
)

// piNote is said wherever an import of pi is: in its card, in extra_json and at
// the terminal.
const piNote = "pi's logs hold neither a system prompt nor tool definitions: every imported context begins with a fixed prefix of both, of capstan's own writing and of realistic length, and is laid out as Chat Completions."

// rootTrajectory is the id of the root trajectory of imported sessions.
const rootTrajectory = "main"

// Pi imports session logs of the pi coding agent: a file, or all .jsonl files
// below a folder. See the package comment.
func Pi(path string) iter.Seq2[*schema.Session, error] { return pi(path, tokens.O200k) }

// pi counts tokens with the tokenizer of that name.
func pi(path, tokenizer string) iter.Seq2[*schema.Session, error] {
	return func(yield func(*schema.Session, error) bool) {
		files, err := filesAt(path, ".jsonl")
		if err != nil {
			yield(nil, err)
			return
		}
		// Opening one takes longer than most imports.
		open := sync.OnceValues(func() (*tokens.Tokenizer, error) { return tokens.Open(tokenizer) })
		for _, file := range files {
			s, err := importPi(file, open)
			if err != nil {
				yield(nil, err)
				return
			}
			if s != nil && !yield(s, nil) {
				return
			}
		}
	}
}

// piSession is the session being imported.
type piSession struct {
	log     *piLog
	branch  []*piEntry
	folder  *fold.Folder
	counter *tokens.Tokenizer
	counts  map[string]int64 // tokens of elements, by their bytes
	warn    warnings

	context  piContext
	system   wire.Element
	tools    []wire.Element
	envelope map[string][]byte // by model
	body     []byte

	thinking    string
	title       string
	provider    string
	compactions int32
	calls       []piCall
	spans       []span // of the calls
}

// importPi returns the session of a log; nil if it has no calls.
func importPi(path string, open func() (*tokens.Tokenizer, error)) (*schema.Session, error) {
	log, err := readPi(path)
	if err != nil {
		return nil, err
	}
	branch, err := log.branch()
	if err != nil || !slices.ContainsFunc(branch, (*piEntry).answers) {
		return nil, err
	}
	counter, err := open()
	if err != nil {
		return nil, err
	}
	p := &piSession{
		log: log, branch: branch, folder: fold.New(log.header.ID), counter: counter,
		counts: make(map[string]int64), warn: make(warnings), envelope: make(map[string][]byte),
		thinking: log.header.ThinkingLevel,
	}
	p.context.session = p
	p.harness()
	p.context.restart(p.system)
	if err := p.walk(); err != nil {
		return nil, err
	}
	return p.rows(), nil
}

// harness makes the elements of the system prompt and the tools.
func (p *piSession) harness() {
	p.system = p.encode(&chatMessage{Role: "system", Content: &harnessSystem})
	var tools []struct {
		Type     string `json:"type"`
		Function struct {
			Name        string          `json:"name"`
			Description string          `json:"description"`
			Parameters  json.RawMessage `json:"parameters"`
		} `json:"function"`
	}
	if err := json.Unmarshal(harnessTools, &tools); err != nil {
		panic("convert: internal error: " + err.Error())
	}
	for _, t := range tools {
		e := wire.Element{Bytes: encodeJSON(t), Kind: wire.KindTools, Name: t.Function.Name}
		p.counts[string(e.Bytes)] = int64(p.counter.Count(e.Bytes))
		p.tools = append(p.tools, e)
	}
}

// encode makes the element of a message and counts its tokens once.
func (p *piSession) encode(m *chatMessage) wire.Element {
	e := m.element()
	if _, ok := p.counts[string(e.Bytes)]; !ok {
		n := 0
		m.texts(func(text string) { n += p.counter.Count([]byte(text)) })
		p.counts[string(e.Bytes)] = int64(n)
	}
	return e
}

// walk goes along the branch, keeps the context, and makes a call of every
// answer.
func (p *piSession) walk() error {
	var parts []piPart
	for place, e := range p.branch {
		switch e.Type {
		case "thinking_level_change":
			p.thinking = e.ThinkingLevel
		case "session_info":
			p.title = e.Name
		case "compaction":
			p.compact(parts, e)
		}
		m := p.message(e)
		if e.answers() {
			if err := p.call(place, e, m); err != nil {
				return err
			}
		}
		if m != nil {
			part := piPart{place, p.encode(m), m.ToolCalls}
			parts = append(parts, part)
			if m.Role == "tool" {
				p.found(e, m, part.element)
			}
			p.context.add(part)
		}
	}
	p.lost()
	return nil
}

// compact begins the context again with the compaction's summary and what the
// compaction kept of the messages before it.
func (p *piSession) compact(parts []piPart, e *piEntry) {
	p.compactions++
	summary := userMessage("The conversation so far was compacted. Its summary:\n\n" + e.Summary)
	p.context.restart(p.system, p.encode(summary))
	kept := p.log.firstKept(p.branch, e)
	warned := maps.Clone(p.warn)
	defer func() { p.warn = warned }() // all of it was told when the parts came
	for _, part := range parts {
		if part.place >= kept {
			p.context.add(part)
		}
	}
}

// lost counts the calls on other branches.
func (p *piSession) lost() {
	on := make(map[*piEntry]bool, len(p.branch))
	for _, e := range p.branch {
		on[e] = true
	}
	for i := range p.log.entries {
		e := &p.log.entries[i]
		if !on[e] && e.answers() {
			p.warn[warnBranch]++
		}
	}
}

// layout returns the request for a model as it stands now.
func (p *piSession) layout(model string) (wire.Layout, []byte, error) {
	slots := [][]wire.Element{p.context.messages, p.tools}
	if envelope, ok := p.envelope[model]; ok {
		l := wire.Layout{Envelope: envelope, Slots: slots}
		body, err := l.Join(p.body[:0])
		p.body = body
		return l, body, err
	}
	b := append([]byte(`{"model":`), encodeJSON(model)...)
	b = appendList(append(b, `,"messages":`...), p.context.messages)
	b = appendList(append(b, `,"tools":`...), p.tools)
	b = append(b, `,"stream":true,"stream_options":{"include_usage":true}}`...)
	l, err := wire.Split(wire.FormatChat, b)
	if err != nil {
		return l, nil, fmt.Errorf("build request: %w", err)
	}
	p.envelope[model] = l.Envelope
	return l, b, nil
}

func appendList(b []byte, elements []wire.Element) []byte {
	b = append(b, '[')
	for i, e := range elements {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, e.Bytes...)
	}
	return append(b, ']')
}
