package wire_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/schema/wire"
)

// scripted is a random answer that the format can express.
func scripted(rng *rand.Rand, format string) wire.Scripted {
	words := []string{"a", "é\n", `"q\"`, "世界", "😀", " \t", "\x02", "<&>"}
	say := func(least int) string {
		var b strings.Builder
		for range least + rng.IntN(12) {
			b.WriteString(words[rng.IntN(len(words))])
		}
		return b.String()
	}
	a := wire.Scripted{ID: fmt.Sprint("id", rng.IntN(1000)), Model: "m\"x", Created: 17, Usage: wire.Usage{
		Input: 1000 + int64(rng.IntN(1000)), Cached: int64(rng.IntN(500)), CacheWrite: wire.Unknown, Output: 50 + int64(rng.IntN(100)), Reasoning: int64(rng.IntN(50)),
	}}
	if format == wire.FormatMessages || format == wire.FormatResponses {
		a.Usage.CacheWrite = int64(rng.IntN(100))
	}
	if rng.IntN(2) == 0 {
		a.Parts = append(a.Parts, wire.Part{Kind: wire.PartReasoning, Text: say(1), Proof: "Sg=="})
		if format == wire.FormatChat || format == wire.FormatGemini {
			a.Parts[0].Proof = ""
		}
	}
	if rng.IntN(4) > 0 {
		a.Parts = append(a.Parts, wire.Part{Kind: wire.PartText, Text: say(1)})
	}
	for i := range rng.IntN(4) {
		args, _ := json.Marshal(map[string]string{"command": say(0)})
		p := wire.Part{Kind: wire.PartTool, ID: fmt.Sprint("call_", i), Name: "run", Text: string(args)}
		if format == wire.FormatResponses && rng.IntN(3) == 0 {
			p.Custom, p.Text = true, say(1)
		}
		a.Parts = append(a.Parts, p)
	}
	if format == wire.FormatResponses && rng.IntN(5) == 0 {
		a.Parts = append(a.Parts, wire.Part{Kind: wire.PartCompaction, Text: "gAAA"})
	}
	if rng.IntN(4) == 0 {
		a.Finish = map[string]string{
			wire.FormatChat: "length", wire.FormatMessages: "max_tokens", wire.FormatResponses: "max_output_tokens", wire.FormatGemini: "MAX_TOKENS",
		}[format]
	}
	return a
}

// TestScriptedAnswersDecode encodes random answers in every form and collects them.
func TestScriptedAnswersDecode(t *testing.T) {
	for _, format := range formats() {
		for seed := range uint64(60) {
			a := scripted(rand.New(rand.NewPCG(seed, 4)), format)
			events, err := wire.Events(format, a, 1+int(seed%9))
			if err != nil {
				t.Fatal(err)
			}
			checkEvents(t, format, events)
			var messages [][]byte
			var sse []byte
			want := 0
			for _, e := range events {
				want += e.Text
				sse, messages = wire.AppendEvent(sse, e), append(messages, e.Data)
			}
			body, err := wire.AppendAnswer(nil, format, a)
			if err != nil {
				t.Fatal(err)
			}
			stream, streamed := collected(t, format, wire.FrameAuto, sse)
			message, _ := collected(t, format, wire.FrameMessages, messages...)
			plain, whole := collected(t, format, wire.FrameAuto, body)
			checkScripted(t, format, "stream", a, stream)
			checkScripted(t, format, "messages", a, message)
			checkScripted(t, format, "plain", a, plain)
			if format == wire.FormatMessages || format == wire.FormatResponses {
				if diff := cmp.Diff(outputs(t, plain), outputs(t, stream)); diff != "" {
					t.Errorf("%s, seed %d: output of the stream and of the plain answer differ:\n%s", format, seed, diff)
				}
			} else { // names of tools count there
				want += len("run") * len(stream.Tools)
			}
			if streamed != want || whole != want {
				t.Errorf("%s, seed %d: %d bytes streamed and %d plain, want %d", format, seed, streamed, whole, want)
			}
		}
	}
	if _, err := wire.Events("telnet", wire.Scripted{}, 0); err == nil {
		t.Error("events in an unknown format")
	}
	if _, err := wire.AppendAnswer(nil, "telnet", wire.Scripted{}); err == nil {
		t.Error("an answer in an unknown format")
	}
}

func checkEvents(t *testing.T, format string, events []wire.Event) {
	t.Helper()
	for _, e := range events {
		named := format == wire.FormatMessages || format == wire.FormatResponses
		if (e.Name != "") != named || !json.Valid(e.Data) && string(e.Data) != "[DONE]" {
			t.Fatalf("%s: event %q: %s", format, e.Name, e.Data)
		}
	}
}

// collected is the reply, and how many bytes of text its deltas counted.
func collected(t *testing.T, format string, framing wire.Framing, pieces ...[]byte) (wire.Reply, int) {
	t.Helper()
	c := newCollector(t, format, framing)
	n := 0
	emit := func(d wire.Delta) { n += d.Bytes }
	for _, p := range pieces {
		if err := c.Feed(p, emit); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.End(emit); err != nil {
		t.Fatal(err)
	}
	return c.Reply(), n
}

func outputs(t *testing.T, r wire.Reply) (out []any) {
	for _, o := range r.Output {
		var v any
		if err := json.Unmarshal(o, &v); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

func checkScripted(t *testing.T, format, form string, a wire.Scripted, r wire.Reply) {
	t.Helper()
	finish, tools := a.Finish, []string{}
	text := ""
	for _, p := range a.Parts {
		switch p.Kind {
		case wire.PartTool:
			tools = append(tools, p.ID+" "+p.Name+" "+p.Text)
		case wire.PartText:
			text = p.Text
		}
	}
	if finish == "" {
		usual := map[string][2]string{
			wire.FormatChat: {"stop", "tool_calls"}, wire.FormatMessages: {"end_turn", "tool_use"},
			wire.FormatResponses: {"completed", "completed"}, wire.FormatGemini: {"STOP", "STOP"},
		}[format]
		if finish = usual[0]; len(tools) > 0 {
			finish = usual[1]
		}
	}
	got := []string{}
	for _, tool := range r.Tools {
		got = append(got, tool.ID+" "+tool.Name+" "+string(tool.Arguments))
	}
	if diff := cmp.Diff(tools, got); diff != "" {
		t.Errorf("%s %s: tool calls (-want +got):\n%s", format, form, diff)
	}
	if r.ID != a.ID || r.Model != a.Model || r.Finish != finish || r.Err != "" || !r.Done || r.Truncated {
		t.Errorf("%s %s: reply %+v, want id %s, model %s, finish %s", format, form, r, a.ID, a.Model, finish)
	}
	if diff := cmp.Diff(&a.Usage, r.Usage); diff != "" {
		t.Errorf("%s %s: usage (-want +got):\n%s", format, form, diff)
	}
	checkReply(t, format, r, 1<<20)
	quoted, _ := json.Marshal(outputs(t, r))
	if want, _ := json.Marshal(text); text != "" && !strings.Contains(string(quoted), string(want)) {
		t.Errorf("%s %s: output %s lacks the text %s", format, form, quoted, want)
	}
}

func TestErrorEvents(t *testing.T) {
	for _, format := range formats() {
		e := wire.ErrorEvent(format, "id", 429, "overloaded", `say "no"`)
		got, err := decode(newStream(t, format, wire.FrameAuto), wire.AppendEvent(nil, e))
		if err != nil || len(got) != 1 || !strings.Contains(got[0], `err=overloaded: say "no"`) {
			t.Errorf("%s: event %s decodes as %q, %v", format, e.Data, got, err)
		}
		body := wire.AppendError(nil, format, 429, "overloaded", `say "no"`)
		if code, message := wire.ErrorText(body); code != "overloaded" || message != `say "no"` || !json.Valid(body) {
			t.Errorf("%s: error body %s: %q, %q", format, body, code, message)
		}
	}
	e := wire.SocketError(426, "gone", "no")
	got, err := decode(newStream(t, wire.FormatResponses, wire.FrameMessages), e.Data)
	if err != nil || len(got) != 1 || got[0] != "err=gone: no" {
		t.Errorf("socket error %s decodes as %q, %v", e.Data, got, err)
	}
}

// TestMessagesScript pins the order of events that clients insist on.
func TestMessagesScript(t *testing.T) {
	a := wire.Scripted{ID: "msg_1", Model: "m", Usage: wire.Usage{Input: 10, Cached: 4, CacheWrite: 3, Output: 2, Reasoning: wire.Unknown}, Parts: []wire.Part{
		{Kind: wire.PartText, Text: "hi"}, {Kind: wire.PartTool, ID: "t", Name: "f"},
	}}
	events, err := wire.Events(wire.FormatMessages, a, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range events {
		got = append(got, string(e.Data))
	}
	const usage = `"input_tokens":3,"cache_creation_input_tokens":3,"cache_read_input_tokens":4,"cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":0}`
	want := []string{
		`{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{` + usage + `,"output_tokens":1,"service_tier":"standard"}}}`,
		`{"type":"ping"}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}`,
		`{"type":"content_block_stop","index":0}`,
		`{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}`,
		`{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":""}}`,
		`{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{}"}}`,
		`{"type":"content_block_stop","index":1}`,
		`{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{` + usage + `,"output_tokens":2,"service_tier":"standard"}}`,
		`{"type":"message_stop"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, want := string(wire.AppendEvent(nil, events[1])), "event: ping\ndata: {\"type\":\"ping\"}\n\n"; got != want {
		t.Errorf("AppendEvent = %q, want %q", got, want)
	}
}

// TestPrewarm is the answer to a request that generates nothing.
func TestPrewarm(t *testing.T) {
	events, err := wire.Events(wire.FormatResponses, wire.Scripted{ID: "resp_0", Model: "m"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range events {
		names = append(names, e.Name)
	}
	if diff := cmp.Diff([]string{"response.created", "response.in_progress", "response.completed"}, names); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestNamespace looks for the namespace of tools in their items alone.
func TestNamespace(t *testing.T) {
	f := func(p wire.Part, want string) {
		t.Helper()
		a := wire.Scripted{ID: "resp_1", Model: "m", Parts: []wire.Part{p}}
		body, err := wire.AppendAnswer(nil, wire.FormatResponses, a)
		if err != nil || !json.Valid(body) || !strings.Contains(string(body), want) {
			t.Errorf("AppendAnswer(%+v) = %s, %v, want %s in it", p, body, err, want)
		}
	}
	f(wire.Part{Kind: wire.PartTool, ID: "1", Name: "wait", Namespace: "agents"}, `"call_id":"1","name":"wait","namespace":"agents"}`)
	f(wire.Part{Kind: wire.PartTool, ID: "1", Name: "edit", Namespace: "files", Custom: true, Text: "x"}, `"input":"x","name":"edit","namespace":"files"}`)
	f(wire.Part{Kind: wire.PartTool, ID: "1", Name: "wait"}, `"call_id":"1","name":"wait"}`)
}
