package agent_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/replay/agent"
	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/schema"
)

func ptr[T any](v T) *T { return &v }

// A stream whose every part comes at a known time is stamped exactly.
func TestDoStampsExactly(t *testing.T) {
	const at = time.Millisecond
	var got string
	p := &peer{serve: func(_ int, body []byte, c net.Conn) bool {
		got = string(body)
		time.Sleep(100 * at)
		send(c, streamHead)
		time.Sleep(20 * at)
		send(c, chunk(roleEvent))
		time.Sleep(130 * at)
		send(c, chunk(event(" abc")))
		for range 9 {
			time.Sleep(20 * at)
			send(c, chunk(event(" def")))
		}
		send(c, chunk(stopEvent), chunk(usageEvent(1000, 960, 10)))
		time.Sleep(5 * at)
		send(c, chunk(doneEvent), lastChunk)
		return true
	}}
	bubble(t, p, agent.Config{}, func(k *agent.Client) {
		s, notes := do(context.Background(), k, step(10, 0.25, 1))
		want := schema.Sample{
			SentUS: ptr[int64](0), WrittenUS: ptr[int64](0), HeadersUS: ptr[int64](100_000), FirstByteUS: ptr[int64](120_000),
			FirstTokenUS: ptr[int64](250_000), LastTokenUS: ptr[int64](430_000), DoneUS: ptr[int64](435_000),
			InputTokens: ptr[int64](1000), CachedTokens: ptr[int64](960), OutputTokens: ptr[int64](10),
			Chunks: 10, FirstTokens: ptr(1.0), HTTPStatus: ptr[int32](200), FinishReason: ptr("stop"),
		}
		if s.SentBytes < int64(len(stepBody)) || s.ReadBytes == 0 {
			t.Errorf("sample has %d bytes sent, %d read", s.SentBytes, s.ReadBytes)
		}
		s.SentBytes, s.ReadBytes = 0, 0
		if d := cmp.Diff(want, s); d != "" {
			t.Errorf("sample differs (-want +got):\n%s", d)
		}
		wantNotes := []note{{plan.Sent, 0, 0}, {plan.Token, 0.25, 290 * at}, {plan.Token, 1, 430 * at}, {plan.Token, 1, 435 * at}, {plan.Done, 0, 435 * at}}
		if d := cmp.Diff(wantNotes, notes); d != "" {
			t.Errorf("notes differ (-want +got):\n%s", d)
		}
		if got != stepBody {
			t.Errorf("server got body %s, want %s", got, stepBody)
		}
	})
}

// The end of an HTTP chunk that comes on its own does not move the stamp of the
// token before it.
func TestDoLateChunkEnd(t *testing.T) {
	p := &peer{serve: func(_ int, _ []byte, c net.Conn) bool {
		e := chunk(event(" abc"))
		send(c, streamHead, e[:len(e)-2])
		time.Sleep(50 * time.Millisecond)
		send(c, "\r\n")
		time.Sleep(50 * time.Millisecond)
		send(c, chunk(stopEvent+doneEvent), lastChunk)
		return true
	}}
	bubble(t, p, agent.Config{}, func(k *agent.Client) {
		s, _ := do(context.Background(), k, step(1))
		if ms(s.FirstTokenUS) != 0 || ms(s.DoneUS) != 100 || s.Error != nil {
			t.Errorf("first token at %v ms, done at %v ms, error %q; want 0, 100, none", ms(s.FirstTokenUS), ms(s.DoneUS), str(s.Error))
		}
	})
}

// What arrives together is one chunk, so that a burst does not pass for speed.
func TestDoBurstIsOneChunk(t *testing.T) {
	p := &peer{serve: func(_ int, _ []byte, c net.Conn) bool {
		send(c, streamHead, chunk(event(" abc")), chunk(event(" abc")), chunk(event(" abc")))
		time.Sleep(time.Second)
		send(c, chunk(event(" abc")), chunk(stopEvent), chunk(usageEvent(9, 0, 4)), chunk(doneEvent), lastChunk)
		return true
	}}
	bubble(t, p, agent.Config{}, func(k *agent.Client) {
		s, _ := do(context.Background(), k, step(4))
		if s.Chunks != 2 || *s.FirstTokens != 3 {
			t.Errorf("chunks = %d, first tokens = %v; want 2, 3", s.Chunks, *s.FirstTokens)
		}
	})
}

// A connection is used again after a whole answer, and after an answer that a
// server ends late it is not waited for.
func TestDoKeepsConnections(t *testing.T) {
	p := &peer{serve: func(n int, _ []byte, c net.Conn) bool {
		send(c, strings.TrimSuffix(whole(), lastChunk))
		if n == 1 {
			time.Sleep(time.Hour)
		}
		send(c, lastChunk)
		return true
	}}
	bubble(t, p, agent.Config{}, func(k *agent.Client) {
		f := func(call, wantDials int, wantEnd time.Duration) {
			t.Helper()
			start := time.Now()
			s, _ := do(context.Background(), k, step(4))
			if s.Error != nil || p.dials != wantDials || time.Since(start) != wantEnd || s.Reconnects != 0 {
				t.Errorf("call %d: error %q, %d dials, %v, %d reconnects; want none, %d, %v, 0",
					call, str(s.Error), p.dials, time.Since(start), s.Reconnects, wantDials, wantEnd)
			}
		}
		f(0, 1, 0)
		f(1, 1, 100*time.Millisecond)
		f(2, 2, 0)
		time.Sleep(3 * time.Second)
		f(3, 2, 0)
		time.Sleep(5 * time.Second) // over KeepIdle
		f(4, 3, 0)
	})
}

// A plain answer is stamped at its end.
func TestDoPlainAnswer(t *testing.T) {
	p := &peer{serve: func(_ int, _ []byte, c net.Conn) bool {
		r := fixed(200, "application/json; charset=utf-8", `{"choices":[{"message":{"role":"assistant","content":"hi there"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":2}}`)
		send(c, r[:120])
		time.Sleep(time.Second)
		send(c, r[120:])
		return true
	}}
	bubble(t, p, agent.Config{}, func(k *agent.Client) {
		s, _ := do(context.Background(), k, step(2))
		if s.Error != nil || ms(s.FirstTokenUS) != 1000 || ms(s.LastTokenUS) != 1000 || *s.OutputTokens != 2 || *s.FirstTokens != 2 || s.Chunks != 1 || s.CachedTokens != nil {
			t.Errorf("plain answer: %+v, error %q", s, str(s.ErrorText))
		}
	})
}

// Tokens that were generated but never shown count at the end of the answer.
func TestDoHiddenTokens(t *testing.T) {
	p := &peer{serve: func(_ int, _ []byte, c net.Conn) bool {
		send(c, streamHead, chunk(roleEvent))
		time.Sleep(time.Second)
		send(c, chunk(stopEvent), chunk(usageEvent(5, 0, 1)), chunk(doneEvent), lastChunk)
		return true
	}}
	bubble(t, p, agent.Config{}, func(k *agent.Client) {
		s, _ := do(context.Background(), k, step(1))
		if s.Error != nil || ms(s.FirstTokenUS) != 1000 || s.Chunks != 0 || s.FirstTokens != nil {
			t.Errorf("hidden tokens: error %q, first token %v ms, %d chunks; want none, 1000, 0", str(s.ErrorText), ms(s.FirstTokenUS), s.Chunks)
		}
	})
}

// Where tokens and bytes differ, shares are taken from the answers seen before.
func TestMarksLearnBytesPerToken(t *testing.T) {
	p := &peer{serve: func(_ int, _ []byte, c net.Conn) bool {
		send(c, streamHead)
		for range 10 {
			time.Sleep(time.Millisecond)
			send(c, chunk(event("12345678"))) // one token
		}
		send(c, chunk(stopEvent), chunk(usageEvent(5, 0, 10)), chunk(doneEvent), lastChunk)
		return true
	}}
	bubble(t, p, agent.Config{}, func(k *agent.Client) {
		_, first := do(context.Background(), k, step(10, 0.5))
		_, later := do(context.Background(), k, step(10, 0.5))
		if got, want := first[1].Time, 3*time.Millisecond; got != want {
			t.Errorf("half of the first answer noted at %v, want %v (a quarter token a byte)", got, want)
		}
		if got, want := later[1].Time, 5*time.Millisecond; got != want {
			t.Errorf("half of the second answer noted at %v, want %v (an eighth token a byte)", got, want)
		}
	})
}

func TestNewRejects(t *testing.T) {
	f := func(target, want string, edit func(*agent.Config)) {
		t.Helper()
		c := agent.Config{}
		if target != "" {
			c.Target = parse(t, target)
		}
		if edit != nil {
			edit(&c)
		}
		_, err := agent.New(c)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New(%s) = %v, want an error with %q", target, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("New(%s) tells the key: %v", target, err)
		}
	}
	f("", "target is required", nil)
	f("ftp://host", "http or https", nil)
	f("http:///v1", "no host", nil)
	f("http://me:s3cret@host/v1", "credentials", nil)
	f("http://host", "ttft timeout", func(c *agent.Config) { c.TTFTTimeout = -1 })
	f("http://host", "max conns", func(c *agent.Config) { c.MaxConns = -1 })
	f("http://host", "line break", func(c *agent.Config) { c.APIKey = "s3cret\r\nX: y" })
	f("https://host", "CA file", func(c *agent.Config) { c.CAFile = "/nonexistent/ca.pem" })
}
