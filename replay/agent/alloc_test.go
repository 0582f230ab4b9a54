package agent_test

import (
	"bytes"
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

// canned is a connection that answers every request with the same bytes, one
// piece for each Read.
type canned struct {
	net.Conn
	pieces [][]byte
	next   int // piece to read; touched by Read only
	ready  chan bool
}

func (c *canned) Write(p []byte) (int, error) {
	if bytes.HasSuffix(p, []byte(`hello"}]}`)) {
		c.ready <- true
	}
	return len(p), nil
}

func (c *canned) Read(p []byte) (int, error) {
	if c.next == 0 {
		<-c.ready
	}
	n := copy(p, c.pieces[c.next])
	c.next = (c.next + 1) % len(c.pieces)
	return n, nil
}

func (c *canned) Close() error                     { return nil }
func (c *canned) SetDeadline(time.Time) error      { return nil }
func (c *canned) SetReadDeadline(time.Time) error  { return nil }
func (c *canned) SetWriteDeadline(time.Time) error { return nil }

// answered returns a client whose answers have n chunks, each in a read of its
// own.
func answered(t testing.TB, n int) *agent.Client {
	pieces := [][]byte{[]byte(streamHead + chunk(roleEvent))}
	for range n {
		pieces = append(pieces, []byte(chunk(event(" abc"))))
	}
	pieces = append(pieces, []byte(chunk(stopEvent)+chunk(usageEvent(9, 0, n))+chunk(doneEvent)+lastChunk))
	dial := func(context.Context, string, string) (net.Conn, error) {
		return &canned{pieces: pieces, ready: make(chan bool, 1)}, nil
	}
	return connect(t, agent.Config{Dial: dial}, "http://model.test")
}

// A chunk costs no allocation, and a call a fixed number of them.
func TestDoAllocs(t *testing.T) {
	const most = 60
	calls := func(chunks int) float64 {
		k := answered(t, chunks)
		req := step(int32(chunks), 0.1, 0.5, 1)
		var s schema.Sample
		start := time.Now()
		clock := func() time.Duration { return time.Since(start) }
		note := func(plan.Point, float32, time.Duration) {}
		n := testing.AllocsPerRun(50, func() {
			s = schema.Sample{}
			k.Do(context.Background(), clock, req, &s, note)
		})
		if s.Error != nil || int(*s.OutputTokens) != chunks {
			t.Fatalf("call failed: %s", str(s.ErrorText))
		}
		return n
	}
	few, many := calls(10), calls(2010)
	if (many-few)/2000 > 0.005 {
		t.Errorf("a call allocates %v times with 10 chunks and %v with 2010, want no more", few, many)
	}
	if few > most {
		t.Errorf("a call allocates %v times, want at most %d", few, most)
	}
}

// Samples hold nothing of the buffers that the next call writes over.
func TestDoKeepsNothingBorrowed(t *testing.T) {
	answers := []string{
		whole(),
		fixed(500, "application/json", `{"error":{"message":"the first failure","code":"one"}}`),
		streamHead + chunk(event(" abc")) + chunk(strings.Replace(stopEvent, "stop", "length", 1)) + chunk(usageEvent(77, 66, 55)) + chunk(doneEvent) + lastChunk,
		fixed(400, "application/json", `{"error":{"message":"A SECOND FAILURE","code":"two"}}`),
		strings.Replace(whole(), `"stop"`, `"XXXX"`, 1),
	}
	p := &peer{serve: func(n int, _ []byte, c net.Conn) bool {
		send(c, answers[n%len(answers)])
		return true
	}}
	bubble(t, p, agent.Config{}, func(k *agent.Client) {
		var first []schema.Sample
		for range answers {
			s, _ := do(context.Background(), k, step(4))
			first = append(first, s)
		}
		for i := range answers {
			s, _ := do(context.Background(), k, step(4))
			if d := cmp.Diff(s, first[i]); d != "" {
				t.Errorf("sample %d was written over, or answers differ (-later +first):\n%s", i, d)
			}
		}
		if str(first[0].FinishReason) != "stop" || str(first[4].FinishReason) != "XXXX" || str(first[1].ErrorText) != "HTTP 500 one: the first failure" {
			t.Errorf("samples hold %q, %q, %q", str(first[0].FinishReason), str(first[4].FinishReason), str(first[1].ErrorText))
		}
	})
}
