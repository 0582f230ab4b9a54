package fold_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/fold"
	"github.com/capstan-bench/capstan/schema/wire"
)

// growing folds a session of n calls, each of which adds an answer and a tool
// result of about size bytes.
func growing(t testing.TB, n, size int) (*schema.Session, map[string]string) {
	line := `\tif err != nil {\n\t\treturn fmt.Errorf(\"open %q: %w\", name, err)\n\t}\n`
	text := strings.Repeat(line, size/len(line)+1)
	f := newFolding(t)
	messages := turns("task")
	for i := range n {
		answer := fmt.Sprintf(`{"role":"assistant","content":null,"tool_calls":[{"id":"c%d","type":"function","function":{"name":"read","arguments":"{}"}}]}`, i)
		f.body("a", `{"model":"m","messages":[`+strings.Join(messages, ",")+`],"tools":[{"type":"function","function":{"name":"read"}}],"stream":true}`, answer)
		messages = append(messages, answer, fmt.Sprintf(`{"role":"tool","tool_call_id":"c%d","content":"%d %s"}`, i, i, text))
	}
	return f.folder.Session(), f.bodies
}

func TestBodyReusesDst(t *testing.T) {
	s, bodies := growing(t, 60, 2000)
	c := &s.Calls[len(s.Calls)-1]
	dst, err := fold.Body(nil, s, c)
	if err != nil || string(dst) != bodies[c.CallID] {
		t.Fatalf("Body: %v", err)
	}
	// One allocation is the envelope, whatever the number of items.
	if got := testing.AllocsPerRun(20, func() { dst, _ = fold.Body(dst[:0], s, c) }); got > 2 {
		t.Errorf("%v allocations for %d items, want at most 2", got, c.NumContextItems)
	}
}

// TestPiSession folds the contexts of a real session of 453 calls: message k of the
// file ends context k.
func TestPiSession(t *testing.T) {
	dir := os.Getenv("CAPSTAN_SAMPLES")
	if dir == "" {
		t.Skip("CAPSTAN_SAMPLES names no folder of samples")
	}
	raw, err := os.ReadFile(filepath.Join(dir, "pi-mono", "large-session.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(raw), []byte("\n"))
	folder := fold.New("pi")
	distinct := map[string]bool{}
	var bodies [][]byte
	for i := 0; i < len(lines); i += 8 {
		for _, line := range lines[max(0, i-7) : i+1] {
			distinct[string(line)] = true
		}
		body := []byte(`{"model":"m","messages":[`)
		body = append(append(body, bytes.Join(lines[:i+1], []byte(", "))...), "]}"...)
		l, err := wire.Split(wire.FormatChat, body)
		if err != nil {
			t.Fatal(err)
		}
		if err := folder.Call("pi", schema.Call{CallIndex: int32(len(bodies))}, l, body, nil); err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, body)
	}
	s := folder.Session()
	if len(s.Items) != len(distinct) {
		t.Errorf("%d items, want %d", len(s.Items), len(distinct))
	}
	var got []byte
	for i := range s.Calls {
		if got, err = fold.Body(got[:0], s, &s.Calls[i]); err != nil || !bytes.Equal(got, bodies[i]) {
			t.Fatalf("call %d is not rebuilt: %v", i, err)
		}
		if n := len(s.Calls[i].ContextRanges); n > 1 {
			t.Errorf("call %d has %d ranges, want 1", i, n)
		}
	}
}

func BenchmarkBody(b *testing.B) {
	s, _ := growing(b, 200, 2000)
	c := &s.Calls[len(s.Calls)-1]
	dst, err := fold.Body(nil, s, c)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(dst)))
	b.ReportAllocs()
	for b.Loop() {
		if dst, err = fold.Body(dst[:0], s, c); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFold folds a whole session; splitting the bodies is part of it.
func BenchmarkFold(b *testing.B) {
	s, bodies := growing(b, 100, 2000)
	total := 0
	for _, body := range bodies {
		total += len(body)
	}
	b.SetBytes(int64(total))
	b.ReportAllocs()
	for b.Loop() {
		f := fold.New("s")
		for i := range s.Calls {
			body := []byte(bodies[s.Calls[i].CallID])
			l, err := wire.Split(wire.FormatChat, body)
			if err != nil {
				b.Fatal(err)
			}
			if err := f.Call("a", schema.Call{CallIndex: int32(i)}, l, body, nil); err != nil {
				b.Fatal(err)
			}
		}
	}
}
