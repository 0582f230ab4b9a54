package assemble_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/capstan-bench/capstan/datasets"
	"github.com/capstan-bench/capstan/proxy/assemble"
	"github.com/capstan-bench/capstan/proxy/journal"
	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/fold"
)

func fromFile(t testing.TB, name string) []*journal.Exchange {
	t.Helper()
	a, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	return recording(t, a)
}

// bytesPer counts tokens in a way that depends on nothing.
func bytesPer(b []byte) int { return (len(b) + 3) / 4 }

// TestPackedDatasets: what is assembled can be written and verified.
func TestPackedDatasets(t *testing.T) {
	paths, _ := filepath.Glob("testdata/*.txtar")
	var all []*journal.Exchange
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".txtar")
		for _, x := range fromFile(t, name) {
			if x.Flow.Session == "" {
				x.Flow.Session = name
			}
			all = append(all, x)
		}
	}
	dir := filepath.Join(t.TempDir(), "dataset")
	w, err := datasets.Create(dir, datasets.Card{})
	if err != nil {
		t.Fatal(err)
	}
	sessions, report := pack(t, all, assemble.Config{Count: bytesPer, Tokenizer: "bytes/4"})
	sound(t, sessions, report)
	for _, s := range sessions {
		if err := w.Add(s); err != nil {
			t.Error(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := datasets.Verify(dir)
	if err != nil || !r.OK() || r.Calls != report.Calls || r.Bodies != report.Calls-1 { // one request was empty
		t.Errorf("verify: %v, report %+v of %+v", err, r, report)
	}
}

func TestPackedSessionsReplay(t *testing.T) {
	// The calls that failed without an answer are not sent again.
	for name, calls := range map[string]int{"pi": 9, "opencode": 7, "qwen": 5} {
		sessions, _ := pack(t, fromFile(t, name), assemble.Config{Count: bytesPer, Tokenizer: "bytes/4"})
		p, err := plan.Build(t.Context(), each(sessions), plan.Config{Model: "m"})
		if err != nil {
			t.Errorf("%s: plan: %v", name, err)
			continue
		}
		if p.Calls() != calls || p.Sessions() != len(sessions) {
			t.Errorf("%s: the plan has %d calls of %d sessions, want %d of %d", name, p.Calls(), p.Sessions(), calls, len(sessions))
		}
	}
}

// TestReplayKeepsTime: played on a system that answers exactly as the recorded one
// did, every call is due when it was recorded.
func TestReplayKeepsTime(t *testing.T) {
	for _, m := range makeSessions(t, 7, 8) {
		sessions, _ := pack(t, m.out, assemble.Config{})
		checkSchedule(t, sessions[0])
	}
	for _, name := range []string{"claude", "codex-socket", "codex-http", "opencode", "qwen", "pi", "gemini", "copilot"} {
		sessions, _ := pack(t, fromFile(t, name), assemble.Config{})
		for _, s := range sessions {
			checkSchedule(t, s)
		}
	}
}

// checkSchedule computes from the causes alone when calls are due.
func checkSchedule(t *testing.T, s *schema.Session) {
	t.Helper()
	type key struct {
		trajectory string
		call       int32
	}
	byName := map[key][]*schema.Call{}
	from := *s.Calls[0].StartedAt
	for i := range s.Calls {
		c := &s.Calls[i]
		k := key{c.TrajectoryID, c.CallIndex}
		byName[k] = append(byName[k], c)
		if c.StartedAt.Before(from) {
			from = *c.StartedAt
		}
	}
	for i := range s.Calls {
		c := &s.Calls[i]
		due := time.Duration(0)
		for _, a := range c.After {
			at := time.Duration(0)
			if a.Point != schema.PointStart {
				attempts := byName[key{a.TrajectoryID, a.CallIndex}]
				p := attempts[len(attempts)-1]
				if p.TrajectoryID == c.TrajectoryID && p.CallIndex == c.CallIndex {
					p = attempts[c.Attempt-1]
				}
				at = p.StartedAt.Sub(from) + point(p, a)
			}
			due = max(due, at+time.Duration(a.GapUS)*time.Microsecond)
		}
		if got := c.StartedAt.Sub(from); got != due {
			t.Errorf("session %s call %s: due at %v by its causes %+v, began at %v", s.ID, c.CallID, due, c.After, got)
		}
	}
}

// point is when a point of a call came, since its start.
func point(c *schema.Call, a schema.After) time.Duration {
	us := int64(0)
	switch a.Point {
	case schema.PointSent:
		us = *c.RequestSentUS
	case schema.PointDone:
		us = *c.CompletedUS
	case schema.PointToken:
		had, all := 0, 0
		for _, n := range c.ChunkBytes {
			all += int(n)
		}
		for i, n := range c.ChunkBytes {
			if had += int(n); float32(float64(had)/float64(all)) >= a.Share {
				us = c.ChunkOffsetsUS[i]
				break
			}
		}
	}
	return time.Duration(us) * time.Microsecond
}

// TestKeep: only the sessions that are asked for are built, the rest is counted.
func TestKeep(t *testing.T) {
	sessions, r := pack(t, fromFile(t, "sessions"), assemble.Config{Keep: func(id, tag string) bool { return tag == "alice" }})
	sound(t, sessions, r)
	if len(sessions) != 2 || r.Sessions != 2 || r.Calls != 4 || r.Unselected != 3 {
		t.Errorf("%d sessions, report %+v", len(sessions), r)
	}
}

// failing is a spool on a full disk.
type failing struct{ memory }

var errFull = errors.New("no space left")

func (f *failing) Write([]byte) (int, error) { return 0, errFull }

func TestSpoolFails(t *testing.T) {
	a := assemble.New(&failing{}, assemble.Config{})
	var err error
	for _, x := range fromFile(t, "pi") {
		err = errors.Join(err, a.Add(x))
	}
	for _, e := range a.Sessions() {
		err = errors.Join(err, e)
	}
	if !errors.Is(err, errFull) {
		t.Errorf("error %v, want the spool's", err)
	}
}

// TestSpoolLies: bytes that come back changed are an error, not a dataset.
func TestSpoolLies(t *testing.T) {
	m := &memory{}
	a := assemble.New(m, assemble.Config{})
	for _, x := range fromFile(t, "pi") {
		if err := a.Add(x); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	n := 0
	for _, e := range a.Sessions() {
		if n++; n == 1 {
			for i := range m.b {
				if m.b[i] == 'F' {
					m.b[i] = 'f'
				}
			}
		}
		err = errors.Join(err, e)
	}
	if err == nil {
		t.Error("no error")
	}
}

// file is a spool on disk.
func file(t testing.TB) *os.File {
	f, err := os.Create(filepath.Join(t.TempDir(), "spool"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestMemory: what is held between the passes grows with what is new in the
// recording, not with the bytes that went over the wire.
func TestMemory(t *testing.T) {
	const sessions, turns, size = 12, 40, 4 << 10
	a := assemble.New(file(t), assemble.Config{})
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before, wire := heap(), int64(0)
	for s := range sessions {
		m := &maker{t: t, style: styles[1], name: fmt.Sprint("s", s), truth: map[string]string{}}
		root := &agent{name: "main"}
		for i := range turns {
			m.user(root, strings.Repeat(fmt.Sprintf("%d %d ", s, i), size/8))
			x := &journal.Exchange{Finished: true, Flow: journal.Flow{ID: m.id("x"), Started: epoch.Add(time.Duration(i) * time.Second)}}
			x.Request.Heads = []journal.HeadAt{{Head: journal.Head{Line: "POST /v1/messages HTTP/1.1", Fields: m.fields(root)}}}
			read(&x.Request, 0, m.body(root))
			wire += int64(len(x.Request.Body))
			if err := a.Add(x); err != nil {
				t.Fatal(err)
			}
		}
	}
	unique := int64(sessions * turns * size)
	if held := heap() - before; held > unique/2+2<<20 {
		t.Errorf("%d KiB are held after %d MiB of bodies with %d KiB of new text", held>>10, wire>>20, unique>>10)
	}
	most, n := int64(0), 0
	for s, err := range a.Sessions() {
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Calls) != turns {
			t.Errorf("session %s has %d calls", s.ID, len(s.Calls))
		}
		most, n = max(most, heap()-before), n+1
	}
	if n != sessions || most > unique/2+4*turns*size+4<<20 {
		t.Errorf("%d sessions; %d KiB were held at most while they were built", n, most>>10)
	}
}

// TestMarks: an element is told to be the same one whatever marks it wears, and a
// text the same as the one part that holds it.
func TestMarks(t *testing.T) {
	f := func(want bool, a, b string) {
		t.Helper()
		x, y := assemble.Canonical([]byte(a)), assemble.Canonical([]byte(b))
		if got := string(x) == string(y); got != want {
			t.Errorf("Canonical(%s) = %s, Canonical(%s) = %s, want equal %v", a, x, b, y, want)
		}
	}
	f(true, `{"role":"user","content":"x"}`, `{"content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}],"role":"user"}`)
	f(true, `{"role":"user","content":[{"type":"text","text":"\u0078"}]}`, `{"role":"user","content":"x"}`)
	f(true, `{"content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"r"}]}]}`, `{"content":[{"type":"tool_result","tool_use_id":"t","content":"r","cache_control":{}}]}`)
	f(false, `{"role":"user","content":"x"}`, `{"role":"assistant","content":"x"}`)
	f(false, `{"role":"user","content":[{"type":"text","text":"x"},{"type":"text","text":"y"}]}`, `{"role":"user","content":"xy"}`)
	f(false, `{"n":9007199254740993}`, `{"n":9007199254740992}`)
	f(false, `{"content":[{"type":"tool_use","input":{"cache_control":1}}]}`, `{"content":[{"type":"tool_use","input":{}}]}`)
	f(false, `{`, `{"a`)
}

// TestIdentities reads what requests say about themselves.
func TestIdentities(t *testing.T) {
	f := func(header, body, want string) {
		t.Helper()
		if got := assemble.Identify(header, body); got != want {
			t.Errorf("Identify(%q, %s) = %s, want %s", header, body, got, want)
		}
	}
	long := strings.Repeat("ä", 300)
	f("", "{}", "session= lane= above= sub=false role=unknown")
	f("X-Session-Id: a\nX-Claude-Code-Session-Id: b", "{}", "session=b lane=main above= sub=false role=unknown")
	f("X-Session-Id: a\x00b\u202ec", "{}", "session=abc lane= above= sub=false role=unknown")
	f("Agent-Session-Id: 20261125_1", "{}", "session=20261125_1 lane= above= sub=false role=unknown")
	f("X-Claude-Code-Session-Id: b\nX-Claude-Code-Agent-Id: c\nX-Claude-Code-Parent-Agent-Id: d", "{}", "session=b lane=c above=d sub=true role=unknown")
	f("X-Claude-Code-Session-Id: b\nX-Claude-1p-Request-Class: summary-extraction", "{}", "session=b lane=main above= sub=false role=compaction")
	f("X-Claude-Code-Session-Id: [not kept: 5 bytes, 00]", `{"prompt_cache_key":"short"}`, "session= lane= above= sub=false role=unknown")
	f("Session-Id: a\nThread-Id: a", "{}", "session=a lane=a above= sub=false role=unknown")
	f("Session-Id: a\nThread-Id: b\nX-Openai-Subagent: review", "{}", "session=a lane=b above=a sub=true role=unknown")
	f("Session-Id: a", `{"client_metadata":{"thread_id":"b","session_id":"a","x-codex-turn-metadata":"{\"request_kind\":\"prewarm\"}"}}`, "session=a lane=b above= sub=false role=prewarm")
	f("", `{"metadata":{"user_id":"user_1_account_2_session_3"}}`, "session=3 lane= above= sub=false role=unknown")
	f("", `{"metadata":{"sessionId":"a","promptId":"a########2/automatic/7"}}`, "session=a lane=main above= sub=false role=unknown")
	f("", `{"metadata":{"sessionId":"a","promptId":"a#kind-call_1#0"}}`, "session=a lane=kind-call_1 above=main sub=true role=unknown")
	f("", `{"user_prompt_id":"a########0"}`, "session=a lane=main above= sub=false role=unknown")
	f("", `{"session_id":"a","user_prompt_id":"agent#3"}`, "session=a lane=agent above=main sub=true role=unknown")
	f("", `{"prompt_cache_key":"guardian:0123456789abcdef"}`, "session=0123456789abcdef lane= above= sub=false role=unknown")
	f("X-Session-Id: c\nX-Session-Affinity: c\nX-Parent-Session-Id: p", "{}", "session=c lane=c above=p sub=true role=unknown")
	if got := assemble.Identify("X-Session-Id: "+long, "{}"); len(got) > 300 || cmp.Equal(got, assemble.Identify("X-Session-Id: "+long+"x", "{}")) {
		t.Errorf("a long id: %s", got)
	}
}

// TestWholeRequests: what went on from an answer by its id is kept as the request
// that says the same by itself.
func TestWholeRequests(t *testing.T) {
	sessions, _ := pack(t, fromFile(t, "codex-socket"), assemble.Config{})
	want := map[string][2]string{ // how bodies begin and end
		"text1": {`{"model":"big","input":"What does main do?","tools":[{"type":"function","name":"shell","parameters":{}}],"stream":true}`, ``},
		"text2": {`{"model":"big","input":[{"type":"message","role":"user","content":"What does main do?"},{"id":"msg_`,
			`,{"type":"message","role":"user","content":"And init?"}],"tools":[{"type":"function","name":"shell","parameters":{}}],"stream":true}`},
		"lost": {`{"type":"response.create","model":"big","previous_response_id":"resp_unknown","input":[`, ``},
	}
	for _, s := range sessions {
		for i := range s.Calls {
			c := &s.Calls[i]
			body, err := fold.Body(nil, s, c)
			if err != nil {
				t.Fatal(err)
			}
			if w := want[c.CallID]; !strings.HasPrefix(string(body), w[0]) || !strings.HasSuffix(string(body), w[1]) {
				t.Errorf("call %s: body %s, want %s … %s", c.CallID, body, w[0], w[1])
			}
			delete(want, c.CallID)
		}
	}
	if len(want) > 0 {
		t.Errorf("not found: %v", want)
	}
}
