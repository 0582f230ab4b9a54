package sim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/replay/sim"
)

// TestSkipping: an answer of a million tokens takes the engine no more steps than
// one of ten: it begins, it gives the first token, and it ends.
func TestSkipping(t *testing.T) {
	f := func(output int32, want int) {
		t.Helper()
		e, err := sim.New(hand(func(p *sim.Params) { p.KVTokens, p.MaxContext = 1<<24, 1<<24 }))
		if err != nil {
			t.Fatal(err)
		}
		e.Submit(0, sim.Ask{ID: 1, Prompt: text(1, 100), Output: output})
		steps := 0
		for at, ok := e.Wake(); ok; at, ok = e.Wake() {
			drain(e, nil, at)
			steps++
		}
		if steps != want {
			t.Errorf("an answer of %d tokens took %d steps, want %d", output, steps, want)
		}
	}
	f(1, 2)
	f(10, 3)
	f(900_000, 3) // less than the thousand seconds at which sums are cut
}

// TestSkippingSavesTime: taken one at a time, the iterations of these answers would
// take a minute and more.
func TestSkippingSavesTime(t *testing.T) {
	const output = 1<<24 - 100
	e, err := sim.New(hand(func(p *sim.Params) { p.KVTokens, p.MaxContext = 1<<24, 1<<24 }))
	if err != nil {
		t.Fatal(err)
	}
	begun, now := time.Now(), time.Duration(0)
	for id := range int64(200) {
		e.Submit(now, sim.Ask{ID: id, Prompt: text(1, 100), Output: output})
		now = at(drain(e, nil, never))
		if took := time.Since(begun); took > 10*time.Second {
			t.Fatalf("%d answers of %d tokens took %v", id+1, output, took)
		}
	}
}

// crowd keeps n asks in an engine, each answered by the next one with the longer
// prompt that a turn of an agent has.
type crowd struct {
	engine *sim.Engine
	asks   []sim.Ask
	ended  int
}

func newCrowd(tb testing.TB, n int, output int32) *crowd {
	tb.Helper()
	p, ok := sim.Builtin("large")
	if !ok {
		tb.Fatal("there is no engine large")
	}
	e, err := sim.New(p)
	if err != nil {
		tb.Fatal(err)
	}
	c := &crowd{engine: e}
	for id := range int64(n) {
		a := sim.Ask{ID: id, Prompt: make([]sim.Run, 0, 64), Output: output}
		a.Prompt = append(a.Prompt, sim.Run{ID: 1, Bytes: 40_000})
		c.asks = append(c.asks, a)
		e.Submit(0, a)
	}
	return c
}

// call runs until another ask has ended.
func (c *crowd) call() {
	for {
		ev, ok := c.engine.Next(never)
		if !ok {
			panic("an engine with asks has no event")
		}
		if ev.Kind != sim.Done {
			continue
		}
		c.ended++
		a := &c.asks[ev.ID]
		if len(a.Prompt) == cap(a.Prompt) {
			a.Prompt = a.Prompt[:1]
		}
		a.Prompt = append(a.Prompt, sim.Run{ID: uint64(c.ended)<<8 | uint64(ev.ID), Bytes: 4_000})
		c.engine.Submit(ev.At+time.Duration(1+ev.ID)*time.Millisecond, *a)
		return
	}
}

// TestAllocs: a call allocates its sequence, and what it adds to the tree of
// prompts comes from what was forgotten; its tokens cost nothing.
func TestAllocs(t *testing.T) {
	for _, output := range []int32{20, 20_000} {
		c := newCrowd(t, 16, output)
		for range 5_000 {
			c.call()
		}
		if got := testing.AllocsPerRun(1_000, c.call); got > 4 {
			t.Errorf("a call of %d tokens allocates %v times, want at most 4", output, got)
		}
	}
}

// BenchmarkEngine takes calls of 32 agents through the large engine. What a call
// costs hardly depends on its tokens.
func BenchmarkEngine(b *testing.B) {
	for _, output := range []int32{10, 100, 1_000, 10_000} {
		b.Run(fmt.Sprintf("output=%d", output), func(b *testing.B) {
			c := newCrowd(b, 32, output)
			for range 2_000 {
				c.call()
			}
			b.ReportAllocs()
			for b.Loop() {
				c.call()
			}
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(output), "ns/token")
		})
	}
}
