package agent_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/replay/agent"
	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/schema"
)

// Every way in which a call can fail gives its class, one line of text without
// the key, the points that the cursor waits for, and an agent that can go on.
func TestDoFaults(t *testing.T) {
	const key = "sk-very-secret"
	f := func(name, wantClass, wantText string, wantDone time.Duration, serve func(c net.Conn)) {
		t.Run(name, func(t *testing.T) {
			t.Helper()
			p := &peer{serve: func(n int, _ []byte, c net.Conn) bool {
				if n == 0 {
					serve(c)
					return false
				}
				send(c, whole())
				return true
			}}
			config := agent.Config{TTFTTimeout: 30 * time.Second, IdleTimeout: 5 * time.Second, APIKey: key}
			bubble(t, p, config, func(k *agent.Client) {
				s, notes := do(context.Background(), k, step(4))
				if str(s.Error) != wantClass || !strings.Contains(str(s.ErrorText), wantText) {
					t.Errorf("error = %s: %s; want %s with %q", str(s.Error), str(s.ErrorText), wantClass, wantText)
				}
				if text := str(s.ErrorText); strings.Contains(text, key) || len(text) > 300 || strings.ContainsAny(text, "\r\n") {
					t.Errorf("error text is no short line without the key: %q", text)
				}
				if got := time.Duration(*s.DoneUS) * time.Microsecond; got != wantDone {
					t.Errorf("done at %v, want %v", got, wantDone)
				}
				if n := len(notes); n < 3 || notes[0].At != plan.Sent || notes[n-2] != (note{plan.Token, 1, wantDone}) || notes[n-1] != (note{plan.Done, 0, wantDone}) {
					t.Errorf("notes = %v, want Sent … Token 1, Done at %v", notes, wantDone)
				}
				if again, _ := do(context.Background(), k, step(4)); again.Error != nil {
					t.Errorf("the next call failed: %s", str(again.ErrorText))
				}
			})
		})
	}
	json := "application/json"

	f("closes without a word", schema.ErrReset, "wait for the response", 0, func(c net.Conn) {})
	f("closes in the header", schema.ErrReset, "", 0, func(c net.Conn) { send(c, "HTTP/1.1 200 OK\r\nContent-") })
	f("closes in the stream", schema.ErrReset, "read the stream", 0, func(c net.Conn) { send(c, streamHead, chunk(event(" abc"))) })
	f("closes before the first token", schema.ErrReset, "first token", 0, func(c net.Conn) { send(c, streamHead, chunk(roleEvent)) })
	f("429", schema.ErrRateLimit, "HTTP 429 rate_limit_exceeded: slow down", 0, func(c net.Conn) {
		send(c, fixed(429, json, `{"error":{"message":"slow\n down","code":"rate_limit_exceeded"}}`))
	})
	f("500", schema.ErrStatus, "HTTP 500: it broke", 0, func(c net.Conn) { send(c, fixed(500, "text/plain", "it broke")) })
	f("401 that repeats the key", schema.ErrStatus, "[key]", 0, func(c net.Conn) {
		send(c, fixed(401, json, `{"error":{"message":"Incorrect API key provided: `+key+`"}}`))
	})
	f("503 cut short", schema.ErrStatus, "HTTP 503", 0, func(c net.Conn) {
		send(c, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 100\r\n\r\noverl")
	})
	f("503 with a long text", schema.ErrStatus, "…", 0, func(c net.Conn) { send(c, fixed(503, "text/html", strings.Repeat("ü ", 4000))) })
	f("redirect", schema.ErrStatus, "HTTP 307", 0, func(c net.Conn) {
		send(c, "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://other/\r\nContent-Length: 0\r\n\r\n")
	})
	f("overflow, vLLM", schema.ErrContext, "HTTP 400", 0, func(c net.Conn) {
		send(c, fixed(400, json, `{"object":"error","message":"This model's maximum context length is 8192 tokens. However, you requested 9100 tokens in the messages, Please reduce the length of the messages.","type":"BadRequestError","param":null,"code":400}`))
	})
	f("overflow, llama-server", schema.ErrContext, "exceed_context_size_error", 0, func(c net.Conn) {
		send(c, fixed(400, json, `{"error":{"code":400,"message":"request (9033 tokens) exceeds the available context size (8192 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":9033,"n_ctx":8192}}`))
	})
	f("overflow, OpenAI", schema.ErrContext, "context_length_exceeded", 0, func(c net.Conn) {
		send(c, fixed(400, json, `{"error":{"message":"This model's maximum context length is 128000 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`))
	})
	f("overflow inside the stream", schema.ErrContext, "the answer says", 0, func(c net.Conn) {
		send(c, streamHead, chunk("data: {\"error\":{\"message\":\"This model's maximum context length is 8192 tokens.\",\"code\":400}}\n\n"), lastChunk)
	})
	f("error inside the stream", schema.ErrStream, "engine died", 0, func(c net.Conn) {
		send(c, streamHead, chunk(event(" abc")), chunk("data: {\"error\":{\"message\":\"engine died\",\"code\":500}}\n\n"), lastChunk)
	})
	f("never answers", schema.ErrTimeout, "no token for 30s", 30*time.Second, func(c net.Conn) { time.Sleep(time.Minute) })
	f("headers, then nothing", schema.ErrTimeout, "no token for 30s", 30*time.Second, func(c net.Conn) {
		time.Sleep(10 * time.Second)
		send(c, streamHead, chunk(roleEvent))
		time.Sleep(time.Minute)
	})
	f("pings only", schema.ErrTimeout, "no token for 30s", 30*time.Second, func(c net.Conn) {
		send(c, streamHead)
		for range 40 {
			time.Sleep(time.Second)
			send(c, chunk(":\n\n"))
		}
	})
	f("stalls in the stream", schema.ErrTimeout, "no byte for 5s", 9*time.Second, func(c net.Conn) {
		send(c, streamHead, chunk(event(" abc")))
		time.Sleep(4 * time.Second)
		send(c, chunk(event(" abc")))
		time.Sleep(time.Minute)
	})
	f("broken event", schema.ErrStream, "", 0, func(c net.Conn) { send(c, streamHead, chunk("data: {\"choices\":[{\n\n"), lastChunk) })
	f("cut event at the end", schema.ErrStream, "", 0, func(c net.Conn) { send(c, streamHead, chunk("data: {\"choices\":[{"), lastChunk) })
	f("broken chunk framing", schema.ErrStream, "", 0, func(c net.Conn) { send(c, streamHead, "zz\r\n") })
	f("no HTTP", schema.ErrStream, "", 0, func(c net.Conn) { send(c, "SSH-2.0-OpenSSH_9.6\r\n\r\n") })
	f("broken JSON", schema.ErrStream, "", 0, func(c net.Conn) { send(c, fixed(200, json, `{malformed json: <<<chaos>>>`)) })
	f("page instead of an answer", schema.ErrTruncated, "", 0, func(c net.Conn) { send(c, fixed(200, "text/html", `<html>`)) })
	f("ends without an end", schema.ErrTruncated, "without [DONE]", 0, func(c net.Conn) { send(c, streamHead, chunk(event(" abc")), lastChunk) })
	f("no token", schema.ErrEmpty, "no token", 0, func(c net.Conn) {
		send(c, streamHead, chunk(roleEvent), chunk(stopEvent), chunk(usageEvent(5, 0, 0)), chunk(doneEvent), lastChunk)
	})
	f("compressed all the same", schema.ErrStream, "gzip", 0, func(c net.Conn) {
		send(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00")
	})
	f("header too large", schema.ErrStream, "", 0, func(c net.Conn) {
		send(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nX-Pad: %s\r\n\r\n", strings.Repeat("x", 100<<10)))
	})
}

// These look odd and are whole answers.
func TestDoOddButWhole(t *testing.T) {
	f := func(name string, parts ...string) {
		t.Run(name, func(t *testing.T) {
			p := &peer{serve: func(n int, _ []byte, c net.Conn) bool {
				send(c, parts...)
				return false
			}}
			bubble(t, p, agent.Config{}, func(k *agent.Client) {
				for range 3 {
					s, _ := do(context.Background(), k, step(1))
					if s.Error != nil || s.FirstTokenUS == nil || s.DoneUS == nil {
						t.Errorf("call failed: %s: %s", str(s.Error), str(s.ErrorText))
					}
				}
			})
		})
	}
	end := chunk(stopEvent) + chunk(doneEvent) + lastChunk
	f("closes after each stream", whole())
	f("says so", strings.Replace(whole(), "\r\n", "\r\nConnection: close\r\n", 1))
	f("a finish reason and no [DONE]", streamHead, chunk(event(" abc")), chunk(stopEvent), lastChunk)
	f("[DONE] and no end of the body", streamHead, chunk(event(" abc")), chunk(doneEvent))
	f("until the connection closes", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", event(" abc"), stopEvent, doneEvent)
	f("HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", event(" abc"), stopEvent, doneEvent)
	f("a large header", fmt.Sprintf("HTTP/1.1 200 OK\r\nX-Pad: %s\r\n", strings.Repeat("x", 60<<10))+strings.TrimPrefix(streamHead, "HTTP/1.1 200 OK\r\n"), chunk(event(" abc")), end)
	f("one event in many chunks", streamHead, chunk(event(" abc")[:10]), chunk(event(" abc")[10:]), end)
	f("a large event", streamHead, chunk(event(strings.Repeat("x", 100<<10))), end)
	f("progress before", "HTTP/1.1 102 Processing\r\n\r\n", whole())
	f("reasoning only", streamHead, chunk("data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n"), end)
	f("a tool call", streamHead, chunk("data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"ls\",\"arguments\":\"\"}}]}}]}\n\n"), end)
}

// A call that its context ends is unended, at once, wherever it is.
func TestDoCancel(t *testing.T) {
	f := func(name string, serve func(c net.Conn)) {
		t.Run(name, func(t *testing.T) {
			p := &peer{serve: func(_ int, _ []byte, c net.Conn) bool {
				serve(c)
				return false
			}}
			bubble(t, p, agent.Config{}, func(k *agent.Client) {
				ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
				defer cancel()
				start := time.Now()
				s, _ := do(ctx, k, step(4))
				if str(s.Error) != schema.ErrUnended || s.DoneUS != nil || time.Since(start) != 3*time.Second {
					t.Errorf("error %s, done %v ms, after %v; want unended, none, 3s", str(s.Error), ms(s.DoneUS), time.Since(start))
				}
			})
		})
	}
	f("before the response", func(c net.Conn) { time.Sleep(time.Minute) })
	f("before the token", func(c net.Conn) { send(c, streamHead); time.Sleep(time.Minute) })
	f("in the stream", func(c net.Conn) { send(c, streamHead, chunk(event(" abc"))); time.Sleep(time.Minute) })
}

// Before it begins, the call ends too, and says so to the cursor.
func TestDoCancelledBefore(t *testing.T) {
	p := &peer{serve: func(int, []byte, net.Conn) bool { return true }}
	bubble(t, p, agent.Config{}, func(k *agent.Client) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s, notes := do(ctx, k, step(4))
		if str(s.Error) != schema.ErrUnended || len(notes) != 3 {
			t.Errorf("error %s, notes %v; want unended and three notes", str(s.Error), notes)
		}
	})
}
