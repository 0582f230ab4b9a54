package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/schema/wire"
)

const walk = `
piece: 5
agents:
  - name: helper
    when: please help
    turns:
      - {calls: [{tool: shell, command: h0}]}
      - {text: helped}
  - name: main
    turns:
      - {text: one, reasoning: I think, calls: [{tool: shell, command: a}, {tool: shell, command: b}]}
      - {calls: [{tool: shell, command: c}]}
      - {reasoning: all seen, text: two is done}
      - {text: three, calls: [{tool: shell, command: d}]}
      - {text: three is done}
`

// TestWalk plays a script through in every dialect, streamed and not, over two
// prompts, and goes on behind its end.
func TestWalk(t *testing.T) {
	for _, format := range formats() {
		for _, stream := range []bool{true, false} {
			s := newTestServer(t, walk)
			c := newClient(t, s, format, stream).user("do it")
			var got []string
			for range 3 {
				got = append(got, says(t, format, c.turn()))
			}
			c.user("and go on")
			for range 2 {
				got = append(got, says(t, format, c.turn()))
			}
			c.user("more")
			got = append(got, says(t, format, c.turn()))
			want := []string{"one $a $b", " $c", "two is done", "three $d", "three is done", "Everything that was asked for is done."}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, stream %t (-want +got):\n%s", format, stream, diff)
			}
			h := newClient(t, s, format, stream).user("please help me")
			if got := []string{says(t, format, h.turn()), says(t, format, h.turn())}; !slices.Equal(got, []string{" $h0", "helped"}) {
				t.Errorf("%s, stream %t: helper said %q", format, stream, got)
			}
		}
	}
}

// TestGoBack asks again for a turn, as a retry does, and for another after the
// conversation was cut.
func TestGoBack(t *testing.T) {
	for _, format := range formats() {
		c := newClient(t, newTestServer(t, walk), format, true).user("do it")
		c.turn()
		before := slices.Clone(c.context)
		first := c.turn()
		c.turn()
		c.context = before
		second := c.turn()
		if says(t, format, first) != " $c" || says(t, format, second) != " $c" {
			t.Errorf("%s: said %q, then again %q", format, says(t, format, first), says(t, format, second))
		}
		if first.ID == second.ID || first.Tools[0].ID == second.Tools[0].ID {
			t.Errorf("%s: two answers share ids: %+v, %+v", format, first, second)
		}
	}
}

// TestSplitTurns counts a turn once even where the client took it apart, and one
// whose beginning it forgot by the ids of its calls.
func TestSplitTurns(t *testing.T) {
	c := newClient(t, newTestServer(t, walk), wire.FormatResponses, true).user("do it")
	c.turn()
	// reasoning, message, call, call, output, output: put each output behind its call
	c.context[5], c.context[4] = c.context[4], c.context[5]
	if got := says(t, c.format, c.turn()); got != " $c" {
		t.Errorf("after calls and outputs in turns: said %q, want the second turn", got)
	}
	c.context = slices.Delete(c.context, 1, 5) // all of the first turn but its last output
	if got := says(t, c.format, c.turn()); got != "two is done" {
		t.Errorf("without the first turn: said %q, want the third", got)
	}
}

// TestRemains goes on from an answer that broke off before its calls, whose text the
// client kept.
func TestRemains(t *testing.T) {
	for _, format := range formats() {
		c := newClient(t, newTestServer(t, walk), format, true).user("do it")
		kept := `{"role":"assistant","content":"one"}`
		if format == wire.FormatGemini {
			kept = `{"role":"model","parts":[{"text":"one"}]}`
		}
		c.context = append(c.context, []byte(kept))
		if got := says(t, format, c.user("continue").turn()); got != "one $a $b" {
			t.Errorf("%s: said %q, want the first turn again", format, got)
		}
		if got := says(t, format, c.turn()); got != " $c" {
			t.Errorf("%s: said %q, want the second turn", format, got)
		}
	}
}

// TestCompaction asks for a summary in the ways of the harnesses, and goes on from
// it alone.
func TestCompaction(t *testing.T) {
	f := func(format, ask string, tools bool) {
		t.Helper()
		c := newClient(t, newTestServer(t, walk), format, true).user("do it")
		c.turn()
		c.turn()
		kept := c.tools
		if !tools {
			c.tools = ""
		}
		c.user(ask)
		summary := says(t, format, c.turn())
		c.tools, c.context = kept, nil
		c.user("The story so far: " + summary)
		if got := says(t, format, c.turn()); got != "two is done" {
			t.Errorf("%s, asked %q and told %q: said %q, want the third turn", format, ask, summary, got)
		}
	}
	f(wire.FormatMessages, "Plain text only: an <analysis> block and a <summary> block.", true)
	f(wire.FormatResponses, "CONTEXT CHECKPOINT COMPACTION: hand over.", false)
	f(wire.FormatChat, "Reason in <analysis>, then write the <state_snapshot>.", false)
	f(wire.FormatGemini, "Produce the <state_snapshot>.", true)

	// One text holds the whole conversation, and there is no turn to count.
	c := newClient(t, newTestServer(t, strings.ReplaceAll(walk, "command: c", "command: count all lines")), wire.FormatChat, true)
	c.tools = ""
	c.user("You are a context summarization agent. The user: do it. You: one, a, b. You: count all lines. The tool: 4")
	c.context = append(c.context[:1], c.turn().Output...)
	c.tools = declare(c.format, "shell", shellSchema)
	if got := says(t, c.format, c.turn()); got != "two is done" {
		t.Errorf("after a conversation in one text: said %q, want the third turn", got)
	}
}

// TestCompactionItem is how Responses compacts: the summary is an item.
func TestCompactionItem(t *testing.T) {
	c := newClient(t, newTestServer(t, walk), wire.FormatResponses, true).user("do it")
	c.turn()
	c.context = append(c.context, []byte(`{"type":"compaction_trigger"}`))
	items := c.turn().Output
	if e, err := wire.ParseElement(c.format, items[0]); len(items) != 1 || err != nil || e.Kind != wire.KindCompaction {
		t.Fatalf("the answer to a trigger is %s, want one compaction item", items)
	}
	c.context = items
	if got := says(t, c.format, c.turn()); got != " $c" {
		t.Errorf("said %q, want the second turn", got)
	}
}

// TestChain sends only what is added, as WebSockets do.
func TestChain(t *testing.T) {
	s := newTestServer(t, walk)
	c := newClient(t, s, wire.FormatResponses, true)
	id := ""
	next := func(generate bool) wire.Reply {
		t.Helper()
		_, body := c.request()
		body = append(body[:len(body)-1], `,"previous_response_id":`+literal(id)...)
		if !generate {
			body = append(body, `,"generate":false`...)
		}
		c.context = nil
		status, answer := c.send("/v1/responses", append(body, '}'))
		r := collect(t, c.format, answer)
		if status != http.StatusOK {
			t.Fatalf("status %d: %s", status, answer)
		}
		id = r.ID
		for _, call := range r.Tools {
			c.context = append(c.context, c.result(call))
		}
		return r
	}
	if r := next(false); len(r.Output) != 0 {
		t.Fatalf("the prewarm call was answered by %s", r.Output)
	}
	c.user("do it")
	var got []string
	last := int64(0)
	for range 3 {
		r := next(true)
		got = append(got, says(t, c.format, r))
		if r.Usage.Input <= last {
			t.Errorf("input of %d tokens after one of %d: a chain must add up", r.Usage.Input, last)
		}
		last = r.Usage.Input
	}
	if diff := cmp.Diff([]string{"one $a $b", " $c", "two is done"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	id = "resp_of_somebody_else"
	c.user("x")
	if status, answer := c.send("/v1/responses", []byte(`{"model":"m","input":[],"previous_response_id":"resp_of_somebody_else"}`)); status != 400 {
		t.Errorf("an unknown previous response: status %d, %s, want 400", status, answer)
	}
}

func TestSideCalls(t *testing.T) {
	for _, format := range formats() {
		c := newClient(t, newTestServer(t, walk), format, true)
		c.tools = ""
		c.user("You are a title generator. Write a title for: do it")
		r := c.turn()
		if got := says(t, format, r); got != "Work on a small project" {
			t.Errorf("%s: a title request was answered by %q", format, got)
		}
	}
	s := newTestServer(t, walk)
	c := newClient(t, s, wire.FormatGemini, false)
	status, answer := c.send("/v1beta/models/m:generateContent", []byte(`{"contents":[{"role":"user","parts":[{"text":"who is next?"}]}],
"generationConfig":{"responseJsonSchema":{"type":"object","properties":{"why":{"type":"string"},"next":{"type":"string","enum":["user","model"]},"n":{"type":"integer"},
"more":{"type":"array"},"sure":{"type":["null","boolean"]}},"required":["why","next","n","more","sure"]}}}`))
	got := says(t, c.format, collect(t, c.format, answer))
	if want := `{"more":[],"n":1,"next":"user","sure":false,"why":"Work on a small project"}`; status != 200 || got != want {
		t.Errorf("an answer in JSON = %d, %s, want %s", status, got, want)
	}
}

// TestHandIn is how a sub-agent ends whose harness wants a tool for it.
func TestHandIn(t *testing.T) {
	c := newClient(t, newTestServer(t, walk), wire.FormatGemini, true).user("please help me")
	c.tools += "," + declare(c.format, "complete_task", `{"type":"object","properties":{"result":{"type":"object","properties":{"response":{"type":"string"}}}}}`)
	if got := says(t, c.format, c.turn()); got != " $h0" {
		t.Errorf("first turn: %q", got)
	}
	r := c.turn()
	if len(r.Tools) != 1 || r.Tools[0].Name != "complete_task" || string(r.Tools[0].Arguments) != `{"result":{"response":"helped"}}` {
		t.Errorf("last turn: %+v, want the text handed in", r)
	}
}
