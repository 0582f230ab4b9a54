package datasets_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/datasets"
	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/bundle"
	"github.com/capstan-bench/capstan/schema/fold"
	"github.com/capstan-bench/capstan/schema/wire"
)

func ptr[T any](v T) *T { return &v }

// session makes a session with a root of three calls, a sub-agent of one, a tool
// call and token blocks. All sessions share a system prompt; those of equal topic
// also share their first message.
func session(t testing.TB, id, topic string) *schema.Session {
	t.Helper()
	f := fold.New(id)
	f.Trajectory(schema.Trajectory{TrajectoryID: "root", ContentTier: schema.TierFull, SourceKind: schema.SourceProxy,
		NumToolCalls: 1, NumSubagents: ptr(int32(1)), TotalInputTokens: ptr(int64(600)), Models: []string{"m"}})
	f.Trajectory(schema.Trajectory{TrajectoryID: "sub", ParentTrajectoryID: ptr("root"), SpawnedByCallIndex: ptr(int32(0)),
		ContentTier: schema.TierFull, SourceKind: schema.SourceProxy})
	start := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	messages := []string{`{"role":"system","content":"be brief"}`}
	call := func(lane string, index int32, at float64, after ...schema.After) {
		messages = append(messages, fmt.Sprintf(`{"role":"user","content":"%s %s %d"}`, topic, lane, index))
		body := `{"model":"m","messages":[`
		for i, m := range messages {
			if i > 0 {
				body += ","
			}
			body += m
		}
		body += `],"tools":[{"type":"function","function":{"name":"read"}}]}`
		l, err := wire.Split(wire.FormatChat, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		answer := fmt.Sprintf(`{"role":"assistant","content":"answer of %s to %s %d"}`, id, lane, index)
		c := schema.Call{
			CallID: fmt.Sprintf("%s/%s/%d", id, lane, index), CallIndex: index, After: after,
			Trigger: schema.TriggerUser, Purpose: schema.PurposeMain, APIFormat: schema.FormatChat,
			StartedAt: ptr(start.Add(time.Duration(at * float64(time.Second)))), CompletedUS: ptr(int64(1e6)),
			InputTokens: ptr(int64(200)), OutputTokens: ptr(int64(10)),
		}
		if err := f.Call(lane, c, l, []byte(body), [][]byte{[]byte(answer)}); err != nil {
			t.Fatal(err)
		}
		messages = append(messages, answer)
	}
	done := func(lane string, index int32) schema.After {
		return schema.After{TrajectoryID: lane, CallIndex: index, Point: schema.PointDone, GapUS: 1e6}
	}
	call("root", 0, 0)
	call("sub", 0, 2, done("root", 0))
	call("root", 1, 4, done("root", 0), done("sub", 0))
	call("root", 2, 6, done("root", 1))
	s := f.Session()
	s.ToolCalls = []schema.ToolCall{{
		SessionID: id, TrajectoryID: "root", CallIndex: 0, ToolName: ptr("read"), TimingSource: schema.TimingImport,
		ArgumentsItem: ptr(int32(2)), ResultItem: ptr(int32(3)), ResultCallIndex: ptr(int32(1)),
	}}
	block := func(lane string, index int32, parent *int32, shared int32, ids ...int64) {
		b := schema.PrefixBlocks{SessionID: id, TrajectoryID: lane, CallIndex: index, BlockSizeTokens: 50, Tokenizer: "bytes/4",
			Scope: schema.ScopeSession, SharedPrefixBlocks: shared, NewBlockIDs: ids, InputTokens: 200}
		if parent != nil {
			b.ParentTrajectoryID, b.ParentCallIndex = ptr("root"), parent
		}
		s.Blocks = append(s.Blocks, b)
	}
	block("root", 0, nil, 0, 1, 2)
	block("root", 1, ptr(int32(0)), 2, 3)
	block("sub", 0, ptr(int32(0)), 1)
	return s
}

// create writes a dataset with a Writer.
func create(t testing.TB, sessions ...*schema.Session) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "dataset")
	w, err := datasets.Create(dir, datasets.Card{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, s := range sessions {
		if err := w.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// rows are tables as somebody else may have written them.
type rows struct {
	trajectories []schema.Trajectory
	calls        []schema.Call
	toolCalls    []schema.ToolCall
	items        []schema.Item
	blobs        []schema.Blob
	blocks       []schema.PrefixBlocks
	attributes   map[string]string
}

// rowsOf returns the tables of sessions.
func rowsOf(sessions ...*schema.Session) *rows {
	r := &rows{attributes: map[string]string{}}
	seen := map[string]bool{}
	blob := func(s *schema.Session, sum string) {
		if b, ok := s.Blobs[sum]; ok && !seen[sum] {
			seen[sum] = true
			r.blobs = append(r.blobs, b)
		}
	}
	for _, s := range sessions {
		r.trajectories = append(r.trajectories, s.Trajectories...)
		r.calls = append(r.calls, s.Calls...)
		r.toolCalls = append(r.toolCalls, s.ToolCalls...)
		r.items = append(r.items, s.Items...)
		r.blocks = append(r.blocks, s.Blocks...)
		for i := range s.Items {
			blob(s, s.Items[i].ContentSHA256)
		}
		for i := range s.Calls {
			blob(s, *s.Calls[i].EnvelopeSHA256)
		}
	}
	return r
}

// write writes the tables with a true manifest but without any other check.
func (r *rows) write(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "dataset")
	w, err := bundle.Create(dir, datasets.Kind)
	if err != nil {
		t.Fatal(err)
	}
	table(t, w, r.trajectories)
	table(t, w, r.calls)
	table(t, w, r.toolCalls)
	table(t, w, r.items)
	table(t, w, r.blobs)
	table(t, w, r.blocks)
	if err := w.Close(bundle.Manifest{Attributes: r.attributes}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func table[T any](t testing.TB, w *bundle.Writer, rows []T) {
	t.Helper()
	if len(rows) == 0 {
		return
	}
	spec, _ := schema.TableOf[T]()
	path, err := w.Path(spec.File(0))
	if err != nil {
		t.Fatal(err)
	}
	tw, err := schema.NewWriter[T](path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := tw.Write(rows); err != nil {
		t.Fatal(err)
	}
	stat, err := tw.Close()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(spec.File(0), stat.Rows); err != nil {
		t.Fatal(err)
	}
}

// files returns the tables of a dataset, slash separated from its folder.
func files(t testing.TB, dir string) []string {
	t.Helper()
	d, err := datasets.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range d.Manifest().Files {
		out = append(out, f.Path)
	}
	return out
}

func read(t testing.TB, parts ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
