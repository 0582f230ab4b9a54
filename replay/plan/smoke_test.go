package plan_test

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"github.com/capstan-bench/capstan/datasets"
	"github.com/capstan-bench/capstan/datasets/smoke"
	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/fold"
)

// rawBody is a body's context, element by element.
type rawBody struct {
	Messages, Tools []json.RawMessage
}

func raw(t testing.TB, body []byte) rawBody {
	t.Helper()
	var b rawBody
	if err := json.Unmarshal(body, &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// Every body of the shipped dataset holds the recorded messages and tools, byte
// for byte, as another decoder reads them from the rebuilt request.
func TestShippedDataset(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "smoke")
	if err := smoke.Write(dir); err != nil {
		t.Fatal(err)
	}
	ds, err := datasets.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Build(context.Background(), ds.Sessions(), plan.Config{Model: "m", NoSalt: true})
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	for s, err := range ds.Sessions() {
		if err != nil {
			t.Fatal(err)
		}
		script := whole(t, p, s.ID)
		calls += len(script.Steps)
		compare(t, s, script, 1)
	}
	if calls != p.Calls() || calls == 0 {
		t.Errorf("scripts hold %d calls, Calls() = %d", calls, p.Calls())
	}
	m := p.Means()
	t.Logf("%d sessions, %d calls, ring %v, means %+v, across plays %.0f", p.Sessions(), p.Calls(), p.Ring(), m, p.AcrossPlays())
	if m.Uncached <= 0 || m.Uncached >= m.Input/2 || p.AcrossPlays() > m.Uncached {
		t.Errorf("Means() = %+v, AcrossPlays() = %v", m, p.AcrossPlays())
	}
}

// compare holds every nth body to the recorded one.
func compare(t *testing.T, s *schema.Session, script *plan.Script, nth int) {
	t.Helper()
	for i := 0; i < len(script.Steps); i += nth {
		st := script.Steps[i]
		recorded, err := fold.Body(nil, s, &s.Calls[st.Call])
		if err != nil {
			t.Fatal(err)
		}
		body := sentBody(st.Body, "", "")
		want, got := raw(t, recorded), raw(t, []byte(body))

		if !slices.EqualFunc(want.Messages, got.Messages, same) || !slices.EqualFunc(want.Tools, got.Tools, same) {
			t.Fatalf("session %s, step %d: the body's context is not the recorded one", s.ID, i)
		}
		var pieces, elements int
		for _, piece := range st.Prompt {
			pieces += int(piece.Len)
		}
		for _, e := range append(want.Messages, want.Tools...) {
			elements += len(e)
		}
		if pieces != elements {
			t.Fatalf("session %s, step %d: pieces hold %d bytes, elements %d", s.ID, i, pieces, elements)
		}
	}
}

func same(a, b json.RawMessage) bool { return bytes.Equal(a, b) }
