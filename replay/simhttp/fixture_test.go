package simhttp_test

import (
	"bufio"
	"context"
	"encoding/json"
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
	"github.com/capstan-bench/capstan/replay/sim"
	"github.com/capstan-bench/capstan/replay/simhttp"
	"github.com/capstan-bench/capstan/schema"
)

// quick is an engine whose times can be told by head: a byte of prompt is a
// token, an iteration takes 10 ms, a token of a prompt 100 µs more.
func quick() sim.Params {
	return sim.Params{
		Name: "quick", BytesPerToken: 1, StepUS: 10_000, PrefillUS: 100,
		KVTokens: 100_000, BlockTokens: 16, MaxBatch: 4, BatchTokens: 8000, MaxContext: 4096,
	}
}

// message is a message of so many bytes, told apart by its letter.
func message(role, letter string, size int) string {
	m := `{"role":"` + role + `","content":""}`
	return m[:len(m)-2] + strings.Repeat(letter, size-len(m)) + `"}`
}

// request is a body with these messages and members.
func request(members string, messages ...string) string {
	if members != "" {
		members = "," + members
	}
	return `{"messages":[` + strings.Join(messages, ",") + `],"model":"m"` + members + `}`
}

// pipes is a listener of in-memory connections.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// world is a served engine and a client of it, in virtual time.
type world struct {
	t      *testing.T
	server *simhttp.Server
	client *http.Client
	pipes  *pipes
	start  time.Time
}

// bubble runs f in virtual time against a served engine. A goroutine that is left
// over when all has ended fails the test.
func bubble(t *testing.T, params sim.Params, fault func(*http.Request) simhttp.Fault, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		server, err := simhttp.New(params)
		if err != nil {
			t.Fatal(err)
		}
		server.Fault = fault
		p := newPipes()
		transport := &http.Transport{DialContext: p.dial}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		w := &world{t: t, server: server, client: &http.Client{Transport: transport}, pipes: p, start: time.Now()}
		go func() { ended <- server.Serve(ctx, p) }()
		f(w)
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve() = %v, want nil when its context ended", err)
		}
		transport.CloseIdleConnections()
	})
}

// post sends a completion request and returns its response.
func (w *world) post(ctx context.Context, body string) *http.Response {
	w.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://model.test/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	response, err := w.client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	return response
}

// get reads a page.
func (w *world) get(path string) (status int, kind, text string) {
	w.t.Helper()
	response, err := w.client.Get("http://model.test" + path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response.StatusCode, response.Header.Get("Content-Type"), string(b)
}

// usage is what an answer says of its tokens.
type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
	Details    struct {
		Cached int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
}

// event is an event of a stream, or a plain answer.
type event struct {
	at     time.Duration // since the world's start
	Object string
	Model  string
	Usage  *usage
	Choice []struct {
		Delta   struct{ Role, Content string }
		Message struct{ Role, Content string }
		Finish  *string `json:"finish_reason"`
	} `json:"choices"`
	done bool
}

// tokens counts the filler in an event.
func (e event) tokens() (n int) {
	for _, c := range e.Choice {
		n += strings.Count(c.Delta.Content+c.Message.Content, "tok")
	}
	return n
}

// next reads one event; ok is false at the stream's end.
func (w *world) next(r *bufio.Reader) (e event, ok bool) {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return event{}, false
		}
		text, found := strings.CutPrefix(strings.TrimSpace(line), "data: ")
		if !found {
			continue
		}
		e.at = time.Since(w.start)
		if e.done = text == "[DONE]"; !e.done {
			if err := json.Unmarshal([]byte(text), &e); err != nil {
				w.t.Errorf("event %q: %v", text, err)
			}
		}
		return e, true
	}
}

// stream sends a request and reads its whole stream.
func (w *world) stream(body string) (all []event) {
	w.t.Helper()
	response := w.post(w.t.Context(), body)
	defer response.Body.Close()
	if kind := response.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
		w.t.Fatalf("post(%.200s) = content of type %q, want a stream", body, kind)
	}
	r := bufio.NewReader(response.Body)
	for e, ok := w.next(r); ok; e, ok = w.next(r) {
		all = append(all, e)
	}
	return all
}

// plain sends a request and reads its plain answer.
func (w *world) plain(body string) event {
	w.t.Helper()
	response := w.post(w.t.Context(), body)
	defer response.Body.Close()
	var e event
	if err := json.NewDecoder(response.Body).Decode(&e); err != nil || response.StatusCode != http.StatusOK {
		w.t.Fatalf("post(%.200s) = %d, %v, want an answer", body, response.StatusCode, err)
	}
	e.at = time.Since(w.start)
	return e
}

// token is when how many tokens had come.
type token struct {
	At    time.Duration
	Count int
}

func tokens(all []event) (got []token) {
	n := 0
	for _, e := range all {
		if k := e.tokens(); k > 0 {
			n += k
			got = append(got, token{e.at, n})
		}
	}
	return got
}

// sample has an agent's client send a body, and returns what it measured.
func sample(t *testing.T, target string, config agent.Config, body string) (s schema.Sample) {
	t.Helper()
	config.Target, _ = url.Parse(target)
	client, err := agent.New(config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	start := time.Now()
	request := agent.Request{Body: plan.Body{Segs: [][]byte{[]byte(body)}, Len: int64(len(body))}}
	client.Do(t.Context(), func() time.Duration { return time.Since(start) }, request, &s, func(plan.Point, float32, time.Duration) {})
	return s
}

// verdict words a sample's failure.
func verdict(s schema.Sample) string {
	if s.Error == nil {
		return "fine"
	}
	return fmt.Sprintf("%s: %s", *s.Error, *s.ErrorText)
}
