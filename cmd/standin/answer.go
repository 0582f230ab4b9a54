package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"

	"github.com/capstan-bench/capstan/schema/wire"
)

// Kinds of answers.
const (
	AnswerTurn       = "turn"
	AnswerSide       = "side"       // a title, a classification: not part of the work
	AnswerCompaction = "compaction" // a summary of the context
	AnswerPrewarm    = "prewarm"    // nothing: the client only warms the cache
	AnswerEnd        = "end"        // the script is over
)

// answer is what to say to a request.
type answer struct {
	kind  string
	agent string // that leads, "" where it does not matter
	turn  int
	step  Turn // its faults and its pace

	identity uint64 // of the request, the same for a retry

	wire.Scripted
}

var (
	// summarise is how harnesses ask for a summary of the context.
	summarise = regexp.MustCompile(`(?is)CONTEXT CHECKPOINT COMPACTION|<state_snapshot>|context summarization (?:agent|assistant)|<analysis>.*<summary>`)
	// entitle is how they ask for a title.
	entitle = regexp.MustCompile(`(?i)\btitle\b`)
)

// answer decides what to say.
func (s *Script) answer(c *conversation) answer {
	a := answer{Scripted: wire.Scripted{Model: c.params.Model, Created: time.Now().Unix()}}
	agent := c.agent()
	if agent < 0 || agent >= len(s.Agents) {
		agent = s.leads(c.said)
	}
	var steps []Turn
	if agent >= 0 {
		steps = s.Agents[agent].steps
	}
	at := c.follow(steps)
	at.agent = agent
	a.identity = c.identity(at)
	ask := c.last
	if len(c.tools) == 0 {
		ask += c.system
	}
	switch {
	case c.params.Generate != nil && !*c.params.Generate:
		a.kind = AnswerPrewarm
		at.agent = c.agent()
	case c.compact:
		a.kind = AnswerCompaction
		a.Parts = []wire.Part{{Kind: wire.PartCompaction, Text: "standin:" + at.mark() + ":" + blob(90)}}
	case summarise.MatchString(ask) && (len(c.tools) == 0 || !summaryMark.MatchString(ask)):
		a.kind = AnswerCompaction
		a.Parts = []wire.Part{{Text: s.summary(c, at, ask)}}
	case c.schema != nil:
		a.kind = AnswerSide
		a.Parts = []wire.Part{{Text: instanceOf(c.schema)}}
	case len(c.tools) == 0 && entitle.MatchString(ask):
		a.kind = AnswerSide
		a.Parts = []wire.Part{{Text: "Work on a small project"}}
	default:
		s.turn(&a, c, at)
		at.next++
	}
	if at.agent >= 0 {
		a.agent = s.Agents[at.agent].Name
	}
	a.count(c)
	at.tokens = int(a.Usage.Input + a.Usage.Output)
	if a.kind == AnswerSide {
		at = place{agent: -1}
	}
	a.ID = idPrefix[c.format] + "_" + at.mark() + "_" + random(12)
	return a
}

var idPrefix = map[string]string{
	wire.FormatChat: "chatcmpl", wire.FormatMessages: "msg", wire.FormatResponses: "resp", wire.FormatGemini: "gen",
}

// turn says the next turn of the script, or that it is over.
func (s *Script) turn(a *answer, c *conversation, at place) {
	a.kind, a.turn = AnswerTurn, at.next
	var steps []Turn
	if at.agent >= 0 {
		steps = s.Agents[at.agent].steps
	}
	if at.next >= len(steps) {
		a.kind = AnswerEnd
		a.step = Turn{Text: "Everything that was asked for is done."}
	} else {
		a.step = steps[at.next]
	}
	if a.step.Reasoning != "" {
		a.Parts = append(a.Parts, wire.Part{Kind: wire.PartReasoning, Text: a.step.Reasoning, Proof: blob(120)})
	}
	if a.step.Text != "" {
		a.Parts = append(a.Parts, wire.Part{Text: a.step.Text})
	}
	for i, call := range a.step.Calls {
		if p, ok := bind(call, c); ok {
			p.ID = callID(c.format, at.next, i)
			a.Parts = append(a.Parts, p)
		}
	}
	if t, ok := find(c.tools, "complete_task"); ok && len(a.step.Calls) == 0 {
		// The sub-agents of one harness hand in what they found through a tool.
		p := t.part()
		p.Text = literal(t.schema.instance(a.step.Text))
		p.ID = callID(c.format, at.next, 0)
		a.Parts = []wire.Part{p}
	}
	if c.format == wire.FormatGemini {
		for i := range a.Parts {
			if a.Parts[i].Kind == wire.PartTool { // of parallel calls the first one is signed
				a.Parts[i].Proof = blob(120)
				break
			}
		}
	}
	if len(a.Parts) == 0 {
		a.Parts = []wire.Part{{Text: "There is no tool to go on with."}}
	}
}

func callID(format string, turn, i int) string {
	prefix := "call"
	if format == wire.FormatMessages {
		prefix = "toolu"
	}
	return fmt.Sprintf("%s_t%dc%d_%s", prefix, turn, i, random(12))
}

// summary says where the conversation is, since the summary is all that will be left
// of it. A client that sends the conversation as one text leaves no turns to count:
// there it is behind the last turn whose words occur. The summary is in the tags that
// the request asks for.
func (s *Script) summary(c *conversation, at place, ask string) string {
	if at.agent >= 0 && at.next == 0 {
		steps := s.Agents[at.agent].steps
		said := strings.Join(c.said, "\n")
		for i := len(steps) - 1; i >= 0 && at.next == 0; i-- {
			if steps[i].occurs(said) {
				at.next = i + 1
			}
		}
	}
	text := fmt.Sprintf("The task goes on as before: %d turns of it are done, and nothing is open. (standin:%s)", at.next, at.mark())
	if c.dir != "" {
		text += "\nWorking directory: " + c.dir
	}
	for _, tag := range []string{"state_snapshot", "summary"} {
		if strings.Contains(ask, "<"+tag+">") {
			return "<" + tag + ">\n" + text + "\n</" + tag + ">"
		}
	}
	return text
}

// occurs says whether a text holds the words of a turn.
func (t *Turn) occurs(text string) bool {
	words := []string{t.Text}
	for _, c := range t.Calls {
		words = append(words, c.Command, c.Text, c.New)
	}
	for _, w := range words {
		if len(w) >= 12 && strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// count makes up the usage.
func (a *answer) count(c *conversation) {
	u := wire.Usage{Input: int64(c.tokens), Cached: int64(c.cached), CacheWrite: wire.Unknown, Reasoning: wire.Unknown}
	for _, p := range a.Parts {
		n := int64(len(p.Text)+len(p.Name))/bytesPerToken + 1
		u.Output += n
		if p.Kind == wire.PartReasoning {
			u.Reasoning = n
		}
	}
	if a.step.Usage.Input > 0 {
		u.Input = a.step.Usage.Input
	}
	if a.step.Usage.Output > 0 {
		u.Output = a.step.Usage.Output
	}
	if c.format == wire.FormatMessages {
		u.CacheWrite = u.Input - u.Cached
	}
	u.Cached = min(u.Cached, u.Input)
	u.CacheWrite = max(u.CacheWrite, wire.Unknown)
	u.Reasoning = min(u.Reasoning, u.Output)
	a.Usage = u
}

func instanceOf(raw json.RawMessage) string {
	var s schema
	if json.Unmarshal(raw, &s) != nil {
		return "{}"
	}
	return literal(s.instance("Work on a small project"))
}

const letters = "abcdefghijklmnopqrstuvwxyz0123456789"

// random is n letters and digits. Ids must differ between sessions that say the
// same.
func random(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[rand.IntN(len(letters))]
	}
	return string(b)
}

// blob stands for the opaque texts that models sign with.
func blob(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return base64.StdEncoding.EncodeToString(b)
}
