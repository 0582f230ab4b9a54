package replay_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/capstan-bench/capstan/replay"
	"github.com/capstan-bench/capstan/replay/agent"
	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/replay/sim"
	"github.com/capstan-bench/capstan/replay/simhttp"
	"github.com/capstan-bench/capstan/replay/virtual"
	"github.com/capstan-bench/capstan/schema"
)

// live runs a probe over HTTP against the engine's server, on in-memory
// connections and in the virtual time of a bubble.
func live(t *testing.T, p *plan.Plan, params sim.Params, a capacity.Ask) (w capacity.Window) {
	synctest.Test(t, func(t *testing.T) {
		srv, err := simhttp.New(params)
		if err != nil {
			t.Fatal(err)
		}
		l := newListener()
		ctx, stop := context.WithCancel(context.Background())
		served := make(chan error, 1)
		go func() { served <- srv.Serve(ctx, l) }()
		k := l.client(t)
		w, err = replay.Probe(p, replay.Config{Clients: []*agent.Client{k}})(context.Background(), a, nil)
		if err != nil {
			t.Error(err)
		}
		k.Close()
		stop()
		if err := <-served; err != nil {
			t.Errorf("the server ended with %v", err)
		}
		time.Sleep(time.Minute) // the connection pool's janitor ends by itself
	})
	return w
}

// order sorts samples by what they are of: calls that ended in the same instant
// stand in no order of their own.
func order(samples []schema.Sample) []schema.Sample {
	s := slices.Clone(samples)
	slices.SortFunc(s, func(a, b schema.Sample) int { return strings.Compare(name(a), name(b)) })
	return s
}

// spawned tells whether a sample is of a sub-agent's first call, which hangs on
// half of an answer.
func spawned(s schema.Sample) bool { return s.TrajectoryID == "sub" && s.CallIndex == 0 }

// A live run and a run in virtual time of one plan against one engine give the
// same samples, to the microsecond and in every column but these: sent_bytes
// and read_bytes, as there are no bytes on a wire in virtual time.
func TestLiveAndVirtualAreIdentical(t *testing.T) {
	f := func(name string, params sim.Params, a capacity.Ask) {
		t.Run(name, func(t *testing.T) {
			p := newPlan(t, 5, plan.Config{})
			want, err := virtual.Probe(p, params)(context.Background(), a, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := live(t, p, params, a)
			if n := len(want.Samples); n < 20 || !slices.ContainsFunc(want.Samples, spawned) {
				t.Fatalf("the virtual run has %d samples, too few or none of a sub-agent", n)
			}
			got.Samples, want.Samples = order(got.Samples), order(want.Samples)
			got.Invalid, got.Warnings = nil, nil // about the client, which virtual runs have not
			ignore := cmpopts.IgnoreFields(schema.Sample{}, "SentBytes", "ReadBytes")
			if d := cmp.Diff(want, got, ignore, cmpopts.EquateApprox(0, 1e-12)); d != "" {
				if len(d) > 6000 {
					d = d[:6000] + "…"
				}
				t.Errorf("windows differ (-virtual +live):\n%s", d)
			}
		})
	}
	with := func(edit func(*sim.Params)) sim.Params {
		p, ok := sim.Builtin("small")
		if !ok {
			t.Fatal("there is no engine small")
		}
		edit(&p)
		return p
	}
	a := func(level int, seed uint64) capacity.Ask {
		return capacity.Ask{Index: 2, Level: level, Seed: seed, Warm: time.Second, Min: time.Second, Max: 8 * time.Second}
	}
	f("one agent", with(func(p *sim.Params) {}), a(1, 1))
	f("many agents", with(func(p *sim.Params) {}), a(40, 2))
	f("queueing", with(func(p *sim.Params) { p.MaxBatch, p.StepUS = 3, 20000 }), a(9, 3))
	f("chunks of tokens", with(func(p *sim.Params) { p.StreamInterval = 5 }), a(6, 4))
	f("speculation", with(func(p *sim.Params) { p.TokensPerStep, p.StreamInterval = 2.7, 3 }), a(6, 5))
	f("a pool for prompts", with(func(p *sim.Params) {
		p.Prefill = &sim.Prefill{StepUS: 1000, KVTokens: 100_000, MaxBatch: 4, BatchTokens: 512, TransferUS: 300, TokenUS: 0.7}
	}), a(6, 6))
	f("a cache too small", with(func(p *sim.Params) { p.KVTokens, p.BlockTokens, p.BytesPerToken = 2048, 16, 3.7 }), a(6, 7))
	f("a context too small", with(func(p *sim.Params) { p.MaxContext = 700 }), a(6, 8))
}
