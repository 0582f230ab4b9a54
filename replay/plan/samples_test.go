package plan_test

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/datasets/convert"
	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/tokens"
)

// samples is the folder of real sessions, where there is one.
func samples(t testing.TB, path string) string {
	t.Helper()
	root := os.Getenv("CAPSTAN_SAMPLES")
	if root == "" {
		t.Skip("CAPSTAN_SAMPLES names no folder of real sessions")
	}
	return filepath.Join(root, path)
}

func read(t testing.TB, sessions iter.Seq2[*schema.Session, error]) (out []*schema.Session) {
	t.Helper()
	for s, err := range sessions {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

func report(t *testing.T, p *plan.Plan) {
	t.Helper()
	t.Logf("%d sessions, %d calls, ring %v, cut %.3f, means %+v, across plays %.0f", p.Sessions(), p.Calls(), p.Ring(), p.CutShare(), p.Means(), p.AcrossPlays())
	for _, line := range p.Rewrites() {
		t.Log(line)
	}
}

// The bodies of a real pi session hold what the importer built, in few segments.
func TestPiSample(t *testing.T) {
	sessions := read(t, convert.Pi(samples(t, "pi-mono/large-session.jsonl")))
	p := build(t, plan.Config{NoSalt: true}, sessions...)
	report(t, p)
	script := whole(t, p, sessions[0].ID)
	compare(t, sessions[0], script, 7)
	for i, st := range script.Steps {
		if len(st.Body.Segs) > 8 {
			t.Errorf("step %d has %d segments", i, len(st.Body.Segs))
		}
	}
}

// The real traces without text: the text of every prompt has the recorded number
// of tokens, told from its length for many and by the real tokenizer for some, and
// Ideal is exactly the blocks that an earlier call shares, for all.
func TestWekaSamples(t *testing.T) {
	sessions := read(t, convert.Weka(samples(t, "kv-cache-tester/traces")))
	p := build(t, plan.Config{NoSalt: true}, sessions...)
	report(t, p)
	counter, err := tokens.Open(tokens.O200k)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sessions {
		lists := blockLists(s)
		script := whole(t, p, s.ID)
		held := map[int64]bool{} // ways from the beginning of a list, hashed
		for i, st := range script.Steps {
			checkIdeal(t, s, i, st, lists[st.Call], held)
			if i%11 > 0 {
				continue
			}
			_, contents := texts(t, st)
			text := strings.Join(contents, "")
			if got := int64(len(text) / tokens.FillerBytes); got != st.Input {
				t.Fatalf("session %s, step %d: %d tokens of text, want %d", s.ID, i, got, st.Input)
			}
			if i%99 == 0 && len(text) < 1<<20 {
				if got := int64(counter.Count([]byte(text))); got != st.Input {
					t.Errorf("session %s, step %d: the tokenizer counts %d, want %d", s.ID, i, got, st.Input)
				}
			}
		}
	}
}

// blockLists are the whole block lists of a session's calls, by call.
func blockLists(s *schema.Session) [][]int64 {
	type key struct {
		lane  string
		index int32
	}
	known := map[key][]int64{}
	for _, b := range s.Blocks {
		var list []int64
		if b.ParentTrajectoryID != nil {
			list = append(list, known[key{*b.ParentTrajectoryID, *b.ParentCallIndex}][:b.SharedPrefixBlocks]...)
		}
		list = append(list, b.NewBlockIDs...)
		known[key{b.TrajectoryID, b.CallIndex}] = list
	}
	out := make([][]int64, len(s.Calls))
	for i, c := range s.Calls {
		out[i] = known[key{c.TrajectoryID, c.CallIndex}]
	}
	return out
}

// checkIdeal follows a call's blocks as far as an earlier call went the same way.
func checkIdeal(t *testing.T, s *schema.Session, i int, st plan.Step, list []int64, held map[int64]bool) {
	t.Helper()
	size := int64(s.Blocks[0].BlockSizeTokens)
	list = list[:min(int64(len(list)), st.Input/size)]
	shared, open := int64(0), true
	way := int64(1469598103934665603)
	for n, id := range list {
		way = (way ^ id ^ int64(n)<<40) * 1099511628211
		if open = open && held[way]; open {
			shared++
		}
		held[way] = true
	}
	if st.Ideal != shared*size {
		t.Fatalf("session %s, step %d: Ideal = %d, want %d blocks of %d", s.ID, i, st.Ideal, shared, size)
	}
}

func BenchmarkBuildWeka(b *testing.B) {
	sessions := read(b, convert.Weka(samples(b, "kv-cache-tester/traces")))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := plan.Build(context.Background(), seq(sessions...), plan.Config{Model: "m"}); err != nil {
			b.Fatal(err)
		}
	}
}

// Driven with the recorded durations, the share of time in which an agent has a
// call in flight falls as longer gaps are kept, and is what the traces hold
// (measured with another program).
func TestWekaShareInFlight(t *testing.T) {
	sessions := read(t, convert.Weka(samples(t, "kv-cache-tester/traces")))
	for _, c := range []struct {
		cap  time.Duration
		want float64
	}{{10 * time.Second, 0.61}, {60 * time.Second, 0.38}, {300 * time.Second, 0.25}, {-1, 0.13}} {
		p := build(t, plan.Config{GapCap: c.cap}, sessions...)
		var busy time.Duration
		for _, s := range sessions {
			script := whole(t, p, s.ID)
			seen := drive(t, script, 0, func(step int32) answer {
				call := &s.Calls[script.Steps[step].Call]
				if call.CompletedUS == nil { // as on the ring
					return answer{0, time.Duration(script.Steps[step].Output) * time.Second / 50}
				}
				return answer{0, time.Duration(*call.CompletedUS) * time.Microsecond}
			})
			busy += inFlight(seen)
		}
		got := float64(busy) / float64(p.Ring())
		t.Logf("cap %v: %.3f", c.cap, got)
		if math.Abs(got-c.want) > 0.02 {
			t.Errorf("cap %v: an agent has a call in flight %.3f of the time, want %.2f", c.cap, got, c.want)
		}
	}
}

// inFlight is how long at least one step was between due and done.
func inFlight(seen map[int32]played) (busy time.Duration) {
	steps := slices.Collect(maps.Values(seen))
	slices.SortFunc(steps, func(a, b played) int { return cmp.Compare(a.due, b.due) })
	var end time.Duration
	for _, s := range steps {
		if s.done > end {
			busy += s.done - max(s.due, end)
			end = s.done
		}
	}
	return busy
}
