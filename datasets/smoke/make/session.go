package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// message is a Chat Completions message in the order in which it is written.
type message struct {
	Role       string     `json:"role"`
	Content    string     `json:"content"`
	ToolCalls  []toolCall `json:"tool_calls,omitempty"`
	ToolCallID string     `json:"tool_call_id,omitempty"`
}

type toolCall struct {
	ID       string       `json:"id"`
	Type     string       `json:"type"`
	Function toolFunction `json:"function"`
}

type toolFunction struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

// turn is one call of a trajectory before it is written: what was new in its
// context, what came back, and when.
type turn struct {
	added   []message // after the previous answer; the first turn's begin with the system message
	answer  message
	user    bool          // the user caused it, not a tool
	gap     time.Duration // since its cause
	ttft    time.Duration
	took    time.Duration
	walls   []time.Duration // of the answer's tool calls
	spawned []*lane         // sub-agents that the answer's task calls started
}

// lane is one trajectory: an agent at work.
type lane struct {
	name  string
	turns []turn
}

// author writes sessions from stories.
type author struct {
	repo *repo
	rng  *rand.Rand
	ids  int
}

func (a *author) root(s story) *lane {
	l := &lane{name: "root"}
	asked := 0
	for i := range s.turns {
		t := turn{user: i == 0 || asked < len(s.asks) && i == s.turns*asked/len(s.asks)}
		switch {
		case i == 0:
			t.added = []message{{Role: "system", Content: systemPrompt}}
		default:
			t.added = a.results(&l.turns[i-1], s.folders)
		}
		if t.user {
			t.added = append(t.added, message{Role: "user", Content: s.asks[asked]})
			asked++
		}
		lastOfAsk := i == s.turns-1 || asked < len(s.asks) && i+1 == s.turns*asked/len(s.asks)
		a.answer(&t, s, i, lastOfAsk)
		a.times(&t, i)
		l.turns = append(l.turns, t)
	}
	return l
}

// sub is a sub-agent's trajectory: it reads, then reports.
func (a *author) sub(prompt string, folders []string, n int) *lane {
	l := &lane{name: fmt.Sprintf("task-%d", n+1)}
	for i := range 6 + 3*n {
		t := turn{user: i == 0}
		if i == 0 {
			t.added = []message{{Role: "system", Content: systemPrompt}, {Role: "user", Content: prompt}}
		} else {
			t.added = a.results(&l.turns[i-1], folders)
		}
		a.answer(&t, story{folders: folders}, i, i == 5+3*n)
		a.times(&t, i)
		l.turns = append(l.turns, t)
	}
	return l
}

// answer fills in what the model said and asked for.
func (a *author) answer(t *turn, s story, i int, last bool) {
	t.answer.Role = "assistant"
	file := a.repo.pick(a.rng, s.folders)
	if last {
		t.answer.Content = fmt.Sprintf(choose(a.rng, concluding), file)
		return
	}
	if i == 3 && len(s.tasks) > 0 {
		t.answer.Content = "These two questions need a lot of reading that I will not need afterwards, so I hand them on."
		if len(s.tasks) == 1 {
			t.answer.Content = "This needs a lot of reading that I will not need afterwards, so I hand it on."
		}
		for n, prompt := range s.tasks {
			t.answer.ToolCalls = append(t.answer.ToolCalls, a.call("task", map[string]any{"title": fmt.Sprintf("reading %d", n+1), "prompt": prompt}))
			t.spawned = append(t.spawned, a.sub(prompt, s.folders, n))
		}
		return
	}
	a.work(t, file, i)
}

// work asks for one to three ordinary tools.
func (a *author) work(t *turn, file string, i int) {
	say := func(lines []string) {
		if line := choose(a.rng, lines); strings.Contains(line, "%s") {
			t.answer.Content = fmt.Sprintf(line, file)
		} else {
			t.answer.Content = line
		}
	}
	switch p := a.rng.Float64(); {
	case i < 2 || p < 0.45:
		say(looking)
		from := 1 + a.rng.IntN(1+len(a.repo.lines[file])/4)
		t.answer.ToolCalls = append(t.answer.ToolCalls, a.call("read", map[string]any{"path": file, "from": from, "lines": 100 + a.rng.IntN(250)}))
		if a.rng.Float64() < 0.25 {
			t.answer.ToolCalls = append(t.answer.ToolCalls, a.call("list", map[string]any{"path": folder(file)}))
		}
	case p < 0.65:
		say(looking)
		t.answer.ToolCalls = append(t.answer.ToolCalls, a.call("search", map[string]any{"pattern": a.repo.word(a.rng, file), "path": folder(file)}))
	case p < 0.82:
		say(changing)
		t.answer.ToolCalls = append(t.answer.ToolCalls, a.call("edit", a.change(file)))
	default:
		say(checking)
		t.answer.ToolCalls = append(t.answer.ToolCalls, a.call("run", map[string]any{"command": "go test ./" + folder(file)}))
	}
	if a.rng.Float64() < 0.3 {
		t.answer.Content = "" // many answers are tool calls alone
	}
}

// change is an edit that doubles a few lines of a file, the second time with a
// remark.
func (a *author) change(file string) map[string]any {
	lines := a.repo.lines[file]
	at := a.rng.IntN(max(1, len(lines)-14))
	old := strings.Join(lines[at:min(len(lines), at+3+a.rng.IntN(9))], "\n")
	return map[string]any{"path": file, "old": old, "new": "// Checked with the new case.\n" + old}
}

func (a *author) call(name string, args map[string]any) toolCall {
	a.ids++
	text, err := json.Marshal(args)
	if err != nil {
		panic("make: internal error: " + err.Error())
	}
	return toolCall{ID: fmt.Sprintf("call_%06d", a.ids), Type: "function", Function: toolFunction{Name: name, Arguments: string(text)}}
}

// results answers every tool call of the turn before.
func (a *author) results(prev *turn, folders []string) []message {
	out := []message{prev.answer}
	for n, c := range prev.answer.ToolCalls {
		text := ""
		if c.Function.Name == "task" {
			report := prev.spawned[n].turns
			text = report[len(report)-1].answer.Content
		} else {
			text = a.output(c.Function)
		}
		out = append(out, message{Role: "tool", Content: text, ToolCallID: c.ID})
	}
	return out
}

func (a *author) output(f toolFunction) string {
	var args struct {
		Path, Pattern, Command string
		From, Lines            int
	}
	if err := json.Unmarshal([]byte(f.Arguments), &args); err != nil {
		panic("make: internal error: " + err.Error())
	}
	switch f.Name {
	case "read":
		return a.repo.read(args.Path, args.From, args.Lines)
	case "list":
		return a.repo.list(args.Path)
	case "search":
		return a.repo.search(args.Pattern, args.Path)
	case "edit":
		return "replaced 1 passage in " + args.Path + "\n"
	}
	line := fmt.Sprintf(choose(a.rng, replies), strings.TrimPrefix(args.Command, "go test ./"), 1+a.rng.IntN(8), a.rng.IntN(1000))
	return line + fmt.Sprintf("exit status %d\n", btoi(strings.Contains(line, "FAIL")))
}

// times draws the turn's durations: log-normal, since both people and tools
// have long tails. The medians are those of coding sessions seen in public
// traces: tools about a second, people about half a minute.
func (a *author) times(t *turn, i int) {
	draw := func(median, sigma, least, most float64) time.Duration {
		s := median * math.Exp(sigma*a.rng.NormFloat64())
		return time.Duration(math.Min(math.Max(s, least), most)*1e6) * time.Microsecond
	}
	t.gap = draw(0.9, 1.1, 0.05, 90)
	if t.user {
		t.gap = draw(28, 0.9, 4, 900)
	}
	if i == 0 {
		t.gap = 0
	}
	t.ttft = draw(1.1, 0.5, 0.3, 9)
	tokens := float64(len(t.answer.Content)+len(fmt.Sprint(t.answer.ToolCalls))) / 4
	t.took = t.ttft + time.Duration(tokens/draw(62, 0.25, 25, 140).Seconds()*1e6)*time.Microsecond
	for range t.answer.ToolCalls {
		t.walls = append(t.walls, draw(0.4, 1, 0.01, 60))
	}
}

func choose(rng *rand.Rand, from []string) string { return from[rng.IntN(len(from))] }

func folder(file string) string {
	if i := strings.LastIndexByte(file, '/'); i > 0 {
		return file[:i]
	}
	return "."
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
