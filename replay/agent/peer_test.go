package agent_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/capstan-bench/capstan/replay/agent"
	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/schema"
)

// peer is a scripted server on in-memory connections. Each request is read
// whole and handed to serve, with the connection to answer on; serve says
// whether the connection stays open.
type peer struct {
	serve func(n int, body []byte, c net.Conn) (keep bool)

	mu       sync.Mutex
	requests int
	dials    int
	conns    []net.Conn
	wait     sync.WaitGroup
}

func (p *peer) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dials++
	p.conns = append(p.conns, theirs)
	p.wait.Go(func() { p.talk(theirs) })
	return ours, nil
}

func (p *peer) talk(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		p.mu.Lock()
		n := p.requests
		p.requests++
		p.mu.Unlock()
		if !p.serve(n, body, c) {
			return
		}
	}
}

func (p *peer) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
}

// bubble runs f in virtual time with a client of p, and ends everything after
// it; a goroutine that is left over fails the test.
func bubble(t *testing.T, p *peer, c agent.Config, f func(k *agent.Client)) {
	t.Helper()
	bubbleAt(t, "http://model.test", p, c, f)
}

func bubbleAt(t *testing.T, target string, p *peer, c agent.Config, f func(k *agent.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c.Target, _ = url.Parse(target)
		c.Dial = p.dial
		k, err := agent.New(c)
		if err != nil {
			t.Fatal(err)
		}
		f(k)
		k.Close()
		p.close()
		p.wait.Wait()
		time.Sleep(time.Minute) // the connection pool's janitor ends by itself
	})
}

// step is a request with a body of a few segments and both salts.
func step(output int32, marks ...float32) agent.Request {
	r := agent.Request{Output: output, Marks: marks}
	copy(r.ProbeSalt[:], "probe-salt-12345678 ")
	copy(r.PlaySalt[:], "play-salt-123456789 ")
	r.Body.Segs = [][]byte{[]byte(`{"messages":[{"role":"user","content":"`), nil, nil, []byte(`hello"}]}`)}
	for _, s := range r.Body.Segs {
		r.Body.Len += int64(len(s))
	}
	r.Body.Len += 2 * plan.SaltLen
	return r
}

const stepBody = `{"messages":[{"role":"user","content":"probe-salt-12345678 play-salt-123456789 hello"}]}`

// note is one point that was noted.
type note struct {
	At    plan.Point
	Share float32
	Time  time.Duration
}

// do runs one call and returns its sample and notes.
func do(ctx context.Context, k *agent.Client, req agent.Request) (schema.Sample, []note) {
	start := time.Now()
	clock := func() time.Duration { return time.Since(start) }
	var s schema.Sample
	var notes []note
	k.Do(ctx, clock, req, &s, func(p plan.Point, share float32, t time.Duration) {
		notes = append(notes, note{p, share, t})
	})
	return s, notes
}

const (
	streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
	lastChunk  = "0\r\n\r\n"
	doneEvent  = "data: [DONE]\n\n"
)

// chunk frames s as one HTTP chunk.
func chunk(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }

// event is one event of a stream with text as its content.
func event(text string) string {
	return fmt.Sprintf("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":%q},\"finish_reason\":null}]}\n\n", text)
}

const roleEvent = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n"
const stopEvent = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"

func usageEvent(in, cached, out int) string {
	return fmt.Sprintf("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":%d,\"prompt_tokens_details\":{\"cached_tokens\":%d}}}\n\n", in, out, cached)
}

// whole is a complete streamed answer of four tokens.
func whole() string {
	return streamHead + chunk(roleEvent) + chunk(event(" abc")) + chunk(event(" def")) + chunk(event(" ghi")) + chunk(event(" jkl")) +
		chunk(stopEvent) + chunk(usageEvent(10, 4, 4)) + chunk(doneEvent) + lastChunk
}

// fixed is a response of one piece.
func fixed(status int, contentType, body string) string {
	return fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		status, http.StatusText(status), contentType, len(body), body)
}

func send(c net.Conn, parts ...string) { io.WriteString(c, strings.Join(parts, "")) }

// us is a stamp in milliseconds, or -1.
func ms(us *int64) float64 {
	if us == nil {
		return -1
	}
	return float64(*us) / 1000
}

func str(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
