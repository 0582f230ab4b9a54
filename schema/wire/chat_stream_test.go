package wire_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/capstan-bench/capstan/schema/wire"
)

// decode feeds the pieces of a stream and lists what they bring.
func decode(c wire.Stream, pieces ...[]byte) ([]string, error) {
	var got []string
	emit := func(d wire.Delta) { got = append(got, describe(d)) }
	for _, p := range pieces {
		p = append([]byte(nil), p...)
		err := c.Feed(p, emit)
		for i := range p {
			p[i] = '#' // whoever kept it will notice
		}
		if err != nil {
			return got, err
		}
	}
	return got, c.End(emit)
}

func describe(d wire.Delta) string {
	var out []string
	add := func(ok bool, format string, v any) {
		if ok {
			out = append(out, fmt.Sprintf(format, v))
		}
	}
	add(d.Bytes != 0, "bytes=%d", d.Bytes)
	add(d.Reasoning != 0, "reasoning=%d", d.Reasoning)
	add(d.Tool != 0, "tool=%d", d.Tool)
	add(d.Finish != "", "finish=%s", d.Finish)
	if u := d.Usage; u != nil {
		out = append(out, fmt.Sprintf("usage=%d,%d,%d,%d", u.Input, u.Cached, u.Output, u.Reasoning))
		add(u.CacheWrite != wire.Unknown, "write=%d", u.CacheWrite)
	}
	add(d.Err != "", "err=%s", d.Err)
	if d.Done {
		out = append(out, "done")
	}
	return strings.Join(out, " ")
}

func samples(t testing.TB) map[string]*txtar.Archive {
	t.Helper()
	paths, err := filepath.Glob("testdata/chat/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	out := map[string]*txtar.Archive{}
	for _, p := range paths {
		a, err := txtar.ParseFile(p)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(p)] = a
	}
	return out
}

func TestChatStream(t *testing.T) {
	for name, a := range samples(t) {
		t.Run(name, func(t *testing.T) {
			in := string(a.Files[0].Data)
			want := strings.Split(strings.TrimSpace(string(a.Files[1].Data)), "\n")
			for ending, eol := range map[string]string{"LF": "\n", "CRLF": "\r\n", "CR": "\r"} {
				stream := []byte(strings.ReplaceAll(in, "\n", eol))
				for cut, pieces := range cuts(stream) {
					got, err := decode(new(wire.ChatStream), pieces...)
					if err != nil {
						t.Fatalf("%s, %s: %v", ending, cut, err)
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("%s, %s (-want +got):\n%s", ending, cut, diff)
					}
				}
			}
		})
	}
}

// cuts cuts a stream in many ways.
func cuts(stream []byte) map[string][][]byte {
	out := map[string][][]byte{"whole": {stream}}
	var single [][]byte
	for i := range stream {
		single = append(single, stream[i:i+1])
	}
	out["byte by byte"] = single
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var pieces [][]byte
		for rest := stream; len(rest) > 0; {
			n := min(1+rng.IntN(200), len(rest))
			pieces = append(pieces, rest[:n])
			rest = rest[n:]
		}
		out[fmt.Sprint("seed ", seed)] = pieces
	}
	return out
}

func TestChatStreamEnds(t *testing.T) {
	f := func(stream string, want ...string) {
		t.Helper()
		got, err := decode(new(wire.ChatStream), []byte(stream))
		if err != nil {
			t.Errorf("%q: %v", stream, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", stream, diff)
		}
	}
	const event = `data: {"choices":[{"delta":{"content":"a"}}]}`
	f(event, "bytes=1")
	f(event+"\n", "bytes=1")
	f(event+"\r", "bytes=1")
	f(event+"\r\n\r\ndata: [DONE]", "bytes=1", "done")
	f("\ufeff"+event+"\n\n", "bytes=1")
	f("")
	f("\n\n\r\n: ping\n\n")

	// A stream that was cut is an error only where an event is.
	c := new(wire.ChatStream)
	if _, err := decode(c, []byte(event[:30])); err == nil {
		t.Error("an event cut in two decoded")
	}
	var syntax *wire.SyntaxError
	if err := c.Feed([]byte(event+"\n\n"), func(wire.Delta) { t.Error("emitted after an error") }); !errors.As(err, &syntax) {
		t.Errorf("after an error: %v", err)
	}
	c.Reset()
	if got, err := decode(c, []byte(event)); err != nil || len(got) != 1 {
		t.Errorf("after Reset: %v, %v", got, err)
	}
}

func TestChatStreamBroken(t *testing.T) {
	f := func(data string) {
		t.Helper()
		for cut, pieces := range cuts([]byte("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n" + data + "\n\ndata: [DONE]\n\n")) {
			got, err := decode(new(wire.ChatStream), pieces...)
			if err == nil || len(got) != 1 {
				t.Errorf("%s, %s: %v, %v, want one delta and an error", data, cut, got, err)
			}
		}
	}
	f(`data: {malformed json: <<<chaos>>>`)
	f(`data: {"choices":[{"delta":{"content":"a}}]}`)
	f(`data: {"choices":[{"delta":{"content":"a"}}]} x`)
	f(`data: {"choices":[{"delta":{"content":"a"}}]`)
	f(`data: <html>`)
	f(`data: "text"`)
}

func TestChatStreamLimits(t *testing.T) {
	var limit *wire.LimitError
	long := []byte("data: " + strings.Repeat("x", wire.MaxLine))
	if _, err := decode(new(wire.ChatStream), long); !errors.As(err, &limit) {
		t.Errorf("long line: %v, want a LimitError", err)
	}
	if _, err := decode(new(wire.ChatStream), append(long, '\n')); !errors.As(err, &limit) {
		t.Errorf("long line with an end: %v, want a LimitError", err)
	}
	line := []byte("data: " + strings.Repeat(" ", wire.MaxLine/4) + "\n")
	if _, err := decode(new(wire.ChatStream), line, line, line, line); !errors.As(err, &limit) {
		t.Errorf("long event: %v, want a LimitError", err)
	}
	fits := `data: {"choices":[{"delta":{"content":"` + strings.Repeat("x", wire.MaxLine-100) + `"}}]}`
	got, err := decode(new(wire.ChatStream), []byte(fits[:1000]), []byte(fits[1000:]+"\n\n"))
	if want := fmt.Sprint("bytes=", wire.MaxLine-100); err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("long event that fits: %v, %v, want %s", got, err, want)
	}
}

// TestChatStreamShapes alternates events whose bytes differ in one place, so the
// remembered shape must not be taken for the other.
func TestChatStreamShapes(t *testing.T) {
	var in, want []string
	add := func(event, delta string) {
		in = append(in, "data: "+event+"\n\n")
		if delta != "" {
			want = append(want, delta)
		}
	}
	for range 3 {
		add(`{"choices":[{"delta":{"content":"ab"},"finish_reason":null}]}`, "bytes=2")
		add(`{"choices":[{"delta":{"content":"a\"b"},"finish_reason":null}]}`, "bytes=3")
		add(`{"choices":[{"delta":{"content":""},"finish_reason":null}]}`, "")
		add(`{"choices":[{"delta":{"content":"abc"},"finish_reason":"stop"}]}`, "bytes=3 finish=stop")
		add(`{"choices":[{"delta":{"content":"","reasoning":"x"},"finish_reason":null}]}`, "bytes=1 reasoning=1")
		add(`{"choices":[{"delta":{"content":"y","reasoning":"x"},"finish_reason":null}]}`, "bytes=2 reasoning=1")
		add(`{"choices":[{"delta":{"content":"\"},\"finish_reason\":null}]}"},"finish_reason":null}]}`, "bytes=26")
		add(`{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"a"}}]}}]}`, "bytes=1 tool=1")
		add(`{"choices":[{"delta":{"content":"ab"},"finish_reason":null}],"usage":{"prompt_tokens":1.5}}`, "bytes=2 usage=-1,-1,-1,-1")
		add(`{"choices":[],"usage":{"prompt_tokens":1099511627776,"completion_tokens":1099511627777}}`, "usage=1099511627776,-1,-1,-1")
		add(`{"choices":[],"usage":{"prompt_tokens":-1,"completion_tokens":1e18}}`, "usage=-1,-1,-1,-1")
	}
	got, err := decode(new(wire.ChatStream), []byte(strings.Join(in, "")))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestChatStreamAllocs(t *testing.T) {
	for _, s := range streams() {
		t.Run(s.name, func(t *testing.T) {
			var c wire.ChatStream
			n := 0
			emit := func(d wire.Delta) { n += d.Bytes }
			half := len(s.bytes)/2 + 13
			run := func() {
				c.Reset()
				if c.Feed(s.bytes[:half], emit) != nil || c.Feed(s.bytes[half:], emit) != nil {
					t.Fatal("feed failed")
				}
			}
			run()
			if got := testing.AllocsPerRun(20, run); got > 0 {
				t.Errorf("%v allocations for %d events, want 0", got, s.events)
			}
			if n == 0 {
				t.Error("decoded nothing")
			}
		})
	}
}

type namedStream struct {
	name   string
	bytes  []byte
	events int
}

// streams are answers of 200 tokens in several shapes, with usage at the end.
func streams() []namedStream {
	head := wire.AnswerHead{ID: "chatcmpl-0123456789abcdef", Model: "some/model-name", Created: 1764000000}
	vllm := wire.AppendChatChunk(nil, head, wire.ChatChunk{Role: true})
	var tools, mixed []byte
	for i := range 200 {
		vllm = wire.AppendChatChunk(vllm, head, wire.ChatChunk{Content: fmt.Sprintf(" wo\"rd%d", i)})
		tools = fmt.Appendf(tools, "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"frag%d\"}}]},\"finish_reason\":null}]}\n\n", i)
		mixed = fmt.Appendf(mixed, "data: {\"id\":\"c%d\",\"object\":\"chat.completion.chunk\",\"created\":1764000000,\"model\":\"some/model-name\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word%d\"},\"finish_reason\":null}],\"usage\":null}\n\n", i, i)
	}
	end := wire.AppendChatChunk(nil, head, wire.ChatChunk{Finish: "length"})
	end = wire.AppendChatChunk(end, head, wire.ChatChunk{Usage: &wire.Usage{Input: 1000, Cached: 900, Output: 200, Reasoning: 0}})
	end = wire.AppendChatDone(end)
	return []namedStream{
		{"vllm", append(vllm, end...), 204},
		{"tools", append(tools, end...), 203},
		{"changing-ids", append(mixed, end...), 203},
	}
}

func BenchmarkChatStream(b *testing.B) {
	for _, s := range streams() {
		var c wire.ChatStream
		n := 0
		emit := func(d wire.Delta) { n += d.Bytes }
		bench(b, "decoder=wire/shape="+s.name, s, func() error {
			c.Reset()
			return c.Feed(s.bytes, emit)
		})
		// What the scan replaces: every event's data decoded in full.
		bench(b, "decoder=encoding-json/shape="+s.name, s, func() error {
			_, err := decodeJSON(string(s.bytes))
			return err
		})
	}
}

func bench(b *testing.B, name string, s namedStream, decode func() error) {
	b.Run(name, func(b *testing.B) {
		b.SetBytes(int64(len(s.bytes)))
		b.ReportAllocs()
		for b.Loop() {
			if err := decode(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N*s.events)/b.Elapsed().Seconds(), "events/s")
	})
}

type jsonChunk struct {
	Choices []struct {
		Delta struct {
			Content   string `json:"content"`
			Reasoning string `json:"reasoning"`
			ToolCalls []struct {
				Function struct {
					Name      string `json:"name"`
					Arguments string `json:"arguments"`
				} `json:"function"`
			} `json:"tool_calls"`
		} `json:"delta"`
		FinishReason string `json:"finish_reason"`
	} `json:"choices"`
	Usage *struct {
		PromptTokens int64 `json:"prompt_tokens"`
	} `json:"usage"`
}

// decodeJSON counts the bytes of text in a stream the plain way.
func decodeJSON(stream string) (int, error) {
	n := 0
	for line := range strings.Lines(stream) {
		data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: ")
		if !ok || data == "[DONE]" {
			continue
		}
		var c jsonChunk
		if err := json.Unmarshal([]byte(data), &c); err != nil {
			return 0, err
		}
		for _, choice := range c.Choices {
			n += len(choice.Delta.Content) + len(choice.Delta.Reasoning)
			for _, call := range choice.Delta.ToolCalls {
				n += len(call.Function.Name) + len(call.Function.Arguments)
			}
		}
	}
	return n, nil
}

// TestChatStreamAgainstEncodingJSON compares the bytes of random texts, full of
// escapes and broken surrogates, with what encoding/json makes of them.
func TestChatStreamAgainstEncodingJSON(t *testing.T) {
	pieces := []string{`a`, `\n`, `\"`, `\\`, `\/`, `é`, `世`, `😀`, `\u0041`, `\u00e9`, `\u4e16`, `\ud83d\ude00`, `\ud83d`, `\ude00`, `\ud83dx`, `\ud83d\u0041`, ` `, `}`}
	rng := rand.New(rand.NewPCG(7, 7))
	var stream strings.Builder
	for range 500 {
		stream.WriteString(`data: {"choices":[{"delta":{"content":"`)
		for range rng.IntN(12) {
			stream.WriteString(pieces[rng.IntN(len(pieces))])
		}
		stream.WriteString("\"}}]}\n\n")
	}
	want, err := decodeJSON(stream.String())
	if err != nil {
		t.Fatal(err)
	}
	got := 0
	if err := new(wire.ChatStream).Feed([]byte(stream.String()), func(d wire.Delta) { got += d.Bytes }); err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("decoded %d bytes of text, want %d", got, want)
	}
}

// TestChatStreamBeatsEncodingJSON keeps the common path from falling back to the
// slow one unnoticed: it is some 20 times faster, on any machine.
func TestChatStreamBeatsEncodingJSON(t *testing.T) {
	s := streams()[0]
	var c wire.ChatStream
	n := 0
	best := func(f func()) time.Duration {
		least := time.Hour
		for range 5 {
			start := time.Now()
			for range 20 {
				f()
			}
			least = min(least, time.Since(start))
		}
		return least
	}
	scan := best(func() { c.Reset(); _ = c.Feed(s.bytes, func(d wire.Delta) { n += d.Bytes }) })
	full := best(func() { _, _ = decodeJSON(string(s.bytes)) })
	if scan*3 > full {
		t.Errorf("scan took %v, encoding/json %v: want a third of it at most", scan, full)
	}
}

func FuzzChatStream(f *testing.F) {
	for _, a := range samples(f) {
		f.Add(a.Files[0].Data, uint64(1))
	}
	f.Add([]byte("\xef\xbb\xbfdata:\r\rdata: {}\r\n\n:\n\ndata: {\"choices\":[]}"), uint64(2))
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		whole, errWhole := decode(new(wire.ChatStream), stream)
		rng := rand.New(rand.NewPCG(seed, 0))
		var pieces [][]byte
		for rest := stream; len(rest) > 0; {
			n := min(1+rng.IntN(40), len(rest))
			pieces = append(pieces, rest[:n])
			rest = rest[n:]
		}
		cut, errCut := decode(new(wire.ChatStream), pieces...)
		if diff := cmp.Diff(whole, cut); diff != "" {
			t.Fatalf("cut differs from whole (-whole +cut):\n%s", diff)
		}
		if fmt.Sprint(errWhole) != fmt.Sprint(errCut) {
			t.Fatalf("whole: %v, cut: %v", errWhole, errCut)
		}
	})
}
