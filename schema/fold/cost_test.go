package fold_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/fold"
	"github.com/capstan-bench/capstan/schema/wire"
)

// How an answer comes back in the next request, and what else goes on.
const (
	untold   = "untold"   // the folder is not told of it
	echoed   = "echoed"   // byte for byte
	changed  = "changed"  // written anew by the client
	partly   = "partly"   // less the first of its elements
	repeated = "repeated" // byte for byte, and calls are sent twice
	beside   = "beside"   // byte for byte, and each turn makes a call with another context
	lanes    = "lanes"    // byte for byte, and three trajectories take turns
)

// long plays n turns, each of which adds an answer and what follows it.
func long(t testing.TB, c client, shape string, n, pad int) *dialectSession {
	d := newDialectSession(t, c, 1)
	names := []string{"a"}
	if shape == lanes {
		names = []string{"a", "b", "c"}
	}
	contexts := map[string][]entry{}
	for i, lane := range names {
		contexts[lane] = []entry{{kind: "user", n: -1}, {kind: "user", n: -2 - i}}
	}
	for i := range n {
		lane := names[i%len(names)]
		context := slices.Clip(contexts[lane])
		next := append(context, entry{kind: "assistant", n: i, pad: pad / 8}, entry{kind: "result", n: i, pad: pad})
		if i/len(names)%4 == 3 {
			next = append(context, entry{kind: "answer", n: i, pad: pad / 4}, entry{kind: "user", n: i, pad: pad / 16})
		}
		d.turn(lane, shape, context, next)
		contexts[lane] = next
	}
	return d
}

func (d *dialectSession) turn(lane, shape string, context, next []entry) {
	answer := d.element(next[len(context)])
	var output []string
	switch shape {
	case echoed, beside, lanes, repeated:
		output = []string{answer}
	case changed:
		output = []string{"{ " + answer[1:]}
	case partly:
		output = []string{fmt.Sprintf(`{"role":"assistant","type":"reasoning","parts":[],"content":[],"id":"r%d"}`, len(context)), answer}
	}
	d.send(lane, context, output...)
	switch shape {
	case repeated:
		d.send(lane, context, output...)
	case beside:
		d.send(lane, []entry{{kind: "user", n: 1000 + len(context)}})
	}
}

// element is the element of an entry, when it is no longer among the last.
func (d *dialectSession) element(e entry) string {
	context := []entry{e, {kind: "user"}, {kind: "user"}, {kind: "user"}, {kind: "user"}}
	l, err := wire.Split(d.client.format, []byte(d.client.body(d.rng, context, 0)))
	if err != nil {
		d.folding.t.Fatal(err)
	}
	slot := slices.MaxFunc(l.Slots, func(a, b []wire.Element) int { return len(a) - len(b) })
	return string(slot[len(slot)-len(context)].Bytes)
}

// bound checks what each call of a session takes in rows.
func bound(t *testing.T, name string, s *schema.Session, items, patches, ranges int) {
	t.Helper()
	if n := len(s.Items); n > items {
		t.Errorf("%s: %d items, want at most %d", name, n, items)
	}
	for i := range s.Calls {
		c := &s.Calls[i]
		if p, r := len(c.Patches), len(c.ContextRanges); p > patches || r > ranges {
			t.Errorf("%s: call %s has %d patches and %d ranges, want at most %d and %d", name, c.CallID, p, r, patches, ranges)
			return
		}
	}
}

// limits are what a call of each client may take: two patches for each mark that
// may have made a part of a string, one for each other mark; a range for each array,
// and one more for what is new in every call.
var limits = map[string]struct{ patches, ranges int }{
	"claude": {6, 4}, "opencode-anthropic": {6, 4}, "plain-system": {0, 2}, "codex": {0, 3},
	"gemini": {0, 3}, "code-assist": {0, 3}, "qwen-marked": {5, 2},
}

// TestCostOfLongSessions plays sessions of 200 turns whose answers the clients
// write anew, as nearly all do: each call takes a few rows, the last no more than
// the first.
func TestCostOfLongSessions(t *testing.T) {
	const turns = 200
	for _, c := range clients() {
		s := long(t, c, changed, turns, 0).folding.folder.Session()
		limit := limits[c.name]
		// Two elements and the answer as it was given, for each turn.
		bound(t, c.name, s, c.fixed+(3+c.volatile)*turns, limit.patches, limit.ranges)
	}
}

// TestCostOfShapes has what else comes between the messages of a context.
func TestCostOfShapes(t *testing.T) {
	const turns = 60
	for _, c := range clients() {
		for _, shape := range []string{untold, echoed, changed, partly, repeated, beside, lanes} {
			s := long(t, c, shape, turns, 0).folding.done()
			limit := limits[c.name]
			if shape == lanes || shape == beside {
				limit.ranges++ // what trajectories share stands apart
			}
			bound(t, c.name+" "+shape, s, c.fixed+(5+2*c.volatile)*turns, limit.patches, limit.ranges)
		}
	}
}

// packed is the size of the tables of a session.
func packed(t testing.TB, s *schema.Session) (total int64) {
	dir := t.TempDir()
	for i := range s.Trajectories {
		s.Trajectories[i].SourceKind = schema.SourceProxy
	}
	blobs := make([]schema.Blob, 0, len(s.Blobs))
	for _, sum := range slices.Sorted(maps.Keys(s.Blobs)) {
		blobs = append(blobs, s.Blobs[sum])
	}
	return table(t, dir, s.Trajectories) + table(t, dir, s.Calls) + table(t, dir, s.ToolCalls) + table(t, dir, s.Items) + table(t, dir, blobs)
}

func table[T any](t testing.TB, dir string, rows []T) int64 {
	if len(rows) == 0 {
		return 0
	}
	path := filepath.Join(dir, fmt.Sprintf("%T.parquet", rows))
	w, err := schema.NewWriter[T](path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	stat, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	return stat.Bytes
}

// BenchmarkLongSession folds sessions of 200 turns of each client, and those of
// clients that mark without their marks as well. The bytes are those of all request
// bodies, packed are those of the tables.
func BenchmarkLongSession(b *testing.B) {
	unmarked := clientsWith("")
	for i, c := range clients() {
		b.Run(fmt.Sprintf("client=%s/marks=%v", c.name, limits[c.name].patches > 0), func(b *testing.B) { benchmarkLong(b, c) })
		if limits[c.name].patches > 0 {
			b.Run(fmt.Sprintf("client=%s/marks=false", c.name), func(b *testing.B) { benchmarkLong(b, unmarked[i]) })
		}
	}
}

func benchmarkLong(b *testing.B, c client) {
	d := long(b, c, changed, 200, 2000)
	var bodies [][]byte
	var outputs [][][]byte
	total := 0
	for i := range 200 {
		body := []byte(d.folding.bodies[fmt.Sprintf("a/%d", i)])
		total += len(body)
		bodies = append(bodies, body)
		answer := entry{kind: "assistant", n: i, pad: 250}
		outputs = append(outputs, [][]byte{[]byte("{ " + d.element(answer)[1:])})
	}
	b.SetBytes(int64(total))
	b.ReportAllocs()
	var s *schema.Session
	for b.Loop() {
		f := fold.New("s")
		for i, body := range bodies {
			l, err := wire.Split(c.format, body)
			if err != nil {
				b.Fatal(err)
			}
			if err := f.Call("a", schema.Call{CallID: fmt.Sprint(i), CallIndex: int32(i), APIFormat: c.format, Trigger: schema.TriggerUser, Purpose: schema.PurposeMain}, l, body, outputs[i]); err != nil {
				b.Fatal(err)
			}
		}
		s = f.Session()
	}
	patches, ranges := 0, 0
	for i := range s.Calls {
		patches, ranges = patches+len(s.Calls[i].Patches), ranges+len(s.Calls[i].ContextRanges)
	}
	b.ReportMetric(float64(patches)/float64(len(s.Calls)), "patches/call")
	b.ReportMetric(float64(ranges)/float64(len(s.Calls)), "ranges/call")
	b.ReportMetric(float64(packed(b, s)), "packed-bytes")
}
