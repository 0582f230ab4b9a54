package wire_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/capstan-bench/capstan/schema/wire"
)

// folders maps the folders of testdata to formats.
func folders() map[string]string {
	return map[string]string{
		"chat": wire.FormatChat, "messages": wire.FormatMessages, "responses": wire.FormatResponses, "gemini": wire.FormatGemini,
	}
}

// archives calls f for every recorded answer.
func archives(t testing.TB, f func(name, format string, files map[string]string)) {
	t.Helper()
	for folder, format := range folders() {
		paths, err := filepath.Glob("testdata/" + folder + "/*.txtar")
		if err != nil || len(paths) == 0 {
			t.Fatalf("no samples of %s: %v", format, err)
		}
		for _, p := range paths {
			a, err := txtar.ParseFile(p)
			if err != nil {
				t.Fatal(err)
			}
			files := map[string]string{}
			for _, file := range a.Files {
				files[file.Name] = string(file.Data)
			}
			if files["in"] != "" {
				f(p, format, files)
			}
		}
	}
}

func newStream(t testing.TB, format string, framing wire.Framing) wire.Stream {
	t.Helper()
	s, err := wire.NewStream(format, framing)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func lines(text string) []string { return strings.Split(strings.TrimSpace(text), "\n") }

func TestStreams(t *testing.T) {
	archives(t, func(name, format string, files map[string]string) {
		t.Run(name, func(t *testing.T) {
			s := newStream(t, format, wire.FrameAuto)
			for ending, eol := range map[string]string{"LF": "\n", "CRLF": "\r\n", "CR": "\r"} {
				stream := []byte(strings.ReplaceAll(files["in"], "\n", eol))
				for cut, pieces := range cuts(stream) {
					s.Reset()
					got, err := decode(s, pieces...)
					if err != nil {
						t.Fatalf("%s, %s: %v", ending, cut, err)
					}
					if diff := cmp.Diff(lines(files["want"]), got); diff != "" {
						t.Errorf("%s, %s (-want +got):\n%s", ending, cut, diff)
					}
				}
			}
		})
	})
}

// messages are the data of the events of a stream, as a WebSocket would carry them.
func messages(stream string) (out [][]byte) {
	for line := range strings.Lines(stream) {
		if data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: "); ok {
			out = append(out, []byte(data))
		}
	}
	return out
}

func TestStreamOfMessages(t *testing.T) {
	archives(t, func(name, format string, files map[string]string) {
		if format != wire.FormatResponses {
			return
		}
		got, err := decode(newStream(t, format, wire.FrameMessages), messages(files["in"])...)
		if diff := cmp.Diff(lines(files["want"]), got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	})
	s := newStream(t, wire.FormatResponses, wire.FrameMessages)
	got, err := decode(s, []byte(`{"type":"error","status_code":400,"headers":{"x":"y"},"error":{"type":"invalid_request_error","code":"previous_response_not_found","message":"gone"}}`))
	if diff := cmp.Diff([]string{"err=previous_response_not_found: gone"}, got); err != nil || diff != "" {
		t.Errorf("error message: %v (-want +got):\n%s", err, diff)
	}
	if err := s.Feed([]byte(`{"type":`), func(wire.Delta) {}); err == nil {
		t.Error("half a message decoded")
	}
}

func TestPlainAnswers(t *testing.T) {
	f := func(format, body string, want ...string) {
		t.Helper()
		for _, framing := range []wire.Framing{wire.FrameAuto, wire.FrameJSON} {
			s := newStream(t, format, framing)
			for cut, pieces := range map[string][][]byte{"whole": {[]byte(body)}, "cut": {[]byte(body[:len(body)/2]), []byte(body[len(body)/2:])}} {
				s.Reset()
				got, err := decode(s, pieces...)
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Errorf("%s, %s: %v (-want +got):\n%s", body, cut, err, diff)
				}
			}
		}
	}
	f(wire.FormatChat, ` {"choices":[{"message":{"content":"ab","reasoning_content":"c","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}],
"usage":{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":3}}}`,
		"bytes=6 reasoning=1 tool=3 finish=stop usage=9,4,2,-1 write=3 done")
	f(wire.FormatChat, `{"error":{"message":"no","code":"bad"}}`, "err=bad: no")
	f(wire.FormatMessages, `{"id":"m","type":"message","role":"assistant","content":[{"type":"thinking","thinking":"ab","signature":"xyz"},{"type":"text","text":"cde"},
{"type":"tool_use","id":"t","name":"n","input":{"a":1}}],"stop_reason":"end_turn","usage":{"input_tokens":1,"cache_read_input_tokens":2,"cache_creation_input_tokens":3,"output_tokens":4}}`,
		"bytes=12 reasoning=2 tool=7 finish=end_turn usage=6,2,4,-1 write=3 done")
	f(wire.FormatMessages, `{"type":"error","error":{"type":"rate_limit_error","message":"slow"},"request_id":"r"}`, "err=rate_limit_error: slow")
	f(wire.FormatResponses, `{"id":"r","status":"completed","error":null,"output":[{"type":"message","content":[{"type":"output_text","text":"ab"}]},
{"type":"function_call","arguments":"{}"}],"usage":{"input_tokens":1,"output_tokens":2}}`,
		"bytes=4 tool=2 finish=completed usage=1,-1,2,-1 done")
	f(wire.FormatResponses, `{"output":[{"type":"compaction","encrypted_content":"x"}]}`, "done")
	f(wire.FormatResponses, `{"error":{"message":"no","type":"t","code":null}}`, "err=t: no")
	f(wire.FormatResponses, `{"detail":"Unauthorized"}`, "err=Unauthorized")
	f(wire.FormatGemini, `{"candidates":[{"content":{"parts":[{"text":"ab"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3}}`,
		"bytes=2 finish=STOP usage=3,-1,-1,-1", "done")
	f(wire.FormatGemini, `{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED"}}`, "err=RESOURCE_EXHAUSTED: quota")

	for _, format := range formats() {
		for _, body := range []string{`{}`, `{"x":[1]}`, `{"id":`, `{} {}`, `[1]`} {
			got, err := decode(newStream(t, format, wire.FrameAuto), []byte(body))
			if err == nil {
				t.Errorf("%s: %s decoded as %v", format, body, got)
			}
		}
		if got, err := decode(newStream(t, format, wire.FrameJSON), []byte(`<html>`)); err == nil {
			t.Errorf("%s: HTML decoded as %v", format, got)
		}
		if got, err := decode(newStream(t, format, wire.FrameAuto)); err != nil || got != nil {
			t.Errorf("%s: nothing decoded as %v, %v", format, got, err)
		}
	}
	if _, err := wire.NewStream("telnet", wire.FrameAuto); err == nil {
		t.Error("NewStream took an unknown format")
	}
}

// TestStreamShapes has events that differ in what the remembered one had.
func TestStreamShapes(t *testing.T) {
	const two = `{"type":"content_block_delta","index":0,"delta":{"thinking":"a","text":"b"}}`
	const one = `{"type":"content_block_delta","index":0,"delta":{"text":"b"}}`
	s := newStream(t, wire.FormatMessages, wire.FrameMessages)
	got, err := decode(s, []byte(two), []byte(two), []byte(one), []byte(two), []byte(one), []byte(strings.Replace(one, "b", "", 1)))
	want := []string{"bytes=2 reasoning=1", "bytes=2 reasoning=1", "bytes=1", "bytes=2 reasoning=1", "bytes=1"}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// TestStreamReset decodes answers one after another: nothing is left of the one
// before, not even of one that broke.
func TestStreamReset(t *testing.T) {
	archives(t, func(name, format string, files map[string]string) {
		s := newStream(t, format, wire.FrameAuto)
		for _, before := range []string{files["in"], "data: {", `{"x":`, `[{"finishReason":`} {
			s.Reset()
			_, _ = decode(s, []byte(before))
			s.Reset()
			if got, err := decode(s); err != nil || got != nil {
				t.Errorf("%s: after Reset nothing decodes as %v, %v", name, got, err)
			}
			s.Reset()
			got, err := decode(s, []byte(files["in"]))
			if diff := cmp.Diff(lines(files["want"]), got); err != nil || diff != "" {
				t.Errorf("%s: after %q: %v (-want +got):\n%s", name, before, err, diff)
			}
		}
	})
}

func TestStreamLimits(t *testing.T) {
	var limit *wire.LimitError
	pieces := [][]byte{[]byte(`[{"a":"`)}
	for range 5 {
		pieces = append(pieces, []byte(strings.Repeat("x", wire.MaxLine/4)))
	}
	if _, err := decode(newStream(t, wire.FormatGemini, wire.FrameAuto), pieces...); !errors.As(err, &limit) {
		t.Errorf("a long element: %v, want a LimitError", err)
	}
	var plain *wire.PlainLimitError
	pieces = [][]byte{[]byte(`{"a":"`)}
	for range 17 {
		pieces = append(pieces, []byte(strings.Repeat("x", 1<<20)))
	}
	if _, err := decode(newStream(t, wire.FormatMessages, wire.FrameAuto), pieces...); !errors.As(err, &plain) {
		t.Errorf("a long answer: %v, want a PlainLimitError", err)
	}
	for _, stream := range []string{`[{"a":1}`, `[`, `[{},`} { // cut between events
		if _, err := decode(newStream(t, wire.FormatGemini, wire.FrameAuto), []byte(stream)); err != nil {
			t.Errorf("%s: %v", stream, err)
		}
	}
	for _, stream := range []string{`[{"a"`, `[1]`, `[{}]x`, `[{}}`} {
		if _, err := decode(newStream(t, wire.FormatGemini, wire.FrameAuto), []byte(stream)); err == nil {
			t.Errorf("%s decoded", stream)
		}
	}
}

// dialectStreams are long answers of text in each dialect, cut at every event.
func dialectStreams() []struct {
	format string
	namedStream
} {
	var m, r, g []byte
	for i := range 200 {
		m = fmt.Appendf(m, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" wo\\\"rd%d\"}}\n\n", i)
		r = fmt.Appendf(r, "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":%d,\"item_id\":\"msg_68a0c3\",\"output_index\":0,\"content_index\":0,\"delta\":\" word%d\",\"logprobs\":[],\"obfuscation\":\"aB3x%d\"}\n\n", i, i, i*i)
		g = fmt.Appendf(g, "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" word%d\"}],\"role\":\"model\"},\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":1000,\"candidatesTokenCount\":%d,\"totalTokenCount\":1000},\"modelVersion\":\"gemini-x\",\"responseId\":\"r\"}\n\n", i, i)
	}
	type row = struct {
		format string
		namedStream
	}
	return []row{
		{wire.FormatMessages, namedStream{"messages", m, 200}},
		{wire.FormatResponses, namedStream{"responses", r, 200}},
		{wire.FormatGemini, namedStream{"gemini", g, 200}},
		{wire.FormatChat, streams()[0]},
	}
}

func TestStreamAllocs(t *testing.T) {
	for _, d := range dialectStreams() {
		s := newStream(t, d.format, wire.FrameAuto)
		n := 0
		emit := func(d wire.Delta) { n += d.Bytes }
		half := len(d.bytes)/2 + 13
		run := func() {
			s.Reset()
			if s.Feed(d.bytes[:half], emit) != nil || s.Feed(d.bytes[half:], emit) != nil {
				t.Fatal("feed failed")
			}
		}
		run()
		if got := testing.AllocsPerRun(20, run); got > 0 || n == 0 {
			t.Errorf("%s: %v allocations for %d events and %d bytes of text, want 0", d.name, got, d.events, n)
		}
	}
}

func BenchmarkStream(b *testing.B) {
	for _, d := range dialectStreams() {
		s := newStream(b, d.format, wire.FrameSSE)
		n := 0
		emit := func(d wire.Delta) { n += d.Bytes }
		bench(b, "format="+d.format, d.namedStream, func() error {
			s.Reset()
			return s.Feed(d.bytes, emit)
		})
	}
}

// FuzzStreams decodes the same bytes in every dialect, whole and cut.
func FuzzStreams(f *testing.F) {
	archives(f, func(_, _ string, files map[string]string) { f.Add([]byte(files["in"]), uint64(1)) })
	f.Add([]byte(`[{"candidates":[{}]},{}]`), uint64(3))
	f.Add([]byte(`{"type":"message","content":[{"text":"a"}]}`), uint64(4))
	f.Add([]byte(`{"output":[{"arguments":"a"}],"status":"x"}`), uint64(5))
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		for _, format := range formats() {
			whole, errWhole := decode(newStream(t, format, wire.FrameAuto), stream)
			rng := rand.New(rand.NewPCG(seed, 0))
			var pieces [][]byte
			for rest := stream; len(rest) > 0; {
				n := min(1+rng.IntN(40), len(rest))
				pieces = append(pieces, rest[:n])
				rest = rest[n:]
			}
			cut, errCut := decode(newStream(t, format, wire.FrameAuto), pieces...)
			if diff := cmp.Diff(whole, cut); diff != "" {
				t.Fatalf("%s: cut differs from whole (-whole +cut):\n%s", format, diff)
			}
			if fmt.Sprint(errWhole) != fmt.Sprint(errCut) {
				t.Fatalf("%s: whole: %v, cut: %v", format, errWhole, errCut)
			}
		}
	})
}
