package assemble

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/capstan-bench/capstan/proxy/journal"
	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/wire"
)

// call is what is remembered of an exchange between the passes, the less the
// better. Instants are microseconds since 1970.
type call struct {
	order int32  // among all calls, by time
	name  string // of the exchange
	at    span   // its record
	who   identity
	tag   string
	host  string // of the client
	user  string // who worked there, see developers
	agent string // harness
	ver   string // its version

	start, sent, end int64 // end is -1 where the answer's end is not known
	format, model    string
	op               wire.Op
	wanted           string // previous_response_id
	answerID         string
	node             int32    // context
	delta            []int32  // entries of the context that its own body brings, where it is chained
	answer           []int32  // entries of the answer, where others may be chained to it
	system, tools    sum      // of the system prompt and the tools
	body             sum      // of the body
	noTools          bool     // no tools were offered
	few              bool     // one token was asked for
	prewarm          bool     // no answer was asked for
	trigger          bool     // it ends with the mark that asks Codex's endpoint for a compaction
	failed           bool     // it brought no answer, or one that broke off
	said             int32    // bytes of the answer's text
	asked            []asked  // tool calls of the answer
	lines            []uint64 // of an answer without tool calls

	// decided in the second step
	role    role
	off     bool  // it is none of the main chain
	before  *call // whose answer previous_response_id names
	pred    *call // whose conversation it carries on
	retry   *call // attempt before it
	rewrote bool  // the context does not extend that of pred
	by      *call // that spawned its agent
	byTool  int   // place among the tool calls of by, or -1
	next    int32 // calls that carry it on
	group   *group
	lane    *lane
	index   int32 // call_index
	attempt int32
}

// asked is a tool call of an answer.
type asked struct {
	id      uint64   // fingerprint, 0: none
	at      int64    // when it was whole
	prompts []uint64 // fingerprints of its arguments' texts
	raises  bool     // its name says that it spawns an agent
	taken   bool     // an agent was spawned by it
}

// record is what the second pass needs of a call besides. It waits in the spool.
type record struct {
	Row      schema.Call
	Envelope int32 // piece; -1: there is no body
	Slots    [][]int32
	Opaque   bool // the body has no elements
	Chain    bool // the body is made whole with what it goes on from
	Sent     string
	SentSize int
	Output   []int32
	Tools    []asks
	Extra    map[string]any
	Notes    []string
	Final    bool // the whole answer came
	Provider string
}

// asks is a tool call of an answer.
type asks struct {
	ID, Name string
	Bytes    int
	At       int64 // since the call's start, when its arguments were whole
}

// reading is one exchange on its way to a call.
type reading struct {
	a      *Assembler
	x      *journal.Exchange
	c      *call
	r      *record
	head   fields
	answer fields
	status int
	base   int64
}

// read makes a call of an exchange, or says why it is none.
func (a *Assembler) read(x *journal.Exchange) (*call, string) {
	line := mainHead(&x.Request)
	if line == nil {
		if x.End.Outcome == journal.Unreachable {
			return nil, "the endpoint could not be reached, and no request was read"
		}
		return nil, "no request was read"
	}
	head := fieldsOf(x)
	method, rest, _ := strings.Cut(line.Line, " ")
	target, _, _ := strings.Cut(rest, " ")
	body := x.Request.Body
	route := wire.DetectFormat(method, target, head["content-type"], body)
	if x.Flow.Kind == journal.WebSocket {
		route = wire.DetectFormat("", "", "", body)
	}
	switch route.Op {
	case wire.OpCall, wire.OpCountTokens, wire.OpCompact:
	case wire.OpSocket:
		return nil, "the opening of a WebSocket, which is no call"
	case wire.OpModels:
		return nil, "a request about models"
	case wire.OpEmbeddings:
		return nil, "a request for embeddings"
	default:
		return nil, "not a model call"
	}
	if !wire.Known(route.Format) {
		return nil, "a dialect that is not known"
	}
	rd := &reading{a: a, x: x, head: head, answer: fields{}, base: origin(x.Flow)}
	rd.c = &call{name: clean(x.Flow.ID), who: headIdentity(head), byTool: -1, format: route.Format, op: route.Op}
	rd.r = &record{Envelope: -1, Extra: map[string]any{}}
	rd.flow()
	rd.request(route, body)
	rd.response()
	rd.c.at = a.shelf.keep(rd.r)
	return rd.c, ""
}

func (rd *reading) note(what string) { rd.r.Notes = append(rd.r.Notes, what) }

// flow takes over what the exchange's frame says.
func (rd *reading) flow() {
	x, c, row := rd.x, rd.c, &rd.r.Row
	c.tag = clean(x.Flow.Session)
	c.host = clean(x.Flow.Client)
	if host, _, err := net.SplitHostPort(x.Flow.Client); err == nil {
		c.host = clean(host)
	}
	c.user = developer(&x.Flow, c)
	c.agent, c.ver = product(rd.head["user-agent"])
	if h := clean(x.Flow.Harness); h != "" {
		c.agent = h
	}
	rd.r.Provider = clean(x.Flow.Provider)
	if rd.r.Provider == "" {
		rd.r.Provider = clean(x.Flow.Host)
	}
	c.start, c.sent, c.end = rd.base, rd.base, -1
	for _, h := range x.Request.Heads {
		if x.Flow.Kind == journal.HTTP {
			c.sent = max(c.sent, rd.base+rd.rel(h.At))
		}
	}
	for _, r := range x.Request.Reads {
		c.sent = max(c.sent, rd.base+rd.rel(r.At))
	}
	row.RequestSentUS = ptr(c.sent - c.start)
	if head := mainHead(&x.Response); head != nil {
		rd.answer.add(head.Fields)
		if parts := strings.SplitN(head.Line, " ", 3); len(parts) > 1 {
			rd.status, _ = strconv.Atoi(parts[1]) // 0 is no status
		}
		if x.Flow.Kind == journal.HTTP {
			row.HeadersUS = ptr(rd.rel(head.At))
			if rd.status >= 100 && rd.status <= 599 {
				row.HTTPStatus = ptr(int32(rd.status))
			}
		}
	}
}

// request takes the body apart.
func (rd *reading) request(route wire.Route, body []byte) {
	c, row := rd.c, &rd.r.Row
	row.APIFormat = route.Format
	if rd.x.Loss.Bytes[journal.Request] > 0 {
		rd.note("requests of which a part was lost")
	}
	full := sha256.Sum256(body)
	copy(c.body[:], full[:])
	if len(body) == 0 || !utf8.Valid(body) {
		if rd.note("requests without a body"); len(body) > 0 {
			rd.r.Notes[len(rd.r.Notes)-1] = "requests that are not UTF-8, kept without their bodies"
		}
		rd.params(route, nil)
		c.who.bodyIdentity(nil, "")
		return
	}
	rd.r.Sent, rd.r.SentSize = hex.EncodeToString(full[:]), len(body)
	l, err := wire.Split(route.Format, body)
	if err != nil {
		rd.opaque(route, body, err)
		return
	}
	rd.r.Envelope = rd.a.shelf.piece(l.Envelope)
	other := rd.params(route, l.Envelope)
	c.who.bodyIdentity(other, rd.elements(&l))
	rd.r.Chain = c.format == wire.FormatResponses && (rd.x.Flow.Kind == journal.WebSocket || c.wanted != "")
}

// opaque keeps a body that cannot be taken apart.
func (rd *reading) opaque(route wire.Route, body []byte, err error) {
	rd.r.Extra["unread_request"] = short(valid(err.Error()), maxText)
	rd.note("requests that could not be taken apart")
	if !bytes.ContainsRune(body, 0x1e) {
		rd.r.Envelope, rd.r.Opaque = rd.a.shelf.piece(body), true
	}
	rd.c.who.bodyIdentity(rd.params(route, body), "")
}

// elements writes the elements down and finds the context's place. It returns
// the system block in which Claude Code says what it is doing.
func (rd *reading) elements(l *wire.Layout) (billing string) {
	c, t, shelf := rd.c, rd.a.tree, rd.a.shelf
	c.noTools = true
	var entries []int32
	var system, tools []byte
	leading := true
	for _, slot := range l.Slots {
		pieces := make([]int32, len(slot))
		for i := range slot {
			e := &slot[i]
			pieces[i] = shelf.piece(e.Bytes)
			switch {
			case e.Kind == wire.KindTools:
				c.noTools = false
				tools = append(tools, shelf.form(pieces[i], e.Bytes)[:]...)
			case e.Kind == wire.KindSystem && e.Role == "" && bytes.Contains(e.Bytes, []byte("x-anthropic-billing-header")):
				billing = string(e.Bytes)
			case e.Kind == wire.KindSystem && (e.Role == "" || leading):
				system = append(system, shelf.form(pieces[i], e.Bytes)[:]...)
			default:
				leading = false
				entries = append(entries, rd.entry(pieces[i], e))
				c.trigger = bytes.Contains(e.Bytes, []byte(`"compaction_trigger"`)) && e.Kind == wire.KindCompaction
			}
		}
		rd.r.Slots = append(rd.r.Slots, pieces)
	}
	c.system, c.tools = sumOf(system), sumOf(tools)
	if c.wanted != "" {
		c.delta = entries
		return billing
	}
	for _, e := range entries {
		c.node = t.down(c.node, e)
	}
	return billing
}

// entry is the tree's number of an element, found once for each piece.
func (rd *reading) entry(n int32, e *wire.Element) int32 {
	p := &rd.a.shelf.pieces[n]
	if p.entry == 0 {
		p.entry = rd.a.tree.entry(rd.c.format, e) + 1
	}
	return p.entry - 1
}

// origin is the beginning of an exchange on the wall's clock.
func origin(f journal.Flow) int64 {
	const most = 253402300799 * 1e6 // the year 9999
	return min(max(f.Started.UnixMicro(), 0), most)
}

// rel is an instant of the exchange's clock, since its beginning. Broken clocks
// are bent to two years.
func (rd *reading) rel(t interface{ Microseconds() int64 }) int64 {
	return min(max(t.Microseconds()-rd.x.Flow.At.Microseconds(), 0), 1<<46)
}
