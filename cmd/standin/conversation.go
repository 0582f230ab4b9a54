package main

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"regexp"
	"strconv"
	"strings"

	"github.com/capstan-bench/capstan/schema/wire"
)

// A place is where a conversation is in the script. It travels in what the stand-in
// says, and comes back with the conversation.
type place struct {
	agent  int // -1: not told yet
	next   int // the turn to be said
	tokens int // of the context so far; for chains, whose requests send only what is added
}

// mark is the text that a place is written as.
func (p place) mark() string {
	agent := "x"
	if p.agent >= 0 {
		agent = strconv.Itoa(p.agent)
	}
	return fmt.Sprintf("s%sn%dk%d", agent, p.next, p.tokens)
}

var (
	// summaryMark is the place in a summary: all that is left of what came before.
	summaryMark = regexp.MustCompile(`standin:s(x|\d{1,6})n(\d{1,9})k(\d{1,12})`)
	// responseMark is the place in the id of an answer that a chain goes on from.
	responseMark = regexp.MustCompile(`_s(x|\d{1,6})n(\d{1,9})k(\d{1,12})_`)
	// callMark is the turn in the id of a tool call.
	callMark = regexp.MustCompile(`_t(\d{1,9})c\d+_`)
	// acknowledged is how some harnesses have the model take note of a summary, in
	// words of theirs.
	acknowledged = regexp.MustCompile(`"Got it\. Thanks`)
	// workingDir is how harnesses tell a model where they work.
	workingDir = regexp.MustCompile(`(?i)(?:(?:working directory|working in the directory|<cwd>)[^/\\\n"]{0,24}|workspace directories:\**\\n\s*-\s*)(/[^\s"\\<>` + "`" + `]+)`)
)

func placeOf(m []string) place {
	p := place{agent: -1}
	if n, err := strconv.Atoi(m[1]); err == nil {
		p.agent = n
	}
	p.next, _ = strconv.Atoi(m[2])
	p.tokens, _ = strconv.Atoi(m[3])
	return p
}

// conversation is what a request says, as far as it matters here.
//
// Where it is in the script follows from the context alone: each run of elements that
// the model said is a turn, but a tool call's id says which turn it was, and a summary
// where it was made. So it does not matter how a client cuts up or merges what was
// said, whether it resumed, went back, or forgot the beginning. A text in the place of
// a turn that has calls is what a client kept of an answer that broke off.
type conversation struct {
	format string
	from   place    // where what was sent begins
	moves  []move   // in order
	said   []string // what the user, or the harness in their place, said, in order
	last   string   // of said, what came after the model's last turn
	system string
	tools  []tool
	dir    string   // the working directory, "" if unknown
	agents []string // ids of sub-agents in the latest tool results
	tokens int      // of the context
	cached int      // of tokens, those before the user's latest turn

	params  wire.Params
	schema  json.RawMessage // the answer must be JSON in this shape
	compact bool            // the client asks for a compaction item
	link    string          // the id of the latest tool call, "" before the first
}

// move is what a run of elements that the model said, or a summary, does to the place.
type move struct {
	to     *place // a summary was made there
	turn   int    // its calls are of this turn; -1: they don't say
	called bool   // it has calls
}

// follow is the place behind the moves, in the script of an agent.
func (c *conversation) follow(steps []Turn) place {
	at := c.from
	for _, m := range c.moves {
		switch {
		case m.to != nil:
			at = *m.to
		case m.turn >= 0:
			at.next = m.turn + 1
		case m.called || len(c.tools) == 0 || at.next >= len(steps) || len(steps[at.next].Calls) == 0:
			at.next++
		}
	}
	return at
}

// identity is the same for a retry, whatever the client kept of the attempt before:
// it is made of the latest tool call, whose id is this session's own, and before the
// first call of what the user said first.
func (c *conversation) identity(at place) uint64 {
	hash := fnv.New64a()
	fmt.Fprint(hash, at.agent, at.next, c.link)
	if c.link == "" && len(c.said) > 0 {
		fmt.Fprint(hash, c.said[0])
	}
	return hash.Sum64()
}

// agent is who leads the conversation, as far as marks say it; else -1.
func (c *conversation) agent() int {
	agent := c.from.agent
	for _, m := range c.moves {
		if m.to != nil {
			agent = m.to.agent
		}
	}
	return agent
}

const bytesPerToken = 4

// readConversation reads a request body.
func readConversation(format string, body []byte) (*conversation, error) {
	layout, err := wire.Split(format, body)
	if err != nil {
		return nil, err
	}
	c := &conversation{format: format, from: place{agent: -1}}
	if c.params, err = wire.RequestParams(format, layout.Envelope); err != nil {
		return nil, err
	}
	if id := c.params.PreviousResponseID; id != "" {
		m := responseMark.FindStringSubmatch(id)
		if m == nil {
			return nil, fmt.Errorf("no answer has the id %.60q", id)
		}
		c.from = placeOf(m)
	}
	before := c.from.tokens
	c.elements(layout.Slots)
	c.tokens = before + len(body)/bytesPerToken
	c.cached = before + c.cached/bytesPerToken
	c.schema = answerSchema(body)
	if m := workingDir.FindSubmatch(body); m != nil {
		c.dir = strings.TrimRight(string(m[1]), ".,;:)")
	}
	return c, nil
}

func (c *conversation) elements(slots [][]wire.Element) {
	speaking := false // the element before was the model's
	bytes := 0
	for _, slot := range slots {
		for _, e := range slot {
			raw := e.Bytes
			if e.Bare != nil {
				raw = e.Bare
			}
			bytes += len(raw)
			switch e.Kind {
			case wire.KindTools:
				c.tools = append(c.tools, declared(c.format, raw)...)
				continue
			case wire.KindSystem:
				c.system += strings.Join(textsOf(raw), "\n") + "\n"
				continue
			}
			for _, l := range wire.Links(c.format, raw) {
				if callMark.MatchString(l.ID) {
					c.link = l.ID
				}
			}
			switch e.Kind {
			case wire.KindAssistant, wire.KindReasoning, wire.KindToolCall:
				c.spoken(raw, !speaking)
				speaking, c.last, c.agents, c.cached = true, "", nil, bytes
			default:
				c.heard(raw, e.Kind)
				speaking = false
			}
		}
	}
}

// spoken takes an element that the model said; first says that it begins a turn.
func (c *conversation) spoken(raw []byte, first bool) {
	if c.summary(raw) {
		return
	}
	if n := len(c.moves); first || n == 0 || c.moves[n-1].to != nil {
		if acknowledged.Match(raw) {
			return
		}
		c.moves = append(c.moves, move{turn: -1})
	}
	m := &c.moves[len(c.moves)-1]
	for _, l := range wire.Links(c.format, raw) {
		m.called = m.called || l.Kind == wire.KindToolCall
		if id := callMark.FindStringSubmatch(l.ID); id != nil {
			m.turn, _ = strconv.Atoi(id[1])
		}
	}
}

// summary takes note of the place in a summary.
func (c *conversation) summary(raw []byte) bool {
	m := summaryMark.FindStringSubmatch(string(raw))
	if m != nil {
		p := placeOf(m)
		c.moves = append(c.moves, move{to: &p})
	}
	return m != nil
}

// heard takes an element that somebody else said.
func (c *conversation) heard(raw []byte, kind string) {
	if kind == wire.KindCompaction && strings.Contains(string(raw), `"compaction_trigger"`) {
		c.compact = true
	}
	if kind != wire.KindToolResult {
		c.summary(raw)
	} else {
		for _, m := range agentID.FindAllStringSubmatch(string(raw), -1) {
			c.agents = append(c.agents, m[1])
		}
	}
	for _, text := range textsOf(raw) {
		c.said = append(c.said, text)
		c.last += text + "\n"
	}
}

var agentID = regexp.MustCompile(`agent_id\\*"\s*:\s*\\*"([0-9a-zA-Z_/-]{1,80})`)

// textsOf lists the texts of an element: of its content where that is a text, else of
// its parts. What a tool said is not among them.
func textsOf(raw []byte) []string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return []string{text}
	}
	var e struct {
		Role    string          `json:"role"`
		Text    string          `json:"text"`
		Content json.RawMessage `json:"content"`
		Parts   json.RawMessage `json:"parts"`
	}
	if json.Unmarshal(raw, &e) != nil || e.Role == "tool" {
		return nil
	}
	if e.Text != "" {
		return []string{e.Text}
	}
	inner := e.Content
	if inner == nil {
		inner = e.Parts
	}
	if json.Unmarshal(inner, &text) == nil {
		return []string{text}
	}
	var parts []struct {
		Text    string `json:"text"`
		Thought bool   `json:"thought"`
	}
	json.Unmarshal(inner, &parts)
	var out []string
	for _, p := range parts {
		if p.Text != "" && !p.Thought {
			out = append(out, p.Text)
		}
	}
	return out
}

// answerSchema finds the shape that a request wants its answer in.
func answerSchema(body []byte) json.RawMessage {
	var r struct {
		ResponseFormat struct {
			JSONSchema struct {
				Schema json.RawMessage `json:"schema"`
			} `json:"json_schema"`
		} `json:"response_format"`
		Text struct {
			Format struct {
				Schema json.RawMessage `json:"schema"`
			} `json:"format"`
		} `json:"text"`
		OutputConfig struct {
			Format struct {
				Schema json.RawMessage `json:"schema"`
			} `json:"format"`
		} `json:"output_config"`
		OutputFormat struct {
			Schema json.RawMessage `json:"schema"`
		} `json:"output_format"`
		GenerationConfig struct {
			ResponseSchema     json.RawMessage `json:"responseSchema"`
			ResponseJSONSchema json.RawMessage `json:"responseJsonSchema"`
		} `json:"generationConfig"`
	}
	if json.Unmarshal(body, &r) != nil {
		// A member of another type stands in one of these places: no schema there.
		return nil
	}
	for _, s := range []json.RawMessage{
		r.ResponseFormat.JSONSchema.Schema, r.Text.Format.Schema, r.OutputConfig.Format.Schema, r.OutputFormat.Schema,
		r.GenerationConfig.ResponseSchema, r.GenerationConfig.ResponseJSONSchema,
	} {
		if len(s) > 0 && string(s) != "null" {
			return s
		}
	}
	return nil
}
