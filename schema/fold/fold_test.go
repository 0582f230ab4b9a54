package fold_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/fold"
	"github.com/capstan-bench/capstan/schema/wire"
)

// folding drives a folder and keeps the bodies to compare with.
type folding struct {
	t      testing.TB
	folder *fold.Folder
	bodies map[string]string // by call id
	output map[string][]string
	index  map[string]int32
}

func newFolding(t testing.TB) *folding {
	return &folding{t: t, folder: fold.New("s"), bodies: map[string]string{}, output: map[string][]string{}, index: map[string]int32{}}
}

// body folds one call given as a body.
func (f *folding) body(lane, body string, output ...string) {
	f.t.Helper()
	l, err := wire.Split(wire.FormatChat, []byte(body))
	if err != nil {
		f.t.Fatal(err)
	}
	f.layout(lane, wire.FormatChat, l, body, output...)
}

func (f *folding) layout(lane, format string, l wire.Layout, body string, output ...string) {
	f.t.Helper()
	c := schema.Call{
		CallID: fmt.Sprintf("%s/%d", lane, f.index[lane]), CallIndex: f.index[lane], APIFormat: format,
		Trigger: schema.TriggerUnknown, Purpose: schema.PurposeMain,
	}
	f.index[lane]++
	var out [][]byte
	for _, o := range output {
		out = append(out, []byte(o))
	}
	if err := f.folder.Call(lane, c, l, []byte(body), out); err != nil {
		f.t.Fatal(err)
	}
	f.bodies[c.CallID], f.output[c.CallID] = body, output
}

// context folds one call whose body is made of messages.
func (f *folding) context(lane string, messages ...string) {
	f.t.Helper()
	f.body(lane, `{"model":"m","messages":[`+strings.Join(messages, ",")+`]}`)
}

// done rebuilds every body and returns the session.
func (f *folding) done() *schema.Session {
	f.t.Helper()
	s := f.folder.Session()
	for i := range s.Calls {
		c := &s.Calls[i]
		got, err := fold.Body(nil, s, c)
		if err != nil || string(got) != f.bodies[c.CallID] {
			f.t.Fatalf("Body(%s) = %s, %v, want %s", c.CallID, got, err, f.bodies[c.CallID])
		}
		checkElements(f.t, s, c)
		checkOutput(f.t, s, c, f.output[c.CallID])
	}
	return s
}

// checkOutput compares the items of an answer with what was given, marks aside.
func checkOutput(t testing.TB, s *schema.Session, c *schema.Call, want []string) {
	t.Helper()
	if c.OutputStartItem == nil {
		if len(want) > 0 {
			t.Errorf("call %s: the answer has no items", c.CallID)
		}
		return
	}
	items := s.Items[*c.OutputStartItem:*c.OutputEndItem]
	if len(items) != len(want) {
		t.Fatalf("call %s: the answer has %d items, want %d", c.CallID, len(items), len(want))
	}
	for i, it := range items {
		e, err := wire.ParseElement(c.APIFormat, []byte(want[i]))
		if err != nil {
			t.Fatal(err)
		}
		if got := *s.Blobs[it.ContentSHA256].Content; got != want[i] && got != string(e.Bare) && (e.Flat == nil || got != string(e.Flat.Bytes)) {
			t.Errorf("call %s: element %d of the answer is %s, want %s", c.CallID, i, got, want[i])
		}
	}
}

// checkElements compares the elements with what the body splits into.
func checkElements(t testing.TB, s *schema.Session, c *schema.Call) {
	t.Helper()
	var got []string
	for e, err := range fold.Elements(s, c) {
		if err != nil {
			t.Fatal(err)
		}
		if content := *s.Blobs[s.Items[e.Item].ContentSHA256].Content; e.Patched != (content != e.Text) {
			t.Errorf("call %s: element %d is said to be patched: %v", c.CallID, e.Item, e.Patched)
		}
		got = append(got, e.Text)
	}
	if c.APIFormat != wire.FormatChat {
		return
	}
	body, _ := fold.Body(nil, s, c)
	l, err := wire.Split(wire.FormatChat, body)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, slot := range l.Slots {
		for _, e := range slot {
			want = append(want, string(e.Bytes))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("elements of %s (-want +got):\n%s", c.CallID, diff)
	}
}

func message(role, text string) string {
	return fmt.Sprintf(`{"role":%q,"content":%q}`, role, text)
}

// turns are alternating messages with the given names, after a system message.
func turns(names ...string) []string {
	out := []string{message("system", "sys")}
	for i, name := range names {
		out = append(out, message([]string{"user", "assistant"}[i%2], name))
	}
	return out
}

func ranges(c schema.Call) string {
	var out []string
	for _, r := range c.ContextRanges {
		out = append(out, fmt.Sprintf("%d:%d-%d", r.Slot, r.StartItem, r.EndItem))
	}
	return strings.Join(out, " ")
}

func TestFoldContexts(t *testing.T) {
	type step struct {
		lane     string
		messages []string
		ranges   string
		shared   int32 // -1 null
		fresh    int32
	}
	f := func(name string, steps ...step) {
		t.Run(name, func(t *testing.T) {
			fd := newFolding(t)
			for _, s := range steps {
				fd.context(s.lane, s.messages...)
			}
			session := fd.done()
			at := map[string]schema.Call{}
			for _, c := range session.Calls {
				at[c.CallID] = c
			}
			n := map[string]int{}
			for i, want := range steps {
				c := at[fmt.Sprintf("%s/%d", want.lane, n[want.lane])]
				n[want.lane]++
				shared := int32(-1)
				if c.SharedPrefixItems != nil {
					shared = *c.SharedPrefixItems
				}
				if ranges(c) != want.ranges || shared != want.shared || *c.NewItems != want.fresh {
					t.Errorf("step %d: ranges %q shared %d new %d, want %q %d %d",
						i, ranges(c), shared, *c.NewItems, want.ranges, want.shared, want.fresh)
				}
				if int(c.NumContextItems) != len(want.messages) {
					t.Errorf("step %d: %d context items, want %d", i, c.NumContextItems, len(want.messages))
				}
			}
		})
	}
	f("extend",
		step{"a", turns("1"), "0:0-2", -1, 2},
		step{"a", turns("1", "2", "3"), "0:0-4", 2, 2},
		step{"a", turns("1", "2", "3", "4", "5"), "0:0-6", 4, 2},
		step{"a", turns("1", "2", "3", "4", "5"), "0:0-6", 6, 0})
	f("compact",
		step{"a", turns("1", "2", "3", "4", "5"), "0:0-1 0:4-9", -1, 6},
		step{"a", turns("summary"), "0:0-2", 1, 1},
		step{"a", turns("summary", "x", "y"), "0:0-4", 2, 2})
	f("truncate the front",
		step{"a", turns("1", "2", "3", "4", "5"), "0:0-6", -1, 6},
		step{"a", append(turns()[:1:1], turns("1", "2", "3", "4", "5", "6")[3:]...), "0:0-1 0:3-7", 1, 1})
	f("cut the end and go on",
		step{"a", turns("1", "2", "3", "4", "5"), "0:0-6", -1, 6},
		step{"a", turns("1", "2", "3"), "0:0-4", 4, 0},
		step{"a", turns("1", "2", "3", "other"), "0:0-4 0:6-7", 4, 1})
	f("edit in the middle",
		step{"a", turns("1", "2", "3", "4", "5"), "0:0-6", -1, 6},
		step{"a", turns("1", "2", "edited", "4", "5", "6"), "0:0-3 0:7-8 0:4-7", 3, 2})
	f("fork",
		step{"a", turns("1", "2", "3"), "0:0-4", -1, 4},
		step{"b", turns("1", "2", "B"), "0:0-3 0:6-7", -1, 1},
		step{"a", turns("1", "2", "3", "4", "5"), "0:0-6", 4, 2},
		step{"b", turns("1", "2", "B", "B2", "B3"), "0:0-3 0:6-9", 4, 2})
	f("repeat an element",
		step{"a", turns("go", "2", "go"), "0:0-3 0:1-2", -1, 3},
		step{"a", turns("go", "2", "go", "4", "5"), "0:0-3 0:1-2 0:3-5", 4, 2})
	f("empty",
		step{"a", nil, "", -1, 0},
		step{"a", turns("1"), "0:0-2", 0, 2})
}

func TestFoldOutput(t *testing.T) {
	f := newFolding(t)
	tools := `"tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}]`
	call := func(output string, messages ...string) {
		f.body("a", `{"messages":[`+strings.Join(messages, ",")+`],`+tools+`}`, output)
	}
	m := turns("1", "2", "3", "4", "5")
	call(m[2], m[:2]...)
	call(m[4], m[:4]...)
	call(message("assistant", "end"), m[:6]...)
	call(m[2], m[:2]...) // a retry
	s := f.done()
	for i, want := range []string{"0:0-2 1:6-8 2-3", "0:0-4 1:6-8 4-5", "0:0-6 1:6-8 8-9", "0:0-2 1:6-8 2-3"} {
		c := s.Calls[i]
		if got := fmt.Sprintf("%s %d-%d", ranges(c), *c.OutputStartItem, *c.OutputEndItem); got != want {
			t.Errorf("call %d: %s, want %s", i, got, want)
		}
	}
	if n := len(s.Items); n != 9 {
		t.Errorf("%d items, want 9", n)
	}
	if got := *s.Calls[1].SharedPrefixItems; got != 4 {
		t.Errorf("shared prefix in template order = %d, want 4", got)
	}
	if a, b := s.Calls[0].ToolsSHA256, s.Calls[2].ToolsSHA256; a == nil || *a != *b {
		t.Error("the same tools have two hashes")
	}
	if s.Items[2].Kind != schema.KindAssistant || *s.Items[2].FirstCallIndex != 0 {
		t.Errorf("output item is %+v", s.Items[2])
	}
	if tr := s.Trajectories[0]; tr.NumCalls != 4 || tr.NumItems != 9 {
		t.Errorf("trajectory counts %d calls, %d items, want 4 and 9", tr.NumCalls, tr.NumItems)
	}
}

// TestFoldAnswers has answers that come back in part, or with something in between:
// they are runs of copies, one for all that are alike.
func TestFoldAnswers(t *testing.T) {
	f := newFolding(t)
	u, a, b, c := message("user", "u"), message("assistant", "a"), message("assistant", "b"), message("assistant", "c")
	send := func(messages []string, output ...string) {
		f.body("a", `{"messages":[`+strings.Join(messages, ",")+`]}`, output...)
	}
	send([]string{u}, a, b)
	send([]string{u}, a, b)
	send([]string{u, b}, a, b)
	send([]string{u, b, a, u, c}, c, a)
	send([]string{u, b, a, u, c}, b, a)
	s := f.done()
	for i, want := range []string{"0:2-3 4-6", "0:2-3 4-6", "0:2-4 4-6", "0:2-4 0:1-3 0:0-1 0-2", "0:2-4 0:1-3 0:0-1 6-8"} {
		c := s.Calls[i]
		if got := fmt.Sprintf("%s %d-%d", ranges(c), *c.OutputStartItem, *c.OutputEndItem); got != want {
			t.Errorf("call %d: %s, want %s", i, got, want)
		}
	}
	if len(s.Items) != 8 || len(s.Blobs) != 5 || s.Trajectories[0].NumItems != 8 {
		t.Errorf("%d items, %d counted, %d blobs, want 8, 8 and 5", len(s.Items), s.Trajectories[0].NumItems, len(s.Blobs))
	}
}

// TestFoldSession checks order, rows and hashes.
func TestFoldSession(t *testing.T) {
	f := newFolding(t)
	root := "root"
	f.folder.Trajectory(schema.Trajectory{TrajectoryID: root, ContentTier: schema.TierScrubbed})
	f.context("sub", turns("s")...)
	f.context(root, turns("1")...)
	f.context("sub", turns("s", "t", "u")...)
	f.folder.Trajectory(schema.Trajectory{TrajectoryID: "sub", ParentTrajectoryID: &root})
	s := f.done()
	var order []string
	for _, c := range s.Calls {
		order = append(order, c.CallID)
		if c.SessionID != "s" || *c.RequestBodyBytes != int64(len(f.bodies[c.CallID])) || len(*c.RequestBodySHA256) != 64 {
			t.Errorf("call %+v", c)
		}
	}
	if diff := cmp.Diff([]string{"root/0", "sub/0", "sub/1"}, order); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if s.Trajectories[0].ContentTier != schema.TierScrubbed || *s.Trajectories[1].ParentTrajectoryID != root ||
		s.Trajectories[1].SessionID != "s" || s.Trajectories[1].NumCalls != 2 {
		t.Errorf("trajectories %+v", s.Trajectories)
	}
	if a, b := s.Calls[0].SystemSHA256, s.Calls[1].SystemSHA256; *a != *b {
		t.Error("a shared system message has two hashes")
	}
	if s.Calls[0].ToolsSHA256 != nil {
		t.Error("a call without tools has their hash")
	}
}

func TestFoldRefuses(t *testing.T) {
	body := `{"messages":[{},{"a":1}]}`
	good := func() wire.Layout {
		l, err := wire.Split(wire.FormatChat, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	f := func(name string, change func(*wire.Layout), output ...[]byte) {
		t.Helper()
		l := good()
		change(&l)
		folder := fold.New("s")
		err := folder.Call("a", schema.Call{CallID: "c1", APIFormat: wire.FormatChat}, l, []byte(body), output)
		if err == nil || !strings.Contains(err.Error(), "c1") {
			t.Errorf("%s: %v, want an error that names the call", name, err)
		}
		if s := folder.Session(); len(s.Items)+len(s.Calls)+len(s.Blobs)+len(s.Trajectories) > 0 {
			t.Errorf("%s: a refused call left rows", name)
		}
	}
	f("other element", func(l *wire.Layout) { l.Slots[0][1].Bytes = []byte(`{"a":2}`) })
	f("element missing", func(l *wire.Layout) { l.Slots[0] = l.Slots[0][:1] })
	f("slot missing", func(l *wire.Layout) { l.Slots = nil })
	f("slot too many", func(l *wire.Layout) { l.Slots = append(l.Slots, nil) })
	f("other envelope", func(l *wire.Layout) { l.Envelope = append(l.Envelope, ' ') })
	f("hole without an end", func(l *wire.Layout) { l.Envelope = bytes.TrimSuffix(l.Envelope, []byte("\x1e]}")) })
	f("edits without bare", func(l *wire.Layout) { l.Slots[0][0].Edits = []wire.Edit{{Ins: "x"}} })
	f("wrong edits", func(l *wire.Layout) {
		l.Slots[0][0].Bare = []byte("{")
		l.Slots[0][0].Edits = []wire.Edit{{Off: 1, Ins: "]"}}
	})
	f("edits outside", func(l *wire.Layout) {
		l.Slots[0][0].Bare = []byte("{")
		l.Slots[0][0].Edits = []wire.Edit{{Off: 2, Ins: "}"}}
	})
	f("wrong flat edits", func(l *wire.Layout) {
		l.Slots[0][0].Flat = &wire.Form{Bytes: []byte("{"), Edits: []wire.Edit{{Off: 1, Ins: "]"}}}
	})
	f("flat edits without bytes", func(l *wire.Layout) { l.Slots[0][0].Flat = &wire.Form{Edits: []wire.Edit{{Ins: "{}"}}} })
	f("flat form without bytes", func(l *wire.Layout) { l.Slots[0][0].Flat = &wire.Form{} })
	f("broken output", func(*wire.Layout) {}, []byte(`{"role":`))
}

func TestFoldWithoutBody(t *testing.T) {
	folder := fold.New("s")
	c := schema.Call{CallID: "c1", APIFormat: schema.FormatNone, NumContextItems: 7}
	if err := folder.Call("a", c, wire.Layout{}, nil, nil); err != nil {
		t.Fatal(err)
	}
	s := folder.Session()
	if got := s.Calls[0]; got.RequestBodySHA256 != nil || got.NumContextItems != 7 || got.NewItems != nil {
		t.Errorf("call without a body: %+v", got)
	}
	if _, err := fold.Body(nil, s, &s.Calls[0]); err == nil || !strings.Contains(err.Error(), fold.ErrNoBody.Error()) {
		t.Errorf("Body = %v, want ErrNoBody", err)
	}
}

func TestKindsAgree(t *testing.T) {
	for got, want := range map[string]string{
		wire.KindSystem: schema.KindSystem, wire.KindTools: schema.KindTools, wire.KindUser: schema.KindUser,
		wire.KindAssistant: schema.KindAssistant, wire.KindToolResult: schema.KindToolResult,
		wire.KindOther: schema.KindOther, wire.FormatChat: schema.FormatChat,
	} {
		if got != want {
			t.Errorf("wire has %q, schema %q", got, want)
		}
	}
}
