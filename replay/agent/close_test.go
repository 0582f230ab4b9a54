package agent_test

import (
	"context"
	"net"
	"testing"

	"github.com/capstan-bench/capstan/replay/agent"
	"github.com/capstan-bench/capstan/schema"
)

// TestUntilClose: a body without a length, as servers of HTTP/1.0 send it, ends
// with its connection. What is not whole by then is truncated.
func TestUntilClose(t *testing.T) {
	f := func(answer, class string) {
		t.Helper()
		p := &peer{serve: func(_ int, _ []byte, c net.Conn) bool {
			send(c, answer)
			return false
		}}
		bubble(t, p, agent.Config{}, func(k *agent.Client) {
			for range 2 { // the second on a connection of its own
				if s, _ := do(context.Background(), k, step(4)); str(s.Error) != class {
					t.Errorf("%.90q: error %q, %s, want %q", answer, str(s.Error), str(s.ErrorText), class)
				}
			}
		})
	}
	const stream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
	const plain = "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"
	f(stream+roleEvent+event(" abc")+stopEvent+doneEvent, "")
	f(stream+roleEvent+event(" abc")+stopEvent, "")
	f(stream+roleEvent+event(" abc"), schema.ErrTruncated)
	f(stream, schema.ErrTruncated)
	f(plain+`{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}`, "")
	f(plain+`{"choices":[{"message":{"content"`, schema.ErrStream)
	f("HTTP/1.0 503 Loading\r\nContent-Type: application/json\r\n\r\n"+`{"error":{"message":"loading"}}`, schema.ErrStatus)
	f("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n", schema.ErrReset) // in the header
	f(streamHead+chunk(event(" abc")), schema.ErrReset)                          // has lengths of its own
}
