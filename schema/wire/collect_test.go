package wire_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/schema/wire"
)

func newCollector(t testing.TB, format string, framing wire.Framing) *wire.Collector {
	t.Helper()
	c, err := wire.NewCollector(format, framing)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func describeReply(r wire.Reply) string {
	var first []string
	for _, f := range [][2]string{{"id", r.ID}, {"model", r.Model}, {"finish", r.Finish}, {"err", r.Err}} {
		if f[1] != "" {
			first = append(first, f[0]+"="+f[1])
		}
	}
	if r.Done {
		first = append(first, "done")
	}
	if r.Truncated {
		first = append(first, "truncated")
	}
	out := []string{strings.Join(first, " ")}
	if r.UsageJSON != nil {
		out = append(out, "usage="+string(r.UsageJSON))
	}
	for _, tool := range r.Tools {
		out = append(out, fmt.Sprintf("tool %s %s %s events %d-%d", tool.ID, tool.Name, tool.Arguments, tool.Began.Event, tool.Ended.Event))
	}
	for _, o := range r.Output {
		out = append(out, "output "+string(o))
	}
	return strings.Join(out, "\n")
}

func TestCollector(t *testing.T) {
	archives(t, func(name, format string, files map[string]string) {
		if files["reply"] == "" {
			return
		}
		t.Run(name, func(t *testing.T) {
			c := newCollector(t, format, wire.FrameAuto)
			for cut, pieces := range cuts([]byte(files["in"])) {
				c.Reset()
				got, err := decode(c, pieces...)
				if err != nil {
					t.Fatalf("%s: %v", cut, err)
				}
				if diff := cmp.Diff(lines(files["want"]), got); diff != "" {
					t.Errorf("%s: deltas (-want +got):\n%s", cut, diff)
				}
				if diff := cmp.Diff(strings.TrimSpace(files["reply"]), describeReply(c.Reply())); diff != "" {
					t.Errorf("%s: reply (-want +got):\n%s", cut, diff)
				}
				checkReply(t, format, c.Reply(), len(files["in"]))
			}
		})
	})
}

// checkReply checks what holds for every reply.
func checkReply(t *testing.T, format string, r wire.Reply, fed int) {
	t.Helper()
	for _, o := range r.Output {
		if !json.Valid(o) {
			t.Fatalf("output is no JSON: %s", o)
		}
		if _, err := wire.ParseElement(format, o); err != nil {
			t.Fatalf("output is no element: %v", err)
		}
	}
	if r.UsageJSON != nil && !json.Valid(r.UsageJSON) {
		t.Fatalf("usage is no JSON: %s", r.UsageJSON)
	}
	for _, tool := range r.Tools {
		if tool.Began.Offset > tool.Ended.Offset || tool.Ended.Offset > int64(fed) || tool.Began.Event > tool.Ended.Event {
			t.Fatalf("tool call %+v in %d bytes", tool, fed)
		}
	}
}

// TestCollectorMarks cuts a stream where the marks say and finds the call there.
func TestCollectorMarks(t *testing.T) {
	archives(t, func(name, format string, files map[string]string) {
		in := files["in"]
		c := newCollector(t, format, wire.FrameAuto)
		if _, err := decode(c, []byte(in)); err != nil {
			t.Fatal(err)
		}
		for i, tool := range c.Reply().Tools {
			for mark, want := range map[int64]bool{tool.Began.Offset: true, tool.Began.Offset - 2: false} {
				c.Reset()
				if err := c.Feed([]byte(in[:mark]), nil); err != nil {
					t.Fatal(err)
				}
				if got := len(c.Reply().Tools) > i; got != want {
					t.Errorf("%s: tool call %d known after byte %d: %v, want %v", name, i, mark, got, want)
				}
			}
			c.Reset()
			if err := c.Feed([]byte(in[:tool.Ended.Offset]), nil); err != nil {
				t.Fatal(err)
			}
			if got := string(c.Reply().Tools[i].Arguments); got != string(tool.Arguments) {
				t.Errorf("%s: arguments of call %d at its end: %s, want %s", name, i, got, tool.Arguments)
			}
		}
	})
}

func TestCollectorPlain(t *testing.T) {
	f := func(format, body, want string) {
		t.Helper()
		c := newCollector(t, format, wire.FrameAuto)
		if _, err := decode(c, []byte(body)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, describeReply(c.Reply())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
		checkReply(t, format, c.Reply(), len(body))
	}
	f(wire.FormatChat, `{"id":"c","model":"m","choices":[{"message":{"role":"assistant","content":"a","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{}"}},
{"id":"2","function":{"name":"g","arguments":"[]"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1}}`,
		`id=c model=m finish=tool_calls done
usage={"prompt_tokens":1}
tool 1 f {} events 1-1
tool 2 g [] events 1-1
output {"role":"assistant","content":"a","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{}"}},
{"id":"2","function":{"name":"g","arguments":"[]"}}]}`)
	f(wire.FormatMessages, `{"id":"m","model":"x","type":"message","role":"assistant","content":[{"type":"text","text":"a"},{"type":"tool_use","id":"t","name":"n","input":{"b": 1}}],
"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":2}}`,
		`id=m model=x finish=tool_use done
usage={"input_tokens":1,"output_tokens":2}
tool t n {"b": 1} events 1-1
output {"role":"assistant","content":[{"type":"text","text":"a"},{"type":"tool_use","id":"t","name":"n","input":{"b": 1}}]}`)
	f(wire.FormatResponses, `{"id":"r","model":"x","status":"completed","output":[{"type":"compaction","encrypted_content":"e"},{"type":"local_shell_call","call_id":"c","action":{"command":["ls"]}}]}`,
		`id=r model=x finish=completed done
tool c  {"command":["ls"]} events 1-1
output {"type":"compaction","encrypted_content":"e"}
output {"type":"local_shell_call","call_id":"c","action":{"command":["ls"]}}`)
	f(wire.FormatGemini, `{"candidates":[{"content":{"parts":[{"text":"a"},{"text":"b"}]},"finishReason":"STOP"}],"responseId":"r"}`,
		"id=r finish=STOP done\noutput {\"role\":\"model\",\"parts\":[{\"text\":\"ab\"}]}")
	f(wire.FormatMessages, `{"type":"error","error":{"type":"x","message":"y"}}`, "err=x: y")
	if _, err := wire.NewCollector("telnet", wire.FrameAuto); err == nil {
		t.Error("NewCollector took an unknown format")
	}
}

// TestCollectorChat joins pieces as servers send them: interleaved, without
// indexes, with one index for all.
func TestCollectorChat(t *testing.T) {
	event := func(delta string) string {
		return `data: {"id":"c","choices":[{"index":0,"delta":{` + delta + `}}]}` + "\n\n"
	}
	f := func(stream, want string) {
		t.Helper()
		c := newCollector(t, wire.FormatChat, wire.FrameAuto)
		if _, err := decode(c, []byte(stream)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, describeReply(c.Reply())); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	f(event(`"reasoning":"a","reasoning_content":"a"`)+event(`"content":"x\n"`)+event(`"content":"y"`)+
		event(`"tool_calls":[{"index":0,"id":"1","function":{"name":"f","arguments":"{\"a"}}]`)+
		event(`"tool_calls":[{"index":0,"function":{"arguments":"\":1}"}}]`)+
		event(`"tool_calls":[{"index":1,"id":"2","function":{"name":"g","arguments":""}}]`)+
		`data: {"choices":[{"index":1,"delta":{"content":"no"}},{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`+"\n\ndata: [DONE]\n\n",
		`id=c finish=tool_calls done
tool 1 f {"a":1} events 4-6
tool 2 g  events 6-7
output {"role":"assistant","content":"x\ny","reasoning_content":"a","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},{"id":"2","type":"function","function":{"name":"g","arguments":""}}]}`)
	f(event(`"tool_calls":[{"index":0,"id":"1","function":{"name":"f","arguments":{"a":1}}},{"index":0,"id":"2","function":{"name":"g","arguments":"{}"}}]`),
		`id=c
tool 1 f {"a":1} events 1-1
tool 2 g {} events 1-1
output {"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},{"id":"2","type":"function","function":{"name":"g","arguments":"{}"}}]}`)
	f(event(`"tool_calls":[{"index":0,"id":"1","function":{"name":"f","arguments":"{"}}]`)+event(`"tool_calls":[{"index":0,"id":"1","function":{"name":"","arguments":"}"}}]`),
		`id=c
tool 1 f {} events 1-2
output {"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]}`)
	f("data: [DONE]\n\n", "done")
}

// TestCollectorItems sends items out of order, and one that was cut.
func TestCollectorItems(t *testing.T) {
	c := newCollector(t, wire.FormatResponses, wire.FrameMessages)
	for _, m := range []string{
		`{"type":"response.output_item.done","output_index":2,"item":{"type":"message","content":[]}}`,
		`{"type":"response.output_item.added","output_index":0,"item":{"type":"reasoning","summary":[]}}`,
		`{"type":"response.reasoning_summary_text.delta","output_index":0,"delta":"why"}`,
		`{"type":"response.output_item.added","output_index":1,"item":{"type":"custom_tool_call","call_id":"c","name":"n","input":""}}`,
		`{"type":"response.custom_tool_call_input.delta","output_index":1,"delta":"*"}`,
		`{"type":"response.output_item.added","output_index":3,"item":{"type":"function_call","call_id":"d","name":"m","arguments":""}}`,
		`{"type":"response.function_call_arguments.delta","output_index":3,"delta":"{"}`,
	} {
		if err := c.Feed([]byte(m), nil); err != nil {
			t.Fatal(err)
		}
	}
	want := `
tool c n * events 4-4
tool d m { events 6-6
output {"type":"reasoning","summary":[{"type":"summary_text","text":"why"}]}
output {"type":"custom_tool_call","call_id":"c","name":"n","input":"*"}
output {"type":"message","content":[]}
output {"type":"function_call","call_id":"d","name":"m","arguments":"{"}`
	if diff := cmp.Diff(want, describeReply(c.Reply())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCollectorBounds(t *testing.T) {
	c := newCollector(t, wire.FormatMessages, wire.FrameAuto)
	piece := strings.Repeat("x", wire.MaxLine/2)
	feed := func(data string) {
		t.Helper()
		if err := c.Feed([]byte("data: "+data+"\n\n"), nil); err != nil {
			t.Fatal(err)
		}
	}
	feed(`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`)
	for range 2*wire.MaxReply/len(piece) + 1 {
		feed(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"` + piece + `"}}`)
	}
	feed(`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}}`)
	r := c.Reply()
	if n := len(r.Output[0]); !r.Truncated || n > wire.MaxReply+100 || n < wire.MaxReply/2 || r.Finish != "end_turn" || r.Usage.Output != 7 {
		t.Errorf("%d bytes of output, truncated %v, finish %q, usage %+v", n, r.Truncated, r.Finish, r.Usage)
	}
}

// TestCollectorBoundsEntries has more tool calls and counts than anyone keeps.
func TestCollectorBoundsEntries(t *testing.T) {
	for format, event := range map[string]string{
		wire.FormatMessages:  `{"type":"content_block_start","index":%d,"content_block":{"type":"tool_use","id":"%[1]d"}}`,
		wire.FormatResponses: `{"type":"response.output_item.done","output_index":%d,"item":{"type":"function_call","call_id":"%[1]d"}}`,
		wire.FormatGemini:    `{"candidates":[{"content":{"parts":[{"functionCall":{"id":"%d"}}]}}]}`,
		wire.FormatChat:      `{"choices":[{"delta":{"tool_calls":[{"index":%d,"id":"%[1]d"}]}}]}`,
	} {
		c := newCollector(t, format, wire.FrameMessages)
		wire.LeaveRoom(c, 100<<10)
		for i := range 200 {
			if err := c.Feed(fmt.Appendf(nil, event, i), nil); err != nil {
				t.Fatal(err)
			}
		}
		if r := c.Reply(); !r.Truncated || len(r.Tools) == 0 || len(r.Tools) > 25 {
			t.Errorf("%s: %d tool calls, truncated %v", format, len(r.Tools), r.Truncated)
		}
	}
	c := newCollector(t, wire.FormatResponses, wire.FrameMessages)
	huge := fmt.Sprintf(`{"type":"response.completed","response":{"usage":{"x":"%s","input_tokens":7}}}`, strings.Repeat("x", 20<<10))
	if err := c.Feed([]byte(huge), nil); err != nil || c.Reply().UsageJSON != nil || c.Reply().Usage.Input != 7 {
		t.Errorf("a huge usage: %v, kept %d bytes", err, len(c.Reply().UsageJSON))
	}
	c = newCollector(t, wire.FormatMessages, wire.FrameMessages)
	for i := range 300 {
		usage := fmt.Sprintf(`{"type":"message_delta","delta":{},"usage":{"%d%s":1}}`, i, strings.Repeat("x", 100))
		if err := c.Feed([]byte(usage), nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(c.Reply().UsageJSON); n == 0 || n > 16<<10 {
		t.Errorf("usage of %d bytes", n)
	}
}

func FuzzCollector(f *testing.F) {
	archives(f, func(_, _ string, files map[string]string) { f.Add([]byte(files["in"])) })
	f.Fuzz(func(t *testing.T, stream []byte) {
		for _, format := range formats() {
			deltas, err := decode(newStream(t, format, wire.FrameAuto), stream)
			c := newCollector(t, format, wire.FrameAuto)
			got, errGot := decode(c, stream)
			if diff := cmp.Diff(deltas, got); diff != "" || fmt.Sprint(err) != fmt.Sprint(errGot) {
				t.Fatalf("%s: the collector decodes otherwise than the stream: %v, %v\n%s", format, err, errGot, diff)
			}
			checkReply(t, format, c.Reply(), len(stream))
		}
	})
}

func BenchmarkCollector(b *testing.B) {
	for _, d := range dialectStreams() {
		c := newCollector(b, d.format, wire.FrameSSE)
		bench(b, "format="+d.format, d.namedStream, func() error {
			c.Reset()
			return c.Feed(d.bytes, nil)
		})
	}
}
