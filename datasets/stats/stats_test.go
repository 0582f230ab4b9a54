package stats_test

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/datasets/stats"
	"github.com/capstan-bench/capstan/schema"
)

var update = flag.Bool("update", false, "rewrite golden files")

// session has a root of three calls and a sub-agent of one. Items: 0 system, 1
// tools, 2 to 6 messages, of 100 bytes each.
func session() *schema.Session {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := &schema.Session{
		ID: "one",
		Trajectories: []schema.Trajectory{
			{SessionID: "one", TrajectoryID: "root"},
			{SessionID: "one", TrajectoryID: "sub", ParentTrajectoryID: ptr("root")},
		},
		ToolCalls: []schema.ToolCall{
			{SessionID: "one", TrajectoryID: "root", ToolName: ptr("read"), WallUS: ptr(int64(250_000))},
			{SessionID: "one", TrajectoryID: "root", CallIndex: 1, ToolName: ptr("task")},
		},
	}
	for i, kind := range []string{schema.KindSystem, schema.KindTools, schema.KindUser, schema.KindAssistant, schema.KindToolResult, schema.KindUser, schema.KindUser} {
		s.Items = append(s.Items, schema.Item{SessionID: "one", ItemIndex: int32(i), Kind: kind, ContentBytes: 100, ContentSHA256: fmt.Sprintf("%016x", i+1) + strings.Repeat("0", 48)})
	}
	call := func(trajectory string, index int32, trigger string, start, took, gap float64, input int64, ranges ...schema.Range) {
		c := schema.Call{SessionID: "one", TrajectoryID: trajectory, CallIndex: index, CallID: fmt.Sprint(trajectory, index), Trigger: trigger, ContextRanges: ranges}
		c.StartedAt = ptr(at.Add(time.Duration(start * float64(time.Second))))
		c.CompletedUS, c.InputTokens, c.OutputTokens = ptr(int64(took*1e6)), &input, ptr(int64(50))
		c.RequestBodyBytes = ptr(input * 4)
		if gap >= 0 {
			c.GapUS = ptr(int64(gap * 1e6))
			c.After = []schema.After{{TrajectoryID: trajectory, CallIndex: index - 1, Point: schema.PointDone, GapUS: *c.GapUS}}
		}
		for _, r := range ranges {
			c.NumContextItems += r.EndItem - r.StartItem
		}
		s.Calls = append(s.Calls, c)
	}
	// Messages come before tools in the bodies; the template puts tools behind the
	// system message.
	call("root", 0, schema.TriggerUser, 0, 2, -1, 75, rng(0, 1, 0), rng(2, 3, 0), rng(1, 2, 1))
	call("root", 1, schema.TriggerToolResult, 3, 2, 1, 125, rng(0, 1, 0), rng(2, 5, 0), rng(1, 2, 1))
	call("root", 2, schema.TriggerUser, 1005, 4, 1000, 150, rng(0, 1, 0), rng(2, 6, 0), rng(1, 2, 1))
	call("sub", 0, schema.TriggerSubagent, 5.5, 3, -1, 75, rng(0, 1, 0), rng(6, 7, 0), rng(1, 2, 1))
	return s
}

func rng(start, end, slot int32) schema.Range {
	return schema.Range{StartItem: start, EndItem: end, Slot: slot}
}

func ptr[T any](v T) *T { return &v }

func inspect(t *testing.T, sessions ...*schema.Session) stats.Summary {
	t.Helper()
	sum, err := stats.Inspect(func(yield func(*schema.Session, error) bool) {
		for _, s := range sessions {
			if !yield(s, nil) {
				return
			}
		}
	}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func TestInspect(t *testing.T) {
	sum := inspect(t, session())
	// In template order the calls share 0, 3, 5 and 2 items with what came before.
	within := (0*75 + 3.0/5*125 + 5.0/6*150 + 2.0/3*75) / (75 + 125 + 150 + 75)
	if got := *sum.IdealWithin; math.Abs(got-within) > 1e-12 {
		t.Errorf("ideal hits within sessions = %v, want %v", got, within)
	}
	if got := *sum.IdealAcross; math.Abs(got-within) > 1e-12 {
		t.Errorf("ideal hits across one session = %v, want those within it, %v", got, within)
	}
	// The root takes 2+1+2+300+4 s, all calls together 11.
	if got, want := *sum.Duty, 11.0/309; math.Abs(got-want) > 1e-12 {
		t.Errorf("duty = %v, want %v", got, want)
	}
	if sum.Sessions != 1 || sum.SubAgents != 1 || sum.Calls != 4 || sum.ToolCalls != 2 || sum.Failed != 0 || sum.LogicalBytes != 1700 {
		t.Errorf("counts = %+v", sum)
	}
	if diff := cmp.Diff(stats.Quantiles{N: 1, P50: 1000, P90: 1000, P99: 1000, Max: 1000}, sum.UserGap); diff != "" {
		t.Errorf("gaps after people (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]stats.Tool{{Name: "read", Wall: stats.Quantiles{N: 1, P50: 0.25, P90: 0.25, P99: 0.25, Max: 0.25}}}, sum.Tools); diff != "" {
		t.Errorf("tools (-want +got):\n%s", diff)
	}
}

func TestAcrossSessions(t *testing.T) {
	second := session()
	second.ID = "two"
	sum := inspect(t, session(), second)
	// The second session finds every prompt whole.
	within := *inspect(t, session()).IdealWithin
	if got, want := *sum.IdealAcross, (within+1)/2; math.Abs(got-want) > 1e-12 {
		t.Errorf("ideal hits across sessions = %v, want %v", got, want)
	}
	if got := *sum.IdealWithin; math.Abs(got-within) > 1e-12 {
		t.Errorf("ideal hits within sessions = %v, want %v", got, within)
	}
}

func TestBlocks(t *testing.T) {
	blocks := func(scope string) *schema.Session {
		s := session()
		s.Items = nil
		for i := range s.Calls {
			s.Calls[i].ContextRanges, s.Calls[i].NumContextItems = nil, 0
		}
		row := func(trajectory string, call int32, parent *int32, shared int32, input int64, ids ...int64) schema.PrefixBlocks {
			return schema.PrefixBlocks{SessionID: s.ID, TrajectoryID: trajectory, CallIndex: call, BlockSizeTokens: 10, Scope: scope,
				ParentCallIndex: parent, SharedPrefixBlocks: shared, NewBlockIDs: ids, InputTokens: input}
		}
		s.Blocks = []schema.PrefixBlocks{
			row("root", 0, nil, 0, 75, 1, 2, 3, 4, 5, 6, 7),
			row("root", 1, ptr(int32(0)), 7, 125, 8, 9, 10),
			row("root", 2, ptr(int32(1)), 5, 150, 11),
			row("sub", 0, nil, 0, 75, 1, 2, 20),
		}
		return s
	}
	within := (0*75 + 70.0/125*125 + 50.0/150*150 + 20.0/75*75) / 425
	f := func(scope string, across float64) {
		t.Helper()
		second := blocks(scope)
		second.ID = "two"
		sum := inspect(t, blocks(scope), second)
		if got := *sum.IdealWithin; math.Abs(got-within) > 1e-12 {
			t.Errorf("%s: ideal hits within sessions = %v, want %v", scope, got, within)
		}
		if got := *sum.IdealAcross; math.Abs(got-across) > 1e-12 {
			t.Errorf("%s: ideal hits across sessions = %v, want %v", scope, got, across)
		}
	}
	f(schema.ScopeSession, within)
	// Tokens that fill no block are never found again: all of 75 but 70, and so on.
	whole := (70.0 + 100 + 60 + 30) / 425
	f(schema.ScopeDataset, (within+whole)/2)
}

func TestDamagedSessions(t *testing.T) {
	f := func(want string, spoil func(*schema.Session)) {
		t.Helper()
		s := session()
		spoil(s)
		if _, err := stats.NewTimeline(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
	}
	f("lies outside", func(s *schema.Session) { s.Calls[1].ContextRanges[0].EndItem = 99 })
	f("is no hash", func(s *schema.Session) { s.Items[2].ContentSHA256 = "what" })
	f("parent's blocks", func(s *schema.Session) {
		s.Blocks = []schema.PrefixBlocks{{TrajectoryID: "root", CallIndex: 1, ParentCallIndex: ptr(int32(7)), SharedPrefixBlocks: 3}}
	})
}

func TestGolden(t *testing.T) {
	s := session()
	s.Trajectories[1].TrajectoryID, s.Calls[3].TrajectoryID = "sub\x1b[31m", "sub\x1b[31m"
	timeline, err := stats.NewTimeline(s)
	if err != nil {
		t.Fatal(err)
	}
	sum := inspect(t, s)
	var got bytes.Buffer
	if err := sum.Text(&got); err != nil {
		t.Fatal(err)
	}
	got.WriteString("----\n")
	if err := timeline.Text(&got); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "golden.txt")
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}
