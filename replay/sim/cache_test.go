package sim_test

import (
	"testing"

	"github.com/capstan-bench/capstan/replay/sim"
)

func TestCacheHit(t *testing.T) {
	a := text(1, 20)
	longer := append(text(1, 20), text(2, 4)...)
	// A longer prompt computes what is new; the same one at least its last block.
	checkEvents(t, hand(nil), []move{submit(0, 1, a, 1), submit(10_000, 2, longer, 1), submit(20_000, 3, a, 1)},
		"1200 #1 tokens 1/20/0", "1200 #1 done 1/20/0",
		"11040 #2 tokens 1/24/20", "11040 #2 done 1/24/20",
		"21040 #3 tokens 1/20/16", "21040 #3 done 1/20/16")
	// Runs are equal or they are not: another cut or another ID shares nothing, and
	// what follows a difference is not found.
	cut := append(text(1, 10), text(1, 10)...)
	after := append(text(3, 4), text(1, 20)...)
	checkEvents(t, hand(nil), []move{submit(0, 1, a, 1), submit(10_000, 2, cut, 1), submit(20_000, 3, after, 1)},
		"1200 #1 tokens 1/20/0", "1200 #1 done 1/20/0",
		"11200 #2 tokens 1/20/0", "11200 #2 done 1/20/0",
		"21240 #3 tokens 1/24/0", "21240 #3 done 1/24/0")
	// A block belongs to the run in which it ends: of two prompts that part after 6
	// bytes, the first 4 are shared.
	x, y := append(text(1, 6), text(2, 8)...), append(text(1, 6), text(3, 8)...)
	checkEvents(t, hand(nil), []move{submit(0, 1, x, 1), submit(10_000, 2, y, 1), submit(20_000, 3, x, 1)},
		"1140 #1 tokens 1/14/0", "1140 #1 done 1/14/0",
		"11100 #2 tokens 1/14/4", "11100 #2 done 1/14/4",
		"21020 #3 tokens 1/14/12", "21020 #3 done 1/14/12")
}

// TestCacheEviction: in 6 blocks of 4, A's prompt takes 4 and its answer 1. B takes
// the free one and A's, the answer first and then the prompt from its end, so A's
// first block stays; A then drops B's answer and 3 blocks of its prompt.
func TestCacheEviction(t *testing.T) {
	p := hand(func(p *sim.Params) { p.KVTokens = 24 })
	checkEvents(t, p, []move{submit(0, 1, text(1, 16), 1), submit(10_000, 2, text(2, 16), 1), submit(20_000, 1, text(1, 16), 1), submit(30_000, 2, text(2, 16), 1)},
		"1160 #1 tokens 1/16/0", "1160 #1 done 1/16/0",
		"11160 #2 tokens 1/16/0", "11160 #2 done 1/16/0",
		"21120 #1 tokens 1/16/4", "21120 #1 done 1/16/4",
		"31120 #2 tokens 1/16/4", "31120 #2 done 1/16/4")
	// What was used last stays: A is used again before C comes, so C takes the answers
	// and two blocks of B, and A's next answer the third.
	p.KVTokens = 40
	checkEvents(t, p, []move{submit(0, 1, text(1, 12), 1), submit(10_000, 2, text(2, 12), 1), submit(20_000, 1, text(1, 12), 1),
		submit(30_000, 3, text(3, 16), 1), submit(40_000, 1, text(1, 12), 1), submit(50_000, 2, text(2, 12), 1)},
		"1120 #1 tokens 1/12/0", "1120 #1 done 1/12/0",
		"11120 #2 tokens 1/12/0", "11120 #2 done 1/12/0",
		"21040 #1 tokens 1/12/8", "21040 #1 done 1/12/8",
		"31160 #3 tokens 1/16/0", "31160 #3 done 1/16/0",
		"41040 #1 tokens 1/12/8", "41040 #1 done 1/12/8",
		"51120 #2 tokens 1/12/0", "51120 #2 done 1/12/0")
}

// TestCacheShared: two prompts of 16 tokens need 10 blocks apart and 6 where they
// are the same, so with 8 blocks they run together only then. The second one does
// not wait for what the first computes: it computes it too.
func TestCacheShared(t *testing.T) {
	p := hand(func(p *sim.Params) { p.KVTokens = 32 })
	checkEvents(t, p, []move{submit(0, 1, text(1, 16), 2), submit(0, 2, text(1, 16), 2)},
		"1320 #1 tokens 1/16/0", "1320 #2 tokens 1/16/0", "2520 #1 done 2/16/0", "2520 #2 done 2/16/0")
	checkEvents(t, p, []move{submit(0, 1, text(1, 16), 2), submit(0, 2, text(2, 16), 2)},
		"1160 #1 tokens 1/16/0", "2260 #1 done 2/16/0", "3420 #2 tokens 1/16/0", "4520 #2 done 2/16/0")
	// The first one's blocks are in use while it decodes: the second finds them.
	checkEvents(t, p, []move{submit(0, 1, text(1, 16), 4), submit(2000, 2, text(1, 16), 1)},
		"1160 #1 tokens 1/16/0", "3400 #2 tokens 1/16/12", "3400 #2 done 1/16/12", "4500 #1 done 4/16/0")
}

// TestLoad follows an engine of 8 blocks in which two asks of 5 blocks meet.
func TestLoad(t *testing.T) {
	e, err := sim.New(hand(func(p *sim.Params) { p.KVTokens = 32 }))
	if err != nil {
		t.Fatal(err)
	}
	check := func(want sim.Load) {
		t.Helper()
		if got := e.Load(); got != want {
			t.Errorf("Load() = %+v, want %+v", got, want)
		}
	}
	check(sim.Load{Blocks: 8})
	e.Submit(0, sim.Ask{ID: 1, Prompt: text(1, 16), Output: 2})
	e.Submit(0, sim.Ask{ID: 2, Prompt: text(2, 16), Output: 2})
	check(sim.Load{Waiting: 2, Blocks: 8})
	drain(e, nil, 1)
	check(sim.Load{Running: 1, Waiting: 1, Used: 5, Blocks: 8})
	e.Cancel(2000, 1)
	check(sim.Load{Running: 1, Waiting: 1, Used: 5, Blocks: 8})
	if got := drain(e, nil, 1_160_001); len(got) != 0 {
		t.Errorf("a cancelled ask gave %+v", got)
	}
	check(sim.Load{Running: 1, Used: 5, Blocks: 8})
	if got := drain(e, nil, never); len(got) != 2 {
		t.Errorf("got %+v, want two events", got)
	}
	check(sim.Load{Blocks: 8})
}

// TestWake follows an engine from one time at which it is worth asking to the next.
func TestWake(t *testing.T) {
	e, err := sim.New(hand(func(p *sim.Params) { p.KVTokens, p.MaxContext = 2000, 2000 }))
	if err != nil {
		t.Fatal(err)
	}
	check := func(want int64, wantOK bool) {
		t.Helper()
		if got, ok := e.Wake(); ok != wantOK || int64(got) != want {
			t.Errorf("Wake() = %d ns, %v, want %d, %v", got, ok, want, wantOK)
		}
	}
	check(0, false)
	e.Submit(5_000, sim.Ask{ID: 1, Prompt: text(1, 4), Output: 1001})
	check(5_001, true) // the iteration that begins at 5,000 can be run
	drain(e, nil, 5_001)
	check(1_045_000, true) // its first token
	if got := drain(e, nil, 1_045_000); len(got) != 1 {
		t.Errorf("got %+v, want the first token", got)
	}
	check(1_045_000+1000*1_100_000, true) // a thousand tokens decode in one sleep
	e.Cancel(2_000_000, 1)
	drain(e, nil, 2_000_000)
	for range 3 { // the iteration under way, then the cancellation, then nothing
		w, _ := e.Wake()
		drain(e, nil, w)
	}
	check(0, false)
}
