package plan_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/fold"
	"github.com/capstan-bench/capstan/schema/wire"
)

func ptr[T any](v T) *T { return &v }

// call is a recorded call of a test's session.
type call struct {
	lane     string // trajectory; "" is the root
	attempt  int32
	purpose  string
	messages []string // JSON
	tools    []string // JSON
	more     string   // further members, with a leading comma
	in, out  int64    // out 0: unknown
	took     time.Duration
	first    time.Duration
	gap      time.Duration
	after    []schema.After
	failed   string
}

func msg(role, text string) string {
	quoted, _ := json.Marshal(text)
	return fmt.Sprintf(`{"role":%q,"content":%s}`, role, quoted)
}

func tool(name string) string {
	return fmt.Sprintf(`{"type":"function","function":{"name":%q,"parameters":{}}}`, name)
}

func on(lane string, index int32, point string, gap time.Duration) schema.After {
	return schema.After{TrajectoryID: lane, CallIndex: index, Point: point, GapUS: gap.Microseconds()}
}

func onToken(lane string, index int32, share float32, gap time.Duration) schema.After {
	a := on(lane, index, schema.PointToken, gap)
	a.Share = share
	return a
}

// bodyOf is the recorded body of a call.
func (c *call) body() string {
	b := `{ "model": "recorded", "messages": [` + strings.Join(c.messages, ", ") + `]`
	if len(c.tools) > 0 {
		b += `, "tools": [` + strings.Join(c.tools, ",\n") + `]`
	}
	return b + c.more + `, "stream": false, "max_tokens": 77 }`
}

// row is the call's row without its context.
func (c *call) row(index int32) schema.Call {
	row := schema.Call{
		CallID: fmt.Sprintf("%s-%d-%d", c.lane, index, c.attempt), CallIndex: index, Attempt: c.attempt,
		Purpose: c.purpose, APIFormat: schema.FormatChat, After: c.after,
		GapUS: ptr(c.gap.Microseconds()), CompletedUS: ptr(c.took.Microseconds()), FirstTokenUS: ptr(c.first.Microseconds()),
	}
	if c.purpose == "" {
		row.Purpose = schema.PurposeMain
	}
	if c.in > 0 {
		row.InputTokens = &c.in
	}
	if c.out > 0 {
		row.OutputTokens = &c.out
	}
	if c.failed != "" {
		row.ErrorType, row.OutputTokens = &c.failed, nil
	}
	return row
}

// session folds calls to a session. Calls of a lane are numbered from 0; another
// attempt keeps the number.
func session(t testing.TB, id string, calls ...call) *schema.Session {
	t.Helper()
	f := fold.New(id)
	f.Trajectory(schema.Trajectory{TrajectoryID: "root", ContentTier: schema.TierFull})
	next := map[string]int32{}
	for _, c := range calls {
		lane := c.lane
		if lane == "" {
			lane = "root"
		}
		if c.attempt > 0 {
			next[lane]--
		}
		body := []byte(c.body())
		l, err := wire.Split(schema.FormatChat, body)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Call(lane, c.row(next[lane]), l, body, nil); err != nil {
			t.Fatal(err)
		}
		next[lane]++
	}
	return f.Session()
}

func seq(sessions ...*schema.Session) iter.Seq2[*schema.Session, error] {
	return func(yield func(*schema.Session, error) bool) {
		for _, s := range sessions {
			if !yield(s, nil) {
				return
			}
		}
	}
}

func build(t testing.TB, cfg plan.Config, sessions ...*schema.Session) *plan.Plan {
	t.Helper()
	if cfg.Model == "" {
		cfg.Model = "m"
	}
	p, err := plan.Build(context.Background(), seq(sessions...), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// whole is the plan's script that plays a session from its beginning.
func whole(t testing.TB, p *plan.Plan, session string) *plan.Script {
	t.Helper()
	pop := p.Population(1, 1)
	for n := 1; n <= p.Sessions(); n++ {
		if s, _ := pop.Play(0, n); s.Session == session {
			return s
		}
	}
	t.Fatalf("no play of session %q", session)
	return nil
}

// sentBody is a body as it goes over the wire.
func sentBody(b plan.Body, probe, play string) string {
	out := ""
	salts := []string{probe, play}
	for _, seg := range b.Segs {
		if seg == nil {
			out += salts[0]
			salts = salts[1:]
			continue
		}
		out += string(seg)
	}
	return out
}

const probeSalt, playSalt = "probesaltprobesalt12", "playsaltplaysaltplay"

// chatBody is a body decoded.
type chatBody struct {
	Messages []map[string]any
	Tools    []map[string]any
}

func decode(t testing.TB, body string) chatBody {
	t.Helper()
	var b chatBody
	if err := json.Unmarshal([]byte(body), &b); err != nil {
		t.Fatalf("decode body: %v\n%.300s", err, body)
	}
	return b
}
