package wire_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/schema/wire"
)

func TestParseChat(t *testing.T) {
	f := func(body string, want wire.Answer) {
		t.Helper()
		got, err := wire.ParseChat([]byte(body))
		if err != nil {
			t.Errorf("ParseChat(%s): %v", body, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ParseChat(%s) (-want +got):\n%s", body, diff)
		}
	}
	f(`{"id":"c1","object":"chat.completion","model":"m","choices":[{"index":0,"finish_reason":"tool_calls",
"message":{"role":"assistant","content":"héy","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{}"}}]}}],
"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12,"prompt_tokens_details":null}}`,
		wire.Answer{
			ID: "c1", Model: "m", Finish: "tool_calls", Bytes: 7, Tool: 3,
			Message: []byte(`{"role":"assistant","content":"héy","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{}"}}]}`),
			Usage:   &wire.Usage{Input: 5, Cached: wire.Unknown, CacheWrite: wire.Unknown, Output: 7, Reasoning: wire.Unknown},
		})
	f(`{"choices":[]}`, wire.Answer{})
	f(vllmNew, wire.Answer{Err: "BadRequestError: The decoder prompt (length 9033) is longer than the maximum model length of 8192."})
	f(`{"message":"Forbidden"}`, wire.Answer{Err: "Forbidden"})
	for _, body := range []string{``, `{}`, `[]`, `{"choices":[}`, `{"choices":[]} x`, `<html>`} {
		if got, err := wire.ParseChat([]byte(body)); err == nil {
			t.Errorf("ParseChat(%s) = %+v, want an error", body, got)
		}
	}
}

// TestEncodedAnswersDecode sends what the simulated server writes through the
// decoders.
func TestEncodedAnswersDecode(t *testing.T) {
	head := wire.AnswerHead{ID: "c\"1", Model: "mo\ndel", Created: 17}
	usage := wire.Usage{Input: 10, Cached: 8, CacheWrite: wire.Unknown, Output: 3, Reasoning: 1}

	a, err := wire.ParseChat(wire.AppendChatAnswer(nil, head, " a\" b\x02 c", "length", usage))
	want := wire.Answer{ID: "c\"1", Model: "mo\ndel", Finish: "length", Bytes: 8, Usage: &usage}
	want.Message = []byte(`{"role":"assistant","content":" a\" b\u0002 c"}`)
	if err != nil || cmp.Diff(want, a) != "" {
		t.Errorf("answer: %v (-want +got):\n%s", err, cmp.Diff(want, a))
	}

	stream := wire.AppendChatChunk(nil, head, wire.ChatChunk{Role: true, Content: " x"})
	stream = wire.AppendChatChunk(stream, head, wire.ChatChunk{Role: true})
	stream = wire.AppendChatChunk(stream, head, wire.ChatChunk{Content: " a b"})
	stream = wire.AppendChatChunk(stream, head, wire.ChatChunk{Finish: "stop"})
	stream = wire.AppendChatChunk(stream, head, wire.ChatChunk{Usage: &wire.Usage{Input: 1, Cached: wire.Unknown, Output: 2, Reasoning: wire.Unknown}})
	stream = wire.AppendChatDone(stream)
	got, err := decode(new(wire.ChatStream), stream)
	wantDeltas := []string{"bytes=2", "bytes=4", "finish=stop", "usage=1,-1,2,-1", "done"}
	if err != nil || cmp.Diff(wantDeltas, got) != "" {
		t.Errorf("stream: %v (-want +got):\n%s", err, cmp.Diff(wantDeltas, got))
	}

	code, message := wire.ErrorText(wire.AppendChatError(nil, 400, "BadRequestError", `say "no"`))
	if code != "BadRequestError" || message != `say "no"` {
		t.Errorf("error = %q, %q", code, message)
	}
}

func FuzzParseChat(f *testing.F) {
	f.Add([]byte(`{"id":"c1","choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":1}}`))
	f.Add([]byte(openaiOverflow))
	f.Add([]byte(ollamaOverflow))
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := wire.ParseChat(body)
		if err != nil && (a.Message != nil || a.Usage != nil) {
			t.Fatalf("ParseChat(%q) gave %+v and %v", body, a, err)
		}
		wire.IsContextOverflow(400, body)
		if off, ok := wire.SaltPoint(body); ok && (off < 1 || off > len(body)) {
			t.Fatalf("SaltPoint(%q) = %d", body, off)
		}
	})
}
