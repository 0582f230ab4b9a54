package sim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/replay/sim"
)

// hand is an engine whose times can be worked out by hand: an iteration takes
// 1 ms, 10 µs for each token of a prompt and 100 µs for each sequence that
// decodes. A byte of prompt is a token, and a block holds 4.
func hand(change func(*sim.Params)) sim.Params {
	p := sim.Params{BytesPerToken: 1, BlockTokens: 4, StepUS: 1000, PrefillUS: 10, SequenceUS: 100,
		KVTokens: 400, MaxBatch: 4, BatchTokens: 100, MaxContext: 500}
	if change != nil {
		change(&p)
	}
	return p
}

// text is a prompt of its own.
func text(id uint64, bytes int32) []sim.Run { return []sim.Run{{ID: id, Bytes: bytes}} }

func submit(us int, id int64, prompt []sim.Run, output int32) move {
	return move{at: time.Duration(us) * time.Microsecond, ask: sim.Ask{ID: id, Prompt: prompt, Output: output}}
}

// every reports each nth token, besides the first and the last.
func every(n int32, m move) move {
	m.ask.Every = n
	return m
}

func cancel(us int, id int64) move {
	return move{at: time.Duration(us) * time.Microsecond, cancel: true, ask: sim.Ask{ID: id}}
}

// checkEvents compares events in the form "µs #ID kind tokens/input/cached".
func checkEvents(t *testing.T, p sim.Params, moves []move, want ...string) {
	t.Helper()
	var got []string
	for _, e := range checkNaive(t, p, moves) {
		kind := [...]string{"tokens", "done", "rejected"}[e.Kind]
		got = append(got, fmt.Sprintf("%v #%d %s %d/%d/%d", float64(e.At)/1000, e.ID, kind, e.Tokens, e.Input, e.Cached))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events of %+v (-want +got):\n%s", p, diff)
	}
}

func TestOneSequence(t *testing.T) {
	// 1000 + 20·10, then 1000 + 100 for each token.
	checkEvents(t, hand(nil), []move{submit(5000, 1, text(1, 20), 3)},
		"6200 #1 tokens 1/20/0", "8400 #1 done 3/20/0")
	checkEvents(t, hand(nil), []move{every(1, submit(5000, 1, text(1, 20), 3))},
		"6200 #1 tokens 1/20/0", "7300 #1 tokens 2/20/0", "8400 #1 done 3/20/0")
	checkEvents(t, hand(nil), []move{every(3, submit(0, 1, text(1, 20), 9))},
		"1200 #1 tokens 1/20/0", "4500 #1 tokens 4/20/0", "7800 #1 tokens 7/20/0", "10000 #1 done 9/20/0")
	marked := submit(0, 1, text(1, 20), 9)
	marked.ask.Marks = []int32{0, 2, 2, 8, 9, 40}
	checkEvents(t, hand(nil), []move{marked},
		"1200 #1 tokens 1/20/0", "2300 #1 tokens 2/20/0", "8900 #1 tokens 8/20/0", "10000 #1 done 9/20/0")
	// The first token of one is the last too; no output counts as one token.
	checkEvents(t, hand(nil), []move{submit(0, 1, text(1, 20), 0)},
		"1200 #1 tokens 1/20/0", "1200 #1 done 1/20/0")
	// A prompt without bytes is one token, and 5 bytes of 2.5 a token are two.
	checkEvents(t, hand(nil), []move{submit(0, 1, []sim.Run{{ID: 1}, {ID: 2, Bytes: -9}}, 1)},
		"1010 #1 tokens 1/1/0", "1010 #1 done 1/1/0")
	checkEvents(t, hand(func(p *sim.Params) { p.BytesPerToken = 2.5 }), []move{submit(0, 1, append(text(1, 3), text(1, 2)...), 1)},
		"1020 #1 tokens 1/2/0", "1020 #1 done 1/2/0")
}

// TestCosts: with 1 µs for each token of prompt per token before it, and 1 µs for
// each token of context, a prompt of 4 takes 40 + (0+1+2+3) µs, and a token after
// it 100 + 5 µs, then 100 + 6.
func TestCosts(t *testing.T) {
	p := hand(func(p *sim.Params) { p.AttentionUS, p.ContextUS = 1000, 1000 })
	checkEvents(t, p, []move{every(1, submit(0, 1, text(1, 4), 3))},
		"1046 #1 tokens 1/4/0", "2151 #1 tokens 2/4/0", "3257 #1 done 3/4/0")
	// Less than a nanosecond is kept: 3 iterations of 1000.1 ns.
	p = hand(func(p *sim.Params) { p.StepUS, p.PrefillUS, p.SequenceUS = 1, 0.0001, 0.0001 })
	checkEvents(t, p, []move{every(1, submit(0, 1, text(1, 1), 3))},
		"1.001 #1 tokens 1/1/0", "2.001 #1 tokens 2/1/0", "3.001 #1 done 3/1/0")
}

func TestChunkedPrefill(t *testing.T) {
	p := hand(func(p *sim.Params) { p.BatchTokens = 10 })
	// 25 tokens in chunks of 10, 10 and 5.
	checkEvents(t, p, []move{submit(0, 1, text(1, 25), 1)},
		"3250 #1 tokens 1/25/0", "3250 #1 done 1/25/0")
	// A's 5 tokens leave 5 for B, whose other 20 share two iterations of 9, and one
	// of 2, with A's decoding: 1100, 1190, 1190, 1120; then 100 for each of two.
	checkEvents(t, p, []move{every(1, submit(0, 1, text(1, 5), 5)), submit(0, 2, text(2, 25), 2)},
		"1100 #1 tokens 1/5/0", "2290 #1 tokens 2/5/0", "3480 #1 tokens 3/5/0",
		"4600 #1 tokens 4/5/0", "4600 #2 tokens 1/25/0", "5800 #1 done 5/5/0", "5800 #2 done 2/25/0")
}

func TestQueue(t *testing.T) {
	one := hand(func(p *sim.Params) { p.MaxBatch = 1 })
	checkEvents(t, one, []move{submit(0, 7, text(1, 10), 2), submit(0, 5, text(2, 10), 2), submit(0, 6, text(3, 10), 1)},
		"1100 #7 tokens 1/10/0", "2200 #7 done 2/10/0", "3300 #5 tokens 1/10/0", "4400 #5 done 2/10/0",
		"5500 #6 tokens 1/10/0", "5500 #6 done 1/10/0")
	// What comes during an iteration takes part in the next one, at 1100.
	checkEvents(t, hand(nil), []move{submit(0, 1, text(1, 10), 3), submit(1, 2, text(2, 10), 1)},
		"1100 #1 tokens 1/10/0", "2300 #2 tokens 1/10/0", "2300 #2 done 1/10/0", "3400 #1 done 3/10/0")
	// B does not fit beside A in 10 blocks, and holds up C, which would.
	small := hand(func(p *sim.Params) { p.KVTokens = 40 })
	checkEvents(t, small, []move{submit(0, 1, text(1, 20), 2), submit(0, 2, text(2, 30), 1), submit(0, 3, text(3, 4), 1)},
		"1200 #1 tokens 1/20/0", "2300 #1 done 2/20/0",
		"3640 #2 tokens 1/30/0", "3640 #2 done 1/30/0", "3640 #3 tokens 1/4/0", "3640 #3 done 1/4/0")
}

func TestTooLong(t *testing.T) {
	checkEvents(t, hand(func(p *sim.Params) { p.KVTokens = 600 }),
		[]move{submit(3, 1, text(1, 498), 3), submit(3, 2, text(1, 497), 3), cancel(4, 2)}, "3 #1 rejected 0/498/0")
	// 33 tokens fill 9 blocks, and there are 8.
	p := hand(func(p *sim.Params) { p.KVTokens = 35 })
	checkEvents(t, p, []move{submit(3, 1, text(1, 30), 3), submit(3, 2, text(1, 30), 2), cancel(4, 2)}, "3 #1 rejected 0/30/0")
	p.Prefill = &sim.Prefill{StepUS: 1, KVTokens: 28, MaxBatch: 1, BatchTokens: 9}
	checkEvents(t, p, []move{submit(3, 1, text(1, 29), 1), submit(3, 2, text(1, 28), 1), cancel(4, 2)}, "3 #1 rejected 0/29/0")
	e, err := sim.New(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		input, output int64
		want          bool
	}{{28, 4, true}, {28, 5, false}, {29, 1, false}, {1 << 40, 1, false}} {
		if got := e.Fits(c.input, c.output); got != c.want {
			t.Errorf("Fits(%d, %d) = %v, want %v", c.input, c.output, got, c.want)
		}
	}
	huge := []sim.Run{{ID: 1, Bytes: 1<<31 - 1}, {ID: 1, Bytes: 1<<31 - 1}, {ID: 1, Bytes: 1<<31 - 1}}
	e.Submit(0, sim.Ask{ID: 1, Prompt: huge, Output: 1<<31 - 1})
	if ev, ok := e.Next(0); !ok || ev.Kind != sim.Rejected || ev.Input != 1<<31-1 {
		t.Errorf("a prompt of 6 GiB: got %+v, %v, want a rejection", ev, ok)
	}
}

func TestCancel(t *testing.T) {
	one := hand(func(p *sim.Params) { p.MaxBatch, p.BatchTokens = 1, 10 })
	// A's second chunk is under way, so B begins at 2200; it finds A's 20 tokens.
	checkEvents(t, one, []move{submit(0, 1, text(1, 25), 1), cancel(1500, 1), submit(1600, 2, text(1, 25), 1)},
		"3250 #2 tokens 1/25/20", "3250 #2 done 1/25/20")
	// At the very time of an event that was not taken, the event still counts.
	checkEvents(t, one, []move{every(1, submit(0, 1, text(1, 4), 9)), cancel(3240, 1), cancel(3300, 1), submit(3240, 2, text(2, 4), 1)},
		"1040 #1 tokens 1/4/0", "2140 #1 tokens 2/4/0", "3240 #1 tokens 3/4/0", "4280 #2 tokens 1/4/0", "4280 #2 done 1/4/0")
	// One that waits leaves the queue, and what ended or never was is ignored.
	checkEvents(t, one, []move{submit(0, 1, text(1, 4), 2), submit(0, 2, text(2, 4), 1), submit(0, 3, text(3, 4), 1), cancel(10, 2), cancel(10, 9), cancel(9999, 1)},
		"1040 #1 tokens 1/4/0", "2140 #1 done 2/4/0", "3180 #3 tokens 1/4/0", "3180 #3 done 1/4/0")
	// An ID may come again.
	checkEvents(t, one, []move{submit(0, 1, text(1, 4), 1), submit(5000, 1, text(1, 6), 1), cancel(5100, 1), submit(9000, 1, text(2, 4), 1)},
		"1040 #1 tokens 1/4/0", "1040 #1 done 1/4/0", "10040 #1 tokens 1/4/0", "10040 #1 done 1/4/0")
}

// TestPrefillPool: a prompt of 20 takes 2000 + 200 in the pool for prompts, 500 +
// 20 on its way, and 1100 for each further token in the other pool.
func TestPrefillPool(t *testing.T) {
	p := hand(func(p *sim.Params) {
		p.Prefill = &sim.Prefill{StepUS: 2000, KVTokens: 80, MaxBatch: 1, BatchTokens: 50, TransferUS: 500, TokenUS: 1}
	})
	checkEvents(t, p, []move{submit(0, 1, text(1, 20), 3), submit(0, 2, text(1, 20), 2), submit(0, 3, text(3, 20), 1)},
		"2200 #1 tokens 1/20/0",
		"4240 #2 tokens 1/20/16", // four tokens to compute
		"4920 #1 done 3/20/0",    // 2720 + 2·1100
		"6020 #2 done 2/20/16",   // there at 4760, it waits for the iteration that ends at 4920
		"6440 #3 tokens 1/20/0", "6440 #3 done 1/20/0")
	// B waits for a seat in the decoding pool, until A is done at 4920.
	p.MaxBatch = 1
	checkEvents(t, p, []move{submit(0, 1, text(1, 20), 3), submit(0, 2, text(1, 20), 2)},
		"2200 #1 tokens 1/20/0", "4240 #2 tokens 1/20/16", "4920 #1 done 3/20/0", "6020 #2 done 2/20/16")
	// On its way, and while it waits there, it can be cancelled.
	for _, us := range []int{4300, 4760, 4800} {
		checkEvents(t, p, []move{submit(0, 1, text(1, 20), 3), submit(0, 2, text(1, 20), 2), cancel(us, 2)},
			"2200 #1 tokens 1/20/0", "4240 #2 tokens 1/20/16", "4920 #1 done 3/20/0")
	}
}

// TestSpeculation: 2.5 tokens an iteration are 1, 3, 6, 8, 11 tokens, and three
// tokens of the budget.
func TestSpeculation(t *testing.T) {
	p := hand(func(p *sim.Params) { p.TokensPerStep, p.MaxBatch, p.BatchTokens = 2.5, 2, 7 })
	checkEvents(t, p, []move{every(1, submit(0, 1, text(1, 7), 10))},
		"1070 #1 tokens 1/7/0", "2170 #1 tokens 3/7/0", "3270 #1 tokens 6/7/0", "4370 #1 tokens 8/7/0", "5470 #1 done 10/7/0")
	checkEvents(t, p, []move{submit(0, 1, text(1, 7), 8), submit(0, 2, text(2, 7), 1)},
		"1070 #1 tokens 1/7/0", // B has 4 of its tokens beside A, then the other 3
		"3340 #2 tokens 1/7/0", "3340 #2 done 1/7/0", "4440 #1 done 8/7/0")
}

// TestLong checks sums that take the closed form: a million iterations, each of
// them longer than the one before, and some of minutes, whose sum in femtoseconds
// passes 64 bits.
func TestLong(t *testing.T) {
	f := func(output int32, want time.Duration, change func(*sim.Params)) {
		t.Helper()
		e, err := sim.New(hand(change))
		if err != nil {
			t.Fatal(err)
		}
		e.Submit(0, sim.Ask{ID: 1, Prompt: text(1, 4), Output: output})
		events := drain(e, nil, never)
		if len(events) != 2 || events[1].At != want || events[1].Kind != sim.Done || events[1].Tokens != output {
			t.Errorf("%d tokens: got %+v, want the end at %v", output, events, want)
		}
	}
	// Femtoseconds: k·(1000 µs + 100 µs + 5 contexts of 100 fs) + 100·k·(k−1)/2.
	const k = 1 << 20
	f(k+1, 1040*time.Microsecond+time.Duration((k*(1_100_000_000_000+500)+100*(k*(k-1)/2)+999_999)/1_000_000),
		func(p *sim.Params) { p.ContextUS, p.KVTokens, p.MaxContext = 0.0001, 1<<24, 1<<24 })
	f(101, 101*500*time.Second+40*time.Microsecond+100*100*time.Microsecond,
		func(p *sim.Params) { p.StepUS = 500e6 })
}

func TestBadEngine(t *testing.T) {
	if _, err := sim.New(sim.Params{}); err == nil || !strings.Contains(err.Error(), "step_us") {
		t.Errorf("New of no parameters = %v, want an error that names step_us", err)
	}
}
