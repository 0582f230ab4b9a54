package assemble_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/proxy/assemble"
	"github.com/capstan-bench/capstan/proxy/journal"
	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/wire"
)

// style is how the requests of a harness look.
type style struct {
	format, target string
	named          bool // requests name session and agent
	chained        bool // over a WebSocket, with previous_response_id
}

var styles = []style{
	{format: wire.FormatChat, target: "/v1/chat/completions"},
	{format: wire.FormatMessages, target: "/v1/messages", named: true},
	{format: wire.FormatResponses, target: "/v1/responses", named: true, chained: true},
	{format: wire.FormatMessages, target: "/v1/messages"},
}

// maker plays one session of an agent and knows what is true of it.
type maker struct {
	t     testing.TB
	r     *rand.Rand
	style style
	name  string
	out   []*journal.Exchange
	truth map[string]string // agent and place of each exchange, by its id
	count int
}

// agent is the conversation of one agent.
type agent struct {
	name, parent string
	context      []string
	delta        []string // since the latest answer
	last         string   // its id
	turns        int
}

func (m *maker) id(kind string) string {
	m.count++
	return fmt.Sprintf("%s-%s-%d", m.name, kind, m.count)
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// play makes a session that begins at an instant.
func (m *maker) play(at time.Duration) {
	root := &agent{name: "main"}
	m.user(root, "First prompt of "+m.name)
	m.agent(root, at, 0)
}

func (m *maker) user(a *agent, text string) {
	if m.style.format == wire.FormatResponses {
		m.add(a, `{"type":"message","role":"user","content":[{"type":"input_text","text":`+quote(text)+`}]}`)
		return
	}
	m.add(a, `{"role":"user","content":`+quote(text)+`}`)
}

func (m *maker) add(a *agent, element string) {
	a.context, a.delta = append(a.context, element), append(a.delta, element)
}

// agent plays an agent to its end and returns when that is.
func (m *maker) agent(a *agent, at time.Duration, depth int) time.Duration {
	for n := 2 + m.r.IntN(4); n > 0; n-- {
		for m.r.IntN(6) == 0 {
			at = m.call(a, at, wire.Scripted{}, false) + 100*time.Millisecond
		}
		var parts []wire.Part
		for range m.r.IntN(3) {
			parts = append(parts, wire.Part{Kind: wire.PartTool, ID: m.id("call"), Name: "task", Text: `{"prompt":` + quote(m.id("do this work for me")) + `}`})
		}
		if len(parts) == 0 || m.r.IntN(2) == 0 {
			parts = append(parts, wire.Part{Kind: wire.PartText, Text: m.id("these are words of an answer")})
		}
		at = m.call(a, at, wire.Scripted{Parts: parts, ID: m.id("answer")}, true)
		at = m.tools(a, parts, at, depth) + time.Duration(1+m.r.IntN(3000))*time.Millisecond
	}
	return at
}

// tools runs what an answer asked for, some of it by agents.
func (m *maker) tools(a *agent, parts []wire.Part, at time.Duration, depth int) time.Duration {
	end := at
	for _, p := range parts {
		if p.Kind != wire.PartTool {
			continue
		}
		if depth < 2 && m.r.IntN(2) == 0 {
			var prompt struct{ Prompt string }
			_ = json.Unmarshal([]byte(p.Text), &prompt)
			sub := &agent{name: m.id("agent"), parent: a.name}
			m.user(sub, prompt.Prompt)
			end = max(end, m.agent(sub, at+time.Duration(1+m.r.IntN(50))*time.Millisecond, depth+1))
		}
	}
	for _, p := range parts {
		if p.Kind == wire.PartTool {
			m.result(a, p.ID)
		}
	}
	if len(parts) == 0 || parts[0].Kind != wire.PartTool {
		m.user(a, m.id("and then another thing"))
	}
	return end
}

func (m *maker) result(a *agent, id string) {
	switch m.style.format {
	case wire.FormatChat:
		m.add(a, `{"role":"tool","tool_call_id":"`+id+`","content":"done"}`)
	case wire.FormatMessages:
		m.add(a, `{"role":"user","content":[{"type":"tool_result","tool_use_id":"`+id+`","content":"done"}]}`)
	default:
		m.add(a, `{"type":"function_call_output","call_id":"`+id+`","output":"done"}`)
	}
}

// call makes one exchange and returns when its answer ends. Without an answer it
// fails.
func (m *maker) call(a *agent, at time.Duration, s wire.Scripted, ok bool) time.Duration {
	x := &journal.Exchange{Finished: true}
	x.Flow = journal.Flow{ID: m.id("x"), Client: "10.0.0.7:" + fmt.Sprint(4000+m.r.IntN(9)), Host: "h", Started: epoch.Add(at), At: at}
	line := journal.Head{Line: "POST " + m.style.target + " HTTP/1.1", Fields: m.fields(a)}
	if m.style.chained {
		x.Flow.Kind, line.Line = journal.WebSocket, "GET /v1/responses HTTP/1.1"
	}
	x.Request.Heads = []journal.HeadAt{{Head: line, At: at}}
	read(&x.Request, at, m.body(a))
	x.Response.Heads = []journal.HeadAt{{Head: journal.Head{Line: "HTTP/1.1 200 OK"}, At: at + time.Millisecond}}
	end := at + 5*time.Millisecond
	if ok {
		end = m.answer(x, s, end)
		if a.turns++; m.style.chained {
			a.last, a.delta = s.ID, nil
		}
		m.echo(a, s)
	} else if m.style.chained {
		read(&x.Response, end, `{"type":"error","error":{"type":"server_error","message":"busy"}}`)
	} else {
		x.Response.Heads[0].Line = "HTTP/1.1 529 Overloaded"
		read(&x.Response, end, `{"error":{"type":"overloaded_error","message":"busy"}}`)
	}
	x.End.At = end
	m.truth[x.Flow.ID] = fmt.Sprintf("%s/%s/%d", a.name, a.parent, a.turns)
	m.out = append(m.out, x)
	return end + time.Millisecond
}

func (m *maker) fields(a *agent) []journal.Field {
	out := []journal.Field{{Name: "User-Agent", Value: "tester/1.0"}}
	switch {
	case m.style.named && m.style.format == wire.FormatMessages:
		out = append(out, journal.Field{Name: "X-Claude-Code-Session-Id", Value: m.name})
		if a.parent != "" {
			out = append(out, journal.Field{Name: "X-Claude-Code-Agent-Id", Value: a.name})
		}
	case m.style.named:
		out = append(out, journal.Field{Name: "Session-Id", Value: m.name}, journal.Field{Name: "Thread-Id", Value: m.thread(a.name)})
		if a.parent != "" {
			out = append(out, journal.Field{Name: "X-Codex-Parent-Thread-Id", Value: m.thread(a.parent)})
		}
	}
	return out
}

func (m *maker) thread(agent string) string {
	if agent == "main" {
		return m.name
	}
	return agent
}

func (m *maker) body(a *agent) string {
	context := a.context
	switch {
	case m.style.chained && a.last != "":
		return `{"type":"response.create","model":"m","previous_response_id":` + quote(a.last) + `,"input":[` + strings.Join(a.delta, ",") + `],"tools":[{"type":"function","name":"task"}]}`
	case m.style.format == wire.FormatResponses:
		return `{"type":"response.create","model":"m","input":[` + strings.Join(context, ",") + `],"tools":[{"type":"function","name":"task"}]}`
	case m.style.format == wire.FormatMessages:
		context = slices.Clone(context)
		last := &context[len(context)-1]
		*last = strings.TrimSuffix(*last, "}") + `,"cache_control":{"type":"ephemeral"}}`
		return `{"model":"m","max_tokens":99,"stream":true,"messages":[` + strings.Join(context, ",") + `],"tools":[{"name":"task"}]}`
	}
	return `{"model":"m","stream":true,"messages":[` + strings.Join(context, ",") + `],"tools":[{"type":"function","function":{"name":"task"}}]}`
}

func (m *maker) answer(x *journal.Exchange, s wire.Scripted, at time.Duration) time.Duration {
	s.Model, s.Usage = "m", wire.Usage{Input: 100, Output: 10}
	events, err := wire.Events(m.style.format, s, 7)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, e := range events {
		at += 2 * time.Millisecond
		if m.style.chained {
			read(&x.Response, at, string(e.Data))
		} else {
			read(&x.Response, at, string(wire.AppendEvent(nil, e)))
		}
	}
	return at
}

// echo puts the answer into the context as clients do.
func (m *maker) echo(a *agent, s wire.Scripted) {
	said, tools := "", []string{}
	for _, p := range s.Parts {
		switch {
		case p.Kind == wire.PartText:
			said += p.Text
		case m.style.format == wire.FormatChat:
			tools = append(tools, `{"id":"`+p.ID+`","type":"function","function":{"name":"task","arguments":`+quote(p.Text)+`}}`)
		case m.style.format == wire.FormatMessages:
			tools = append(tools, `{"type":"tool_use","id":"`+p.ID+`","name":"task","input":`+p.Text+`}`)
		}
	}
	switch m.style.format {
	case wire.FormatChat:
		e := `{"role":"assistant","content":` + quote(said)
		if len(tools) > 0 {
			e += `,"tool_calls":[` + strings.Join(tools, ",") + `]`
		}
		a.context = append(a.context, e+"}")
	case wire.FormatMessages:
		if said != "" {
			tools = append(tools, `{"type":"text","text":`+quote(said)+`}`)
		}
		a.context = append(a.context, `{"role":"assistant","content":[`+strings.Join(tools, ",")+`]}`)
	}
}

func makeSessions(t testing.TB, seed uint64, n int) []*maker {
	var out []*maker
	for i := range n {
		m := &maker{t: t, r: rand.New(rand.NewPCG(seed, uint64(i))), style: styles[i%len(styles)], name: fmt.Sprintf("s%d-%d", seed, i), truth: map[string]string{}}
		m.play(time.Duration(m.r.IntN(5000)) * time.Millisecond)
		out = append(out, m)
	}
	return out
}

// withoutWork drops what a session knows of those beside it.
func withoutWork(t testing.TB, s *schema.Session) *schema.Session {
	t.Helper()
	root := &s.Trajectories[0]
	var extra map[string]any
	if err := json.Unmarshal([]byte(*root.ExtraJSON), &extra); err != nil {
		t.Fatal(err)
	}
	delete(extra, "work")
	b, _ := json.Marshal(extra)
	text := string(b)
	root.ExtraJSON = &text
	return s
}

// TestInterleavings: sessions that went on at the same time, on one machine, in any
// order of exchanges, are assembled as each of them alone, and its agents and turns
// are those that were played.
func TestInterleavings(t *testing.T) {
	for seed := range uint64(5) {
		makers := makeSessions(t, seed, 6)
		var all []*journal.Exchange
		alone := map[string]*schema.Session{}
		truth := map[string]string{}
		for _, m := range makers {
			sessions, r := pack(t, m.out, assemble.Config{})
			sound(t, sessions, r)
			if len(sessions) != 1 {
				t.Fatalf("seed %d: %s came apart into %d sessions", seed, m.name, len(sessions))
			}
			alone[sessions[0].ID] = withoutWork(t, sessions[0])
			all = append(all, m.out...)
			for id, what := range m.truth {
				truth[id] = what
			}
		}
		r := rand.New(rand.NewPCG(seed, 99))
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		together, report := pack(t, all, assemble.Config{})
		sound(t, together, report)
		if len(together) != len(makers) {
			t.Errorf("seed %d: %d sessions, want %d", seed, len(together), len(makers))
		}
		for _, s := range together {
			if withoutWork(t, s); !reflect.DeepEqual(alone[s.ID], s) {
				diff := cmp.Diff(alone[s.ID], s)
				t.Fatalf("seed %d: session %s is another one among others (-alone +together):\n%.4000s", seed, s.ID, diff)
			}
			checkTruth(t, s, truth)
		}
	}
}

// checkTruth compares agents and turns with those that were played.
func checkTruth(t *testing.T, s *schema.Session, truth map[string]string) {
	t.Helper()
	agents := map[string]string{} // played to assembled
	parents := map[string]string{}
	for _, tr := range s.Trajectories {
		if tr.ParentTrajectoryID != nil {
			parents[tr.TrajectoryID] = *tr.ParentTrajectoryID
			if tr.SpawnedByToolCallID == nil {
				t.Errorf("session %s agent %s: no tool call spawned it", s.ID, tr.TrajectoryID)
			}
		}
	}
	names := map[string]string{"": ""}
	for i := range s.Calls {
		c := &s.Calls[i]
		played := strings.Split(truth[c.CallID], "/")
		if was, ok := agents[played[0]]; ok && was != c.TrajectoryID {
			t.Errorf("session %s: agent %s came apart into %s and %s", s.ID, played[0], was, c.TrajectoryID)
		}
		agents[played[0]], names[c.TrajectoryID] = c.TrajectoryID, played[0]
		failed := c.ErrorType != nil
		turn := c.CallIndex
		if !failed {
			turn++
		}
		if fmt.Sprint(turn) != played[2] {
			t.Errorf("session %s call %s: place %d in %s, was played as %v", s.ID, c.CallID, c.CallIndex, c.TrajectoryID, played)
		}
	}
	for i := range s.Calls {
		c := &s.Calls[i]
		if played := strings.Split(truth[c.CallID], "/"); names[parents[c.TrajectoryID]] != played[1] {
			t.Errorf("session %s agent %s: its parent is %q, want %q", s.ID, c.TrajectoryID, names[parents[c.TrajectoryID]], played[1])
		}
	}
}
