package plan_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/replay/plan"
)

const ms = time.Millisecond

// step is a step that hangs on edges.
func step(after ...plan.Edge) plan.Step { return plan.Step{After: after, Output: 100} }

func start(gap time.Duration) plan.Edge { return plan.Edge{At: plan.PlayStart, Gap: gap} }

func sent(from int32, gap time.Duration) plan.Edge {
	return plan.Edge{From: from, At: plan.Sent, Gap: gap}
}

func token(from int32, share float32, gap time.Duration) plan.Edge {
	return plan.Edge{From: from, At: plan.Token, Share: share, Gap: gap}
}

func done(from int32, gap time.Duration) plan.Edge {
	return plan.Edge{From: from, At: plan.Done, Gap: gap}
}

func TestCursorTimes(t *testing.T) {
	skip := step()
	skip.Role = plan.Skip
	f := func(name string, steps []plan.Step, took []answer, want ...time.Duration) {
		t.Helper()
		s := &plan.Script{Steps: steps}
		length := func(i int32) answer { return took[i] }
		seen := drive(t, s, 1000*ms, length)
		got := make([]time.Duration, len(steps))
		for i := range got {
			got[i] = -1
			if p, ok := seen[int32(i)]; ok {
				got[i] = p.due
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: due times (-want +got):\n%s", name, diff)
		}
	}
	a := answer{10 * ms, 110 * ms}
	f("one after the other", []plan.Step{step(start(0)), step(done(0, 5*ms)), step(done(1, 0))},
		[]answer{a, a, a}, 1000*ms, 1115*ms, 1225*ms)
	f("later start", []plan.Step{step(start(30 * ms))}, []answer{a}, 1030*ms)
	f("no edges", []plan.Step{step()}, []answer{a}, 1000*ms)
	f("sub-agents in parallel, and the join", []plan.Step{
		step(start(0)),
		step(token(0, 0.5, 3*ms)),            // spawned while the answer streams: 1000+10+50+3
		step(token(0, 0.25, 0)),              // 1000+10+25
		step(done(2, 100*ms)),                // 1035+20+100
		step(done(1, 7*ms), done(3, 0)),      // max(1063+110+7, 1155+200)
		step(sent(4, 1*ms), done(0, 400*ms)), // max(1355+1, 1110+400)
	}, []answer{a, a, {5 * ms, 20 * ms}, {0, 200 * ms}, a, a},
		1000*ms, 1063*ms, 1035*ms, 1155*ms, 1355*ms, 1510*ms)
	f("from the middle", []plan.Step{skip, {Role: plan.Prime, After: []plan.Edge{start(0)}, Output: 1}, step(done(1, 40*ms), done(0, 60*ms)), skip},
		[]answer{a, {50 * ms, 50 * ms}, a, a}, -1, 1000*ms, 1090*ms, -1)
}

func TestCursorNotes(t *testing.T) {
	s := &plan.Script{Steps: []plan.Step{
		step(start(0)), step(sent(0, 1)), step(token(0, 0.5, 1)), step(token(0, 1, 1)), step(done(0, 1)),
		step(sent(0, 1), token(0, 0.5, 1), done(0, 1)),
	}}
	f := func(name string, want []plan.Due, notes ...note) {
		t.Helper()
		c, got := plan.NewCursor(s, 0, nil)
		for _, n := range notes {
			got = c.Note(got, n.step, n.point, n.share, n.at)
		}
		if diff := cmp.Diff(append([]plan.Due{{At: 0, Step: 0}}, want...), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	all := []plan.Due{{At: 11, Step: 1}, {At: 21, Step: 2}, {At: 31, Step: 3}, {At: 41, Step: 4}, {At: 41, Step: 5}}
	tellAll := []note{{10, 0, plan.Sent, 0}, {20, 0, plan.Token, 0.5}, {30, 0, plan.Token, 1}, {40, 0, plan.Done, 0}}
	f("each point", all, tellAll...)
	var twice []note
	for _, n := range tellAll {
		again := n
		again.at += 1000
		twice = append(twice, n, again, again)
	}
	f("each point three times", all, twice...)
	at := func(at time.Duration) []plan.Due {
		return []plan.Due{{At: at, Step: 1}, {At: at, Step: 2}, {At: at, Step: 3}, {At: at, Step: 4}, {At: at, Step: 5}}
	}
	f("only the end", at(51), note{50, 0, plan.Done, 0})
	f("a failed call", at(51), note{50, 0, plan.Sent, 0}, note{50, 0, plan.Token, 1}, note{50, 0, plan.Done, 0})
	f("after the end", at(51), note{50, 0, plan.Done, 0}, note{60, 0, plan.Token, 1}, note{60, 0, plan.Sent, 0})
	f("a share that jumps", []plan.Due{{At: 31, Step: 1}, {At: 31, Step: 2}}, note{30, 0, plan.Token, 0.9}, note{40, 0, plan.Token, 0.1})
	f("a step that is not due", nil, note{5, 4, plan.Done, 0}, note{5, 3, plan.Sent, 0})
}

func TestCursorEnds(t *testing.T) {
	s := &plan.Script{Steps: []plan.Step{step(start(0)), step(sent(0, 0))}}
	c, due := plan.NewCursor(s, 0, nil)
	if c.Ended() {
		t.Error("ended at once")
	}
	due = c.Note(due, 0, plan.Sent, 0, 1)
	due = c.Note(due, 1, plan.Done, 0, 2)
	if c.Ended() {
		t.Error("ended with step 0 open")
	}
	if c.Note(due, 0, plan.Done, 0, 3); !c.Ended() {
		t.Error("not ended with all steps done")
	}
	if c, due := plan.NewCursor(&plan.Script{}, 0, nil); len(due) > 0 || !c.Ended() {
		t.Error("an empty script has something to do")
	}
}

func TestMarks(t *testing.T) {
	s := &plan.Script{Steps: []plan.Step{
		step(start(0)), step(token(0, 1, 0)), step(token(0, 0.25, 0), done(1, 0)), step(token(0, 0.25, 5), sent(0, 0)),
	}}
	if diff := cmp.Diff([]float32{0.25, 1}, s.Marks(0)); diff != "" {
		t.Errorf("Marks(0) (-want +got):\n%s", diff)
	}
	if m := s.Marks(1); len(m) > 0 {
		t.Errorf("Marks(1) = %v, want none", m)
	}
}

// randomScript draws a script with every kind of edge.
func randomScript(r *rand.Rand) *plan.Script {
	s := &plan.Script{Steps: make([]plan.Step, 1+r.IntN(30))}
	for i := range s.Steps {
		st := &s.Steps[i]
		if r.IntN(8) == 0 {
			st.Role = plan.Skip
		}
		for range r.IntN(4) {
			gap := time.Duration(r.IntN(50)) * ms
			if i == 0 || r.IntN(6) == 0 {
				st.After = append(st.After, start(gap))
				continue
			}
			from := int32(r.IntN(i))
			st.After = append(st.After, []plan.Edge{sent(from, gap), token(from, float32(1+r.IntN(8))/8, gap), done(from, gap)}[r.IntN(3)])
		}
	}
	return s
}

func TestCursorHandsOutEveryStepOnceAndNeverEarly(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 0))
		s := randomScript(r)
		took := make([]answer, len(s.Steps))
		for i := range took {
			first := time.Duration(r.IntN(40)) * ms
			took[i] = answer{first, first + time.Duration(r.IntN(400))*ms}
		}
		length := func(i int32) answer { return took[i] }
		check(t, s, 77*ms, drive(t, s, 77*ms, length), length)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func TestCursorAllocates(t *testing.T) {
	s := randomScript(rand.New(rand.NewPCG(4, 4)))
	s = &plan.Script{Steps: append(s.Steps, step(start(0)))}
	for i := range s.Steps {
		s.Steps[i].Role = plan.Measured
	}
	const runs = 20
	cursors := make([]*plan.Cursor, 0, runs+1)
	dues := make([][]plan.Due, 0, runs+1)
	for range runs + 1 {
		c, due := plan.NewCursor(s, 0, make([]plan.Due, 0, len(s.Steps)))
		cursors, dues = append(cursors, c), append(dues, due)
	}
	run := 0
	allocs := testing.AllocsPerRun(runs, func() {
		c, due := cursors[run], dues[run]
		for i := 0; i < len(due); i++ {
			due = c.Note(due, due[i].Step, plan.Sent, 0, due[i].At)
			due = c.Note(due, due[i].Step, plan.Done, 0, due[i].At+ms)
		}
		if !c.Ended() {
			t.Error("the play has not ended")
		}
		run++
	})
	if allocs > 0 {
		t.Errorf("a play allocates %v times, want 0", allocs)
	}
}

func BenchmarkCursor(b *testing.B) {
	s := whole(b, build(b, plan.Config{}, chain(b, "s", 100, time.Second, time.Second)), "s")
	var due []plan.Due
	var c *plan.Cursor
	b.ReportAllocs()
	for b.Loop() {
		c, due = plan.NewCursor(s, 0, due[:0])
		for i := 0; i < len(due); i++ {
			due = c.Note(due, due[i].Step, plan.Sent, 0, due[i].At)
			due = c.Note(due, due[i].Step, plan.Done, 0, due[i].At+time.Second)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/step")
}
