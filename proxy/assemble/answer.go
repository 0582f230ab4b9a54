package assemble

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/capstan-bench/capstan/proxy/journal"
	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/wire"
)

// maxChunks bounds the chunks of one answer; those beyond are added to the last.
const maxChunks = 1 << 17

// timeline is when what of an answer came, in microseconds since the call's start.
type timeline struct {
	now         int64 // of the read being decoded
	first, last int64 // token; -1: none
	done        int64 // the end mark; -1: none
	offsets     []int64
	bytes       []int32
	kinds       []int32
	fed         int64
	reads       []readEnd
}

// readEnd is how many bytes had come by when.
type readEnd struct{ off, at int64 }

// response decodes the answer.
func (rd *reading) response() {
	x, row := rd.x, &rd.r.Row
	if x.Loss.Bytes[journal.Response] > 0 {
		rd.note("answers of which a part was lost")
	}
	if b := x.Response.Body; len(b) > 0 {
		full := sha256.Sum256(b)
		row.ResponseBodySHA256, row.ResponseBodyBytes = ptr(hex.EncodeToString(full[:])), ptr(int64(len(b)))
	}
	t := &timeline{first: -1, last: -1, done: -1}
	reply, err := rd.decode(t)
	rd.times(t)
	rd.outcome(&reply, t, err)
	rd.usage(&reply)
	rd.output(&reply, t)
	rd.facts(&reply)
}

// decode feeds the answer to a collector, read by read.
func (rd *reading) decode(t *timeline) (wire.Reply, error) {
	c := rd.c
	if rd.status >= 300 || c.op == wire.OpCountTokens {
		rd.passReads(t)
		return wire.Reply{}, nil
	}
	framing := wire.FrameAuto
	if rd.x.Flow.Kind == journal.WebSocket {
		framing = wire.FrameMessages
	}
	collect, err := wire.NewCollector(c.format, framing)
	if err != nil {
		return wire.Reply{}, err
	}
	for at, p := range rd.pieces() {
		t.read(at, len(p))
		if err = collect.Feed(p, t.delta); err != nil {
			break
		}
	}
	if err == nil && len(rd.x.Response.Body) > 0 {
		err = collect.End(t.delta)
	}
	return collect.Reply(), err
}

// pieces walks the reads that brought bytes of the answer's body.
func (rd *reading) pieces() func(yield func(at int64, p []byte) bool) {
	return func(yield func(int64, []byte) bool) {
		body := rd.x.Response.Body
		at := int64(0)
		for _, r := range rd.x.Response.Reads {
			n := min(max(r.Plain, 0), len(body))
			at = max(at, rd.rel(r.At))
			if n > 0 && !yield(at, body[:n]) {
				return
			}
			body = body[n:]
		}
		if len(body) > 0 {
			yield(at, body)
		}
	}
}

func (rd *reading) passReads(t *timeline) {
	for at, p := range rd.pieces() {
		t.read(at, len(p))
	}
}

func (t *timeline) read(at int64, n int) {
	t.now = at
	t.fed += int64(n)
	t.reads = append(t.reads, readEnd{t.fed, at})
}

// at is when the bytes up to an offset had come.
func (t *timeline) at(off int64) int64 {
	i, _ := slices.BinarySearchFunc(t.reads, off, func(r readEnd, off int64) int { return int(min(max(r.off-off, -1), 1)) })
	if i == len(t.reads) {
		return t.now
	}
	return t.reads[i].at
}

func (t *timeline) delta(d wire.Delta) {
	if d.Done {
		t.done = t.now
	}
	if d.Bytes <= 0 {
		return
	}
	if t.first < 0 {
		t.first = t.now
	}
	t.last = t.now
	n := int32(min(d.Bytes, 1<<30))
	if last := len(t.bytes) - 1; last >= maxChunks-1 {
		t.bytes[last] = min(t.bytes[last]+n, 1<<30)
		return
	}
	t.offsets, t.bytes, t.kinds = append(t.offsets, t.now), append(t.bytes, n), append(t.kinds, kindOfDelta(d))
}

// kindOfDelta is what most of an event's text is.
func kindOfDelta(d wire.Delta) int32 {
	switch said := d.Bytes - d.Reasoning - d.Tool; {
	case d.Tool >= said && d.Tool >= d.Reasoning:
		return schema.ChunkTool
	case d.Reasoning > said:
		return schema.ChunkReasoning
	}
	return schema.ChunkText
}

// times sets when the answer came. The end of one on a WebSocket is its end
// mark: the exchange itself goes on until the client's next message.
func (rd *reading) times(t *timeline) {
	row, x := &rd.r.Row, rd.x
	if len(t.reads) > 0 {
		row.FirstChunkUS = ptr(t.reads[0].at)
	}
	if t.first >= 0 {
		row.FirstTokenUS, row.LastTokenUS = ptr(t.first), ptr(t.last)
		row.ChunkOffsetsUS, row.ChunkBytes, row.ChunkKinds = t.offsets, t.bytes, t.kinds
	}
	last := int64(0)
	if h := mainHead(&x.Response); h != nil && x.Flow.Kind == journal.HTTP {
		last = rd.rel(h.At)
	}
	for _, r := range x.Response.Reads {
		last = max(last, rd.rel(r.At))
	}
	switch {
	case t.done >= 0 && x.Flow.Kind == journal.WebSocket:
		row.CompletedUS = ptr(t.done)
	case t.done >= 0 || x.Finished && x.End.Outcome == journal.Complete && last > 0:
		row.CompletedUS = ptr(last)
	case x.Finished:
		row.CompletedUS = ptr(max(rd.rel(x.End.At), last))
	}
	if row.CompletedUS != nil {
		rd.c.end = rd.c.start + *row.CompletedUS
	}
	for _, name := range []string{"x-envoy-upstream-service-time", "openai-processing-ms"} { // the last that is there
		if ms, err := strconv.ParseFloat(rd.answer[name], 64); err == nil && ms >= 0 && ms < 1e9 {
			row.ServerProcessingUS = ptr(int64(ms * 1e3))
		}
	}
}

// outcome sets how the call ended. An answer without its dialect's end mark is
// whole all the same where it says why it ended and its connection broke nothing.
func (rd *reading) outcome(reply *wire.Reply, t *timeline, decodeErr error) {
	c, row, x := rd.c, &rd.r.Row, rd.x
	row.FinishReason = text(short(reply.Finish, maxText))
	row.ResponseModel, row.ResponseID = text(short(reply.Model, maxText)), text(short(reply.ID, maxText))
	complete := x.Finished && x.End.Outcome == journal.Complete
	rd.r.Final = reply.Done || complete && (reply.Finish != "" || c.op != wire.OpCall) && rd.status < 300
	class, message := "", ""
	switch {
	case rd.status >= 300:
		if class, message = wire.ErrorText(x.Response.Body); class == "" {
			class = "http_" + strconv.Itoa(rd.status)
		}
	case reply.Err != "":
		class, message = "stream", reply.Err
		if code, rest, ok := strings.Cut(reply.Err, ": "); ok && !strings.Contains(code, " ") {
			class, message = code, rest
		}
	case rd.r.Final || c.prewarm && complete:
	case decodeErr != nil:
		class, message = "undecoded", decodeErr.Error()
		rd.note("answers that could not be decoded")
	case !x.Finished && t.first < 0:
		class = "unfinished"
	case x.End.Outcome == journal.ClientCut && t.first < 0:
		class = "client_cut"
	case x.Finished && x.End.Outcome != journal.Complete && x.End.Outcome != journal.ClientCut:
		class, message = x.End.Outcome.String(), x.End.Err
	case t.first < 0:
		class = "no_answer"
	}
	if row.ErrorType = text(short(class, 100)); class != "" && message != "" {
		rd.r.Extra["error"] = short(valid(message), maxText)
	}
	cut := !rd.r.Final && rd.status < 300 && !(c.prewarm && complete)
	row.Truncated = ptr(cut)
	if cut {
		rd.note("answers that broke off")
	}
	c.failed = class != "" || cut
	for d, name := range map[journal.Dir]string{journal.Request: "request", journal.Response: "answer"} {
		for _, what := range []string{"undecoded", "unparsed", "forgotten"} {
			if why := x.End.Attrs[d.String()+"_"+what]; why != "" {
				rd.r.Extra[name+"_"+what] = short(valid(why), maxText)
				rd.note(name + "s that the recorder could not follow (" + what + ")")
			}
		}
	}
}

// usage sets the counts that the endpoint gave. Those of an answer that broke off
// are not its last ones, so what it put out is not known.
func (rd *reading) usage(reply *wire.Reply) {
	row, c := &rd.r.Row, rd.c
	if c.op == wire.OpCountTokens {
		row.OutputTokens = ptr(int64(0))
		var n struct {
			Input *int64 `json:"input_tokens"`
			Total *int64 `json:"totalTokens"`
		}
		if json.Unmarshal(rd.x.Response.Body, &n) == nil && rd.status < 300 {
			for _, v := range []*int64{n.Input, n.Total} {
				if v = natural(v); v != nil {
					row.InputTokens, row.TokenSource = v, ptr("usage")
				}
			}
		}
		return
	}
	if c.prewarm {
		row.OutputTokens = ptr(int64(0))
	}
	if u := reply.Usage; u != nil {
		known := func(n int64) *int64 { return natural(&n) }
		row.TokenSource = ptr("usage")
		row.InputTokens, row.CacheReadTokens, row.CacheWriteTokens = known(u.Input), known(u.Cached), known(u.CacheWrite)
		if rd.r.Final && row.OutputTokens == nil {
			row.OutputTokens, row.ReasoningTokens = known(u.Output), known(u.Reasoning)
		}
	}
	if len(reply.UsageJSON) > 0 && utf8.Valid(reply.UsageJSON) {
		row.UsageJSON = ptr(string(reply.UsageJSON))
	}
	if row.OutputTokens == nil && row.FirstTokenUS == nil && row.ErrorType != nil {
		row.OutputTokens = ptr(int64(0))
	}
}

// output writes the answer's elements and tool calls down.
func (rd *reading) output(reply *wire.Reply, t *timeline) {
	c := rd.c
	if reply.Truncated {
		rd.note("answers that were too long to keep whole")
	}
	for _, raw := range reply.Output {
		e, err := wire.ParseElement(c.format, raw)
		if err != nil || !utf8.Valid(raw) {
			rd.note("answers that are not kept as items")
			rd.r.Output, c.answer = nil, nil
			break
		}
		n := rd.a.shelf.piece(raw)
		rd.r.Output = append(rd.r.Output, n)
		if c.format == wire.FormatResponses {
			c.answer = append(c.answer, rd.entry(n, &e))
		}
	}
	for _, tool := range reply.Tools {
		at := t.at(tool.Ended.Offset)
		rd.r.Tools = append(rd.r.Tools, asks{ID: valid(tool.ID), Name: valid(tool.Name), Bytes: len(tool.Arguments), At: at})
		ask := asked{at: c.start + at, prompts: promptsOf(tool.Arguments), raises: raises.MatchString(tool.Name)}
		if tool.ID != "" {
			ask.id = print64(tool.ID)
		}
		c.asked = append(c.asked, ask)
	}
}

// raises matches the names of tools that spawn agents.
var raises = regexp.MustCompile(`(?i)task|agent|spawn|delegate`)

// promptsOf fingerprints the texts among the arguments of a tool call.
func promptsOf(arguments []byte) (out []uint64) {
	var values map[string]any
	if json.Unmarshal(arguments, &values) != nil {
		return appendPrint(nil, string(arguments))
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if s, ok := values[name].(string); ok {
			out = appendPrint(out, s)
		}
	}
	return out
}

// facts notes what later calls may be recognised by.
func (rd *reading) facts(reply *wire.Reply) {
	c := rd.c
	c.answerID = reply.ID
	var texts []string
	for _, raw := range reply.Output {
		_, of := canonical(raw)
		texts = append(texts, of...)
	}
	for _, s := range texts {
		c.said += int32(min(len(s), 1<<20))
	}
	if len(c.asked) == 0 && !c.failed {
		c.lines = linesOf(texts)
	}
	for _, name := range []string{"request-id", "x-request-id"} {
		if id := rd.answer[name]; id != "" {
			rd.r.Extra["request_id"] = short(valid(id), maxText)
		}
	}
	if wait := rd.answer["retry-after"]; wait != "" {
		rd.r.Extra["retry_after"] = short(valid(wait), 100)
	}
}
