package assemble_test

import (
	"bytes"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/capstan-bench/capstan/datasets"
	"github.com/capstan-bench/capstan/proxy/assemble"
	"github.com/capstan-bench/capstan/proxy/journal"
	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/fold"
	"github.com/capstan-bench/capstan/schema/wire"
)

// memory is a spool.
type memory struct{ b []byte }

func (m *memory) Write(p []byte) (int, error) {
	m.b = append(m.b, p...)
	return len(p), nil
}

func (m *memory) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(m.b).ReadAt(p, off) }

var epoch = time.Date(2026, 11, 25, 16, 0, 0, 0, time.UTC)

// names are the JSON texts of a recording that stand for @name.
type names map[string]string

var reference = regexp.MustCompile(`@([a-z][a-z0-9]*)`)

func (n names) expand(t testing.TB, s string) string {
	return reference.ReplaceAllStringFunc(s, func(m string) string {
		v, ok := n[m[1:]]
		if !ok {
			t.Fatalf("the recording does not define %s", m)
		}
		return n.expand(t, v)
	})
}

// recording reads exchanges from an archive. The file "define" has names, a JSON
// text each. The file "all" has lines for every exchange. Any other file but
// "want" is an exchange:
//
//	at 120ms            when it began
//	tag T, workdir D, client A, provider P, harness H
//	socket, http        it is of a WebSocket, or it is not
//	> LINE              request line, then header fields
//	{…}                 the body; @name is replaced
//	< 200 100ms 20ms    status, when the head came, from event to event
//	< FIELD: VALUE
//	id ID, model M, say TEXT, think TEXT, tool ID NAME ARGUMENTS, finish F
//	usage INPUT CACHED OUTPUT
//	plain               the answer is no stream
//	raw TEXT            the answer's body as it stands; @nl is a new line
//	more TEXT           what comes 300ms after the answer
//	cut N OUTCOME       the answer ends behind event N
//	close OUTCOME       how it ended, where the answer is whole
//	unfinished          the recording ended first
func recording(t testing.TB, a *txtar.Archive) []*journal.Exchange {
	t.Helper()
	n, all := names{}, ""
	var out []*journal.Exchange
	for _, f := range a.Files {
		switch f.Name {
		case "define":
			for line := range strings.Lines(string(f.Data)) {
				if name, text, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
					n[name] = text
				}
			}
		case "all":
			all = string(f.Data)
		case "want":
		default:
			p := &player{t: t, names: n, x: &journal.Exchange{Finished: true}, script: wire.Scripted{Created: 1, Usage: unknownUsage}}
			p.x.Flow.ID, p.x.Flow.Client, p.x.Flow.Host, p.x.Flow.Scheme = f.Name, "127.0.0.1:4000", "api.example.com", "https"
			for line := range strings.Lines(all + string(f.Data)) {
				p.line(strings.TrimRight(line, "\n"))
			}
			out = append(out, p.end())
		}
	}
	return out
}

var unknownUsage = wire.Usage{Input: wire.Unknown, Cached: wire.Unknown, CacheWrite: wire.Unknown, Output: wire.Unknown, Reasoning: wire.Unknown}

// player makes one exchange.
type player struct {
	t                       testing.TB
	names                   names
	x                       *journal.Exchange
	at, first, pace         time.Duration
	request, response       journal.Head
	body, status, raw, more string
	script                  wire.Scripted
	cut                     int
	outcome                 journal.Outcome
	plain, broken           bool
}

var outcomes = map[string]journal.Outcome{
	"client": journal.ClientCut, "upstream": journal.UpstreamCut, "unreachable": journal.Unreachable, "interrupted": journal.Interrupted,
}

func (p *player) line(line string) {
	word, rest, _ := strings.Cut(line, " ")
	one, more, _ := strings.Cut(rest, " ")
	switch word {
	case "":
	case "at":
		p.at = p.duration(rest)
	case "tag":
		p.x.Flow.Session = rest
	case "workdir":
		p.x.Flow.Workdir = rest
	case "client":
		p.x.Flow.Client = rest
	case "provider":
		p.x.Flow.Provider = rest
	case "harness":
		p.x.Flow.Harness = rest
	case "socket":
		p.x.Flow.Kind = journal.WebSocket
	case "http":
		p.x.Flow.Kind = journal.HTTP
	case ">":
		head(&p.request, rest)
	case "<":
		p.answer(rest)
	case "id":
		p.script.ID = rest
	case "model":
		p.script.Model = rest
	case "plain":
		p.plain = true
	case "raw":
		p.raw = strings.ReplaceAll(rest, "@nl", "\n")
	case "cut":
		p.cut, _ = strconv.Atoi(one)
		p.broken, p.outcome = true, outcomes[more]
	case "close":
		p.outcome = outcomes[rest]
	case "more":
		p.more = rest
	case "unfinished":
		p.x.Finished = false
	default:
		if !p.part(word, rest) {
			p.body += line + "\n"
		}
	}
}

// part adds to what the answer says.
func (p *player) part(word, rest string) bool {
	one, more, _ := strings.Cut(rest, " ")
	switch word {
	case "say":
		p.script.Parts = append(p.script.Parts, wire.Part{Kind: wire.PartText, Text: rest})
	case "think":
		p.script.Parts = append(p.script.Parts, wire.Part{Kind: wire.PartReasoning, Text: rest})
	case "tool":
		name, arguments, _ := strings.Cut(more, " ")
		p.script.Parts = append(p.script.Parts, wire.Part{Kind: wire.PartTool, ID: strings.Trim(one, "-"), Name: name, Text: p.names.expand(p.t, arguments)})
	case "compacted":
		p.script.Parts = append(p.script.Parts, wire.Part{Kind: wire.PartCompaction, Proof: rest})
	case "finish":
		p.script.Finish = rest
	case "usage":
		u := &p.script.Usage
		for i, f := range strings.Fields(rest) {
			v, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				p.t.Fatalf("%s: %v", rest, err)
			}
			*[]*int64{&u.Input, &u.Cached, &u.Output}[i] = v
		}
	default:
		return false
	}
	return true
}

func (p *player) duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		p.t.Fatal(err)
	}
	return d
}

func head(h *journal.Head, line string) {
	if h.Line == "" || strings.HasSuffix(line, " HTTP/1.1") {
		h.Line = line
		return
	}
	name, value, _ := strings.Cut(line, ": ")
	h.Fields = slices.DeleteFunc(h.Fields, func(f journal.Field) bool { return f.Name == name })
	h.Fields = append(h.Fields, journal.Field{Name: name, Value: value})
}

func (p *player) answer(rest string) {
	if p.response.Line != "" {
		head(&p.response, rest)
		return
	}
	f := append(strings.Fields(rest), "0s", "10ms")
	p.status, p.first, p.pace = f[0], p.duration(f[1]), p.duration(f[2])
	p.response.Line = "HTTP/1.1 " + p.status + " OK"
}

// end makes the exchange.
func (p *player) end() *journal.Exchange {
	x := p.x
	x.Flow.Started, x.Flow.At = epoch.Add(p.at), time.Hour+p.at
	now := x.Flow.At
	if p.request.Line != "" {
		x.Request.Heads = []journal.HeadAt{{Head: p.request, At: now}}
	}
	now += time.Millisecond
	body := p.names.expand(p.t, strings.TrimSuffix(p.body, "\n"))
	read(&x.Request, now, body)
	if p.response.Line != "" {
		now = x.Flow.At + p.first
		x.Response.Heads = []journal.HeadAt{{Head: p.response, At: now}}
		for i, e := range p.events(body) {
			if p.broken && i >= p.cut {
				break
			}
			if i > 0 {
				now += p.pace
			}
			read(&x.Response, now, e)
		}
	}
	if p.more != "" {
		now += 300 * time.Millisecond
		read(&x.Response, now, p.more)
	}
	x.End = journal.End{At: now, Outcome: p.outcome}
	if !x.Finished {
		x.End = journal.End{}
	}
	return x
}

func read(s *journal.Side, at time.Duration, text string) {
	s.Reads = append(s.Reads, journal.Read{At: at, Wire: len(text), Plain: len(text)})
	s.Body = append(s.Body, text...)
}

// events are the reads of the answer, one an event.
func (p *player) events(body string) []string {
	if p.raw != "" {
		return []string{p.raw}
	}
	_, target, _ := strings.Cut(p.request.Line, " ")
	target, _, _ = strings.Cut(target, " ")
	format := wire.DetectFormat("POST", target, "application/json", []byte(body)).Format
	if p.x.Flow.Kind == journal.WebSocket {
		format = wire.FormatResponses
	}
	if p.script.Model == "" {
		p.script.Model = "model-1"
	}
	if p.script.ID == "" {
		p.script.ID = "answer-" + p.x.Flow.ID
	}
	if p.plain {
		b, err := wire.AppendAnswer(nil, format, p.script)
		if err != nil {
			p.t.Fatal(err)
		}
		return []string{string(b)}
	}
	list, err := wire.Events(format, p.script, 12)
	if err != nil {
		p.t.Fatal(err)
	}
	var out []string
	for _, e := range list {
		if p.x.Flow.Kind == journal.WebSocket {
			out = append(out, string(e.Data))
		} else {
			out = append(out, string(wire.AppendEvent(nil, e)))
		}
	}
	return out
}

// pack assembles exchanges.
func pack(t testing.TB, exchanges []*journal.Exchange, cfg assemble.Config) ([]*schema.Session, assemble.Report) {
	t.Helper()
	a := assemble.New(&memory{}, cfg)
	for _, x := range exchanges {
		if err := a.Add(x); err != nil {
			t.Fatal(err)
		}
	}
	var out []*schema.Session
	for s, err := range a.Sessions() {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out, a.Report()
}

// sound checks what must hold for every session.
func sound(t testing.TB, sessions []*schema.Session, r assemble.Report) {
	t.Helper()
	left := r.Unselected
	for _, n := range r.Left {
		left += n
	}
	if r.Exchanges != r.Calls+left {
		t.Errorf("report: %d exchanges, but %d calls and %d left out", r.Exchanges, r.Calls, left)
	}
	ids := map[string]bool{}
	for _, s := range sessions {
		if ids[s.ID] || len(s.ID) == 0 || len(s.ID) > 256 || strings.ContainsFunc(s.ID, func(r rune) bool { return r < ' ' }) {
			t.Errorf("session id %q", s.ID)
		}
		ids[s.ID] = true
		if err := datasets.Check(s); err != nil {
			t.Errorf("session %s: %v", s.ID, err)
		}
		for i := range s.Trajectories {
			valid(t, &s.Trajectories[i])
		}
		for i := range s.ToolCalls {
			tool := &s.ToolCalls[i]
			valid(t, tool)
			for _, item := range []*int32{tool.ArgumentsItem, tool.ResultItem} {
				if item != nil && tool.ToolCallID != nil && !strings.Contains(*s.Blobs[s.Items[*item].ContentSHA256].Content, *tool.ToolCallID) {
					t.Errorf("session %s: item %d is not of tool call %s", s.ID, *item, *tool.ToolCallID)
				}
			}
		}
		for i := range s.Items {
			valid(t, &s.Items[i])
		}
		for i := range s.Calls {
			c := &s.Calls[i]
			valid(t, c)
			if c.RequestBodySHA256 == nil {
				continue
			}
			body, err := fold.Body(nil, s, c)
			if err != nil || sum(body) != *c.RequestBodySHA256 {
				t.Errorf("session %s call %s: its body is not rebuilt: %v", s.ID, c.CallID, err)
			}
		}
	}
}

func valid(t testing.TB, row interface{ Validate() error }) {
	t.Helper()
	if err := row.Validate(); err != nil {
		t.Errorf("%T: %v", row, err)
	}
}

func each(sessions []*schema.Session) iter.Seq2[*schema.Session, error] {
	return func(yield func(*schema.Session, error) bool) {
		for _, s := range sessions {
			if !yield(s, nil) {
				return
			}
		}
	}
}
