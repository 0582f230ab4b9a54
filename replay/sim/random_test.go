package sim_test

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/replay/sim"
)

// dice draw a number below n.
type dice func(n int) int

func rolled(seed uint64) dice { return rand.New(rand.NewPCG(seed, 1)).IntN }

// written are dice that read their numbers from data, and then only roll 0.
func written(data []byte) dice {
	return func(n int) int {
		var b [2]byte
		data = data[copy(b[:], data):]
		return int(binary.LittleEndian.Uint16(b[:])) % n
	}
}

func (d dice) between(lo, hi int) int { return lo + d(hi-lo+1) }

// us is a cost in microseconds to a thousandth, 0 one time out of four.
func (d dice) us(least, most int) float64 {
	if least == 0 && d(4) == 0 {
		return 0
	}
	return float64(d.between(1000*least, 1000*most)) / 1000
}

// engine draws small parameters, in which everything is scarce now and then.
func (d dice) engine() sim.Params {
	p := sim.Params{
		Name: "drawn", BytesPerToken: float64(d.between(300, 5000)) / 1000, BlockTokens: int32(d.between(1, 9)), TokensPerStep: 1, StreamInterval: 1,
		StepUS: d.us(1, 50), PrefillUS: d.us(1, 9), AttentionUS: d.us(0, 60), SequenceUS: d.us(0, 9), ContextUS: d.us(0, 90),
		MaxBatch: int32(d.between(1, 5)), MaxContext: int32(d.between(20, 150)),
	}
	if d(2) == 0 {
		p.TokensPerStep = float64(d.between(1000, 4000)) / 1000
	}
	budget := func() int32 { return p.MaxBatch*4 + int32(d.between(1, 40)) }
	p.KVTokens, p.BatchTokens = int64(d.between(int(p.BlockTokens), 300)), budget()
	if d(3) == 0 {
		p.Prefill = &sim.Prefill{StepUS: d.us(1, 50), KVTokens: int64(d.between(int(p.BlockTokens), 300)), MaxBatch: int32(d.between(1, 5)),
			BatchTokens: 0, TransferUS: d.us(0, 90), TokenUS: d.us(0, 3)}
		p.Prefill.BatchTokens = p.Prefill.MaxBatch*4 + int32(d.between(1, 40))
	}
	return p
}

// prompt draws runs of which prompts have many in common.
func (d dice) prompt() (runs []sim.Run) {
	for range d(5) {
		id := uint64(d(3))
		runs = append(runs, sim.Run{ID: id, Bytes: int32(40*id) + int32(d(2)*d(120)) - 1})
	}
	return runs
}

// moves draws n asks and some cancellations, sorted by time.
func (d dice) moves(n int) (moves []move) {
	now := time.Duration(0)
	for id := range int64(n) {
		if d(3) > 0 {
			now += time.Duration(d(d.between(1, 4000))) * 1000
			now += time.Duration(d(1000))
		}
		a := sim.Ask{ID: id, Prompt: d.prompt(), Output: int32(d(d.between(1, 60))), Every: int32(d(2) * d(9))}
		for m := range int32(d(4)) {
			a.Marks = append(a.Marks, 7*m+int32(d(7)))
		}
		moves = append(moves, move{at: now, ask: a})
		if d(4) == 0 {
			moves = append(moves, move{at: now + time.Duration(d(300_000)), cancel: true, ask: sim.Ask{ID: id}})
		}
	}
	slices.SortStableFunc(moves, func(a, b move) int { return int(a.at - b.at) })
	return moves
}

const never = time.Duration(1<<63 - 1)

// drain takes all events up to a limit.
func drain(e *sim.Engine, events []sim.Event, limit time.Duration) []sim.Event {
	for {
		ev, ok := e.Next(limit)
		if !ok {
			return events
		}
		events = append(events, ev)
	}
}

// drive makes moves on a new engine. Between them, advance takes the events up
// to a time.
func drive(t testing.TB, p sim.Params, moves []move, advance func(*sim.Engine, []sim.Event, time.Duration) []sim.Event) (events []sim.Event) {
	t.Helper()
	e, err := sim.New(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range moves {
		events = advance(e, events, m.at)
		if m.cancel {
			e.Cancel(m.at, m.ask.ID)
		} else {
			e.Submit(m.at, m.ask)
		}
	}
	events = advance(e, events, never)
	if l := e.Load(); l.Running != 0 || l.Waiting != 0 || l.Used != 0 {
		t.Errorf("after the last event the engine still has a load: %+v", l)
	}
	return events
}

func checkNaive(t *testing.T, p sim.Params, moves []move) []sim.Event {
	t.Helper()
	e, err := sim.New(p)
	if err != nil {
		t.Fatal(err)
	}
	p = e.Params()
	got := drive(t, p, moves, drain)
	if diff := cmp.Diff(naive(p, moves), got); diff != "" {
		t.Fatalf("engine %+v, prefill %+v\nmoves %+v\nevents differ from one iteration at a time (-naive +engine):\n%s", p, p.Prefill, moves, diff)
	}
	return got
}

// TestNaive compares engines with the naive one, event by event.
func TestNaive(t *testing.T) {
	kinds, cached, apart := map[sim.Kind]int{}, 0, 0
	for seed := range uint64(3000) {
		d := rolled(seed)
		p := d.engine()
		if p.Prefill != nil {
			apart++
		}
		for _, e := range checkNaive(t, p, d.moves(d.between(1, 40))) {
			kinds[e.Kind]++
			if e.Cached > 0 {
				cached++
			}
		}
	}
	t.Logf("%d engines with a prefill pool; events: %v, with cached tokens: %d", apart, kinds, cached)
	if kinds[sim.Tokens] < 10_000 || kinds[sim.Done] < 10_000 || kinds[sim.Rejected] < 1000 || cached < 10_000 || apart < 500 {
		t.Error("too little happened to prove much")
	}
}

// TestClosedLoop answers events with asks and cancellations of the same time, as a
// replay does, and lets the engine run as far as it likes between them.
func TestClosedLoop(t *testing.T) {
	for seed := range uint64(500) {
		d := rolled(seed)
		e, err := sim.New(d.engine())
		if err != nil {
			t.Fatal(err)
		}
		var moves []move
		var got []sim.Event
		ask := func(now time.Duration) {
			a := sim.Ask{ID: int64(len(moves)), Prompt: d.prompt(), Output: int32(d(40)), Every: int32(d(2) * d(9))}
			moves = append(moves, move{at: now, ask: a})
			e.Submit(now, a)
		}
		for range d.between(1, 6) {
			ask(0)
		}
		for ev, ok := e.Next(never); ok; ev, ok = e.Next(never) {
			got = append(got, ev)
			if ev.Kind != sim.Tokens && len(moves) < 60 {
				ask(ev.At)
			}
			if d(8) == 0 {
				m := move{at: ev.At, cancel: true, ask: sim.Ask{ID: int64(d(len(moves)))}}
				moves = append(moves, m)
				e.Cancel(m.at, m.ask.ID)
			}
		}
		if diff := cmp.Diff(naive(e.Params(), moves), got); diff != "" {
			t.Fatalf("seed %d: engine %+v\nmoves %+v\nevents differ from one iteration at a time (-naive +engine):\n%s", seed, e.Params(), moves, diff)
		}
	}
}

func FuzzNaive(f *testing.F) {
	for seed := range uint64(8) {
		d, data := rolled(seed), make([]byte, 600)
		for i := range data {
			data[i] = byte(d(256))
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := written(data)
		p := d.engine()
		checkNaive(t, p, d.moves(min(len(data)/16+1, 60)))
	})
}

// TestLimitsDoNotMatter drives the same engine with one limit for each move, with
// one for all, with many small ones, and by its own wake-up times.
func TestLimitsDoNotMatter(t *testing.T) {
	for seed := range uint64(500) {
		d := rolled(seed)
		p, moves := d.engine(), d.moves(30)
		want := drive(t, p, moves, drain)
		blind := drive(t, p, moves, func(e *sim.Engine, events []sim.Event, limit time.Duration) []sim.Event {
			if limit < never {
				return events // it asks only after the last move
			}
			return drain(e, events, limit)
		})
		if diff := cmp.Diff(want, blind); diff != "" {
			t.Fatalf("seed %d: asking once changes the events (-often +once):\n%s", seed, diff)
		}
		small := drive(t, p, moves, func(e *sim.Engine, events []sim.Event, limit time.Duration) []sim.Event {
			for at := at(events); at < min(limit, time.Second); at += time.Duration(d.between(1, 50_000)) {
				events = drain(e, events, at)
			}
			return drain(e, events, limit)
		})
		if diff := cmp.Diff(want, small); diff != "" {
			t.Fatalf("seed %d: many limits change the events (-one +many):\n%s", seed, diff)
		}
		wakes := drive(t, p, moves, func(e *sim.Engine, events []sim.Event, limit time.Duration) []sim.Event {
			return sleep(t, e, events, limit)
		})
		if diff := cmp.Diff(want, wakes); diff != "" {
			t.Fatalf("seed %d: sleeping until Wake changes the events (-one +wake):\n%s", seed, diff)
		}
	}
}

// at is the time of the last event.
func at(events []sim.Event) time.Duration {
	if len(events) == 0 {
		return 0
	}
	return events[len(events)-1].At
}

// sleep takes the events up to a limit as a driver in real time does.
func sleep(t testing.TB, e *sim.Engine, events []sim.Event, limit time.Duration) []sim.Event {
	t.Helper()
	for last := time.Duration(-1); ; {
		wake, ok := e.Wake()
		if !ok || wake > limit {
			break
		}
		if wake <= last {
			t.Fatalf("Wake() = %v after it was asked at %v", wake, last)
		}
		if wake > 0 {
			if ev, ok := e.Next(wake - 1); ok {
				t.Fatalf("an event at %v, before Wake() = %v", ev.At, wake)
			}
		}
		events, last = drain(e, events, wake), wake
	}
	if limit < never {
		return drain(e, events, limit)
	}
	if ev, ok := e.Next(limit); ok {
		t.Fatalf("an event at %v that Wake did not tell of", ev.At)
	}
	return events
}

// TestChunks compares the chunks that an answer is said to come in with the
// reports that it comes in.
func TestChunks(t *testing.T) {
	for seed := range uint64(2000) {
		d := rolled(seed)
		p := hand(func(p *sim.Params) {
			p.TokensPerStep, p.StreamInterval = float64(d.between(1000, 5000))/1000, int32(d.between(0, 7))
		})
		a := sim.Ask{ID: 1, Prompt: text(1, 4), Output: int32(d.between(0, 60)), Every: max(1, p.StreamInterval)}
		events := drive(t, p, []move{{ask: a}}, drain)
		want := len(events)
		if a.Output <= 1 {
			want = 1 // the first token is the last
		}
		if got := p.Chunks(a.Output); int(got) != want {
			t.Fatalf("%v tokens a step, %d a chunk: Chunks(%d) = %d, want %d", p.TokensPerStep, p.StreamInterval, a.Output, got, want)
		}
	}
}
