package replay_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"log"
	"math/rand/v2"
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
	"github.com/capstan-bench/capstan/schema/fold"
	"github.com/capstan-bench/capstan/schema/wire"
)

func ptr[T any](v T) *T { return &v }

// recorder writes made-up sessions down as a recorder would.
type recorder struct {
	t    testing.TB
	rand *rand.Rand
	fold *fold.Folder
}

// lane is a conversation that grows call by call.
type lane struct {
	name     string
	messages []string
	calls    int32
}

func (r *recorder) words(n int) string {
	var b strings.Builder
	for range n {
		fmt.Fprintf(&b, " %s", []string{"func", "return", "file", "test", "error", "read"}[r.rand.IntN(6)])
	}
	return b.String()
}

func (r *recorder) lane(name, system string) *lane {
	return &lane{name: name, messages: []string{message("system", system), message("user", r.words(30))}}
}

func message(role, text string) string {
	return fmt.Sprintf(`{"role":%q,"content":%q}`, role, text)
}

// call records the lane's next call, with a tool's result behind it.
func (r *recorder) call(l *lane, output int64, after ...schema.After) {
	r.t.Helper()
	body := []byte(`{"messages":[` + strings.Join(l.messages, ",") + `],"model":"recorded","stream":true}`)
	layout, err := wire.Split(wire.FormatChat, body)
	if err != nil {
		r.t.Fatal(err)
	}
	answer := message("assistant", r.words(int(output)))
	c := schema.Call{
		CallID: fmt.Sprintf("%s-%d", l.name, l.calls), CallIndex: l.calls, Trigger: schema.TriggerToolResult, Purpose: schema.PurposeMain,
		After: after, APIFormat: schema.FormatChat, HTTPStatus: ptr[int32](200), InputTokens: ptr(int64(len(body) / 4)),
		OutputTokens: ptr(output), CompletedUS: ptr(output * 10_000), LastTokenUS: ptr(output * 10_000), FirstTokenUS: ptr[int64](10_000),
	}
	if err := r.fold.Call(l.name, c, layout, body, [][]byte{[]byte(answer)}); err != nil {
		r.t.Fatal(err)
	}
	l.calls++
	l.messages = append(l.messages, answer, message("user", "result:"+r.words(20+r.rand.IntN(100))))
}

// done is the end of a lane's latest call as a cause. Gaps are odd counts of
// microseconds, so that two calls are hardly ever due at once.
func (r *recorder) done(l *lane, gap time.Duration) schema.After {
	return schema.After{TrajectoryID: l.name, CallIndex: l.calls - 1, Point: schema.PointDone,
		GapUS: gap.Microseconds() + int64(r.rand.IntN(100_000))}
}

// session is a root conversation whose third call starts a sub-agent half-way
// through its answer and whose fourth waits for it.
func session(t testing.TB, seed uint64) *schema.Session {
	id := fmt.Sprintf("s%d", seed)
	r := &recorder{t: t, rand: rand.New(rand.NewPCG(seed, 1)), fold: fold.New(id)}
	root := r.lane("root", "You are a careful agent."+strings.Repeat(" Use the tools.", 20))
	sub := r.lane("sub", "You are a helper."+strings.Repeat(" Be brief.", 20))
	r.fold.Trajectory(schema.Trajectory{TrajectoryID: "root", ContentTier: schema.TierFull})
	r.fold.Trajectory(schema.Trajectory{TrajectoryID: "sub", ContentTier: schema.TierFull, ParentTrajectoryID: ptr("root"), SpawnedByCallIndex: ptr[int32](2)})
	output := func() int64 { return 10 + int64(r.rand.IntN(50)) }

	r.call(root, output(), schema.After{Point: schema.PointStart})
	r.call(root, output(), r.done(root, 200*time.Millisecond))
	r.call(root, output(), r.done(root, 300*time.Millisecond))
	r.call(sub, output(), schema.After{TrajectoryID: "root", CallIndex: 2, Point: schema.PointToken, Share: 0.5, GapUS: int64(r.rand.IntN(1000))})
	r.call(sub, output(), r.done(sub, 150*time.Millisecond))
	r.call(root, output(), r.done(root, 50*time.Millisecond), r.done(sub, 70*time.Millisecond))
	for range 3 {
		r.call(root, output(), r.done(root, 100*time.Millisecond))
	}
	return r.fold.Session()
}

// newPlan is a plan of n sessions.
func newPlan(t testing.TB, n int, c plan.Config) *plan.Plan {
	t.Helper()
	c.Model = "m"
	var sessions iter.Seq2[*schema.Session, error] = func(yield func(*schema.Session, error) bool) {
		for i := range n {
			if !yield(session(t, uint64(i+1)), nil) {
				return
			}
		}
	}
	p, err := plan.Build(context.Background(), sessions, c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// listener hands out in-memory connections.
type listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newListener() *listener {
	return &listener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *listener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// client is a client that dials l.
func (l *listener) client(t testing.TB) *agent.Client {
	t.Helper()
	target, _ := url.Parse("http://model.test")
	k, err := agent.New(agent.Config{Target: target, Dial: l.dial, TTFTTimeout: time.Minute, IdleTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// bubble runs f in virtual time against handlers, one for each client. A
// goroutine that is left over fails the test.
func bubble(t *testing.T, handlers []http.Handler, f func(t *testing.T, clients []*agent.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var clients []*agent.Client
		var servers []*http.Server
		var wait sync.WaitGroup
		for _, h := range handlers {
			l := newListener()
			srv := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
			if m, ok := h.(*model); ok {
				srv.IdleTimeout = m.keep
			}
			wait.Go(func() { srv.Serve(l) })
			servers = append(servers, srv)
			clients = append(clients, l.client(t))
		}
		f(t, clients)
		for i := range clients {
			clients[i].Close()
			servers[i].Close()
		}
		wait.Wait()
		time.Sleep(time.Minute) // the connection pools' janitors end by themselves
	})
}

// model answers like a model that takes first until its first token and every
// for each further one, whatever else it has to do.
type model struct {
	first, every time.Duration
	keep         time.Duration // how long idle connections are kept; 0: for good

	mu    sync.Mutex
	calls int
	fail  func(n int, w http.ResponseWriter) bool // serves the nth call if it returns true
}

func (m *model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q struct {
		MaxTokens int `json:"max_tokens"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	m.mu.Lock()
	n := m.calls
	m.calls++
	m.mu.Unlock()
	if m.fail != nil && m.fail(n, w) {
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for i := range q.MaxTokens {
		if i == 0 {
			time.Sleep(m.first)
		} else {
			time.Sleep(m.every)
		}
		fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" abc\"},\"finish_reason\":null}]}\n\n")
		w.(http.Flusher).Flush()
	}
	fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\n\n")
	fmt.Fprintf(w, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":%d}}\n\ndata: [DONE]\n\n", q.MaxTokens)
}
