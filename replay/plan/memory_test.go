package plan_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/tokens"
)

// longText is a session of 300 turns of about 1.5 KB each.
func longText(t testing.TB) (*schema.Session, int) {
	var calls []call
	m := []string{sys, ask}
	for i := range 300 {
		calls = append(calls, call{messages: m[:len(m):len(m)], tools: []string{tool("read")}, in: int64(100 * i), out: 5, took: time.Second, gap: time.Second})
		m = append(m, msg("assistant", fmt.Sprint("call ", i, strings.Repeat(" think", 80))), msg("user", fmt.Sprint("result ", i, strings.Repeat(" line", 200))))
	}
	s := session(t, "long", calls...)
	unique := 0
	for _, it := range s.Items {
		unique += int(it.ContentBytes)
	}
	return s, unique
}

// longBlocks is the same without text: 8 blocks and a tail a turn.
func longBlocks() (*schema.Session, int) {
	var prompts []prompt
	unique := 0
	for i := range int64(300) {
		prompts = append(prompts, prompt{blocks: ids(1, 400+8*i), input: (400+8*i)*blockSize + 30, output: 200, system: 240})
		unique += 30 * tokens.FillerBytes
	}
	unique += (400 + 8*299) * blockSize * tokens.FillerBytes
	return hashed("blocks", schema.ScopeSession, prompts...), unique
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A plan holds about the distinct bytes of its sessions: the contexts of these
// add up to 150 times as much.
func TestPlanMemory(t *testing.T) {
	f := func(s *schema.Session, unique int) {
		t.Helper()
		build(t, plan.Config{}, s) // one-time tables
		before := heap()
		p := build(t, plan.Config{}, s)
		held := int(heap() - before)
		if limit := 3 * unique; held > limit {
			t.Errorf("%s: the plan holds %d bytes, want at most %d, three times the distinct ones", s.ID, held, limit)
		}
		sum := 0
		for _, st := range whole(t, p, s.ID).Steps {
			sum += int(st.Body.Len)
			if len(st.Body.Segs) > 8 {
				t.Errorf("%s: a body has %d segments", s.ID, len(st.Body.Segs))
			}
		}
		t.Logf("%s: distinct %d, held %d (%.2f×), bodies %d", s.ID, unique, held, float64(held)/float64(unique), sum)
		runtime.KeepAlive(s)
	}
	f(longText(t))
	f(longBlocks())
}

// Entering a session copies steps, not what they point to.
func TestPlayMemory(t *testing.T) {
	s, _ := longText(t)
	pop := build(t, plan.Config{}, s).Population(1, 1)
	agent := 0
	scripts := make([]*plan.Script, 100)
	before := heap()
	for i := range scripts {
		scripts[i], _ = pop.Play(agent+i, 0)
	}
	if held := int(heap()-before) / len(scripts); held > 256*len(s.Calls) {
		t.Errorf("a play holds %d bytes, want at most 256 for each of %d calls", held, len(s.Calls))
	}
	runtime.KeepAlive(scripts)
}

func BenchmarkBuild(b *testing.B) {
	text, _ := longText(b)
	blocks, _ := longBlocks()
	for _, s := range []*schema.Session{text, blocks} {
		b.Run("session="+s.ID, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := plan.Build(context.Background(), seq(s), plan.Config{Model: "m"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPlay(b *testing.B) {
	s, _ := longText(b)
	pop := build(b, plan.Config{}, s).Population(1, 1)
	b.ReportAllocs()
	agent := 0
	for b.Loop() {
		pop.Play(agent, 0)
		agent++
	}
}
