package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/capstan-bench/capstan/replay"
	"github.com/capstan-bench/capstan/replay/agent"
	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/replay/result"
	"github.com/capstan-bench/capstan/replay/sim"
	"github.com/capstan-bench/capstan/replay/simhttp"
)

// demoCheck is one level to be replayed over HTTP.
type demoCheck struct {
	engine string
	level  int
	want   capacity.Verdict
	slo    capacity.SLO
	most   time.Duration // longest window
	seed   uint64

	got capacity.Judgement
	err error
}

// check replays two levels of each engine over HTTP: the one that the search
// certified, then one step up. The engines run side by side; each waits for most
// of the time.
func (d *demo) check(ctx context.Context, results []*result.Result) error {
	var confirm, refute []*demoCheck
	for i, r := range results {
		a := r.Search.Answers[0]
		confirm = append(confirm, &demoCheck{engine: demoEngines[i], level: a.L, want: capacity.Pass, slo: a.SLO, most: time.Minute, seed: 101})
		refute = append(refute, &demoCheck{engine: demoEngines[i], level: stepUp(r.Search, 0), want: capacity.Fail, slo: a.SLO, most: 20 * time.Second, seed: 102})
	}
	fmt.Fprintf(d.say.w, "replaying over HTTP, %d× faster than recorded\n", demoFactor)
	for _, round := range [][]*demoCheck{confirm, refute} {
		if err := d.sideBySide(ctx, round); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) sideBySide(ctx context.Context, checks []*demoCheck) error {
	var all sync.WaitGroup
	for _, c := range checks {
		if c.level > 0 { // else not even one agent was carried, or no level failed
			all.Go(func() { c.got, c.err = d.replay(ctx, c) })
		}
	}
	all.Wait()
	for _, c := range checks {
		if c.err != nil {
			return fmt.Errorf("%s over HTTP: %w", c.engine, c.err)
		}
		if c.level > 0 {
			d.tell(c)
		}
	}
	return nil
}

// tell says what a check gave, and keeps it for the end.
func (d *demo) tell(c *demoCheck) {
	line := fmt.Sprintf("%s over HTTP, %d× faster: %d agents %s, %s (%s)",
		c.engine, demoFactor, c.level, c.got.Verdict, agreement(c.got.Verdict, c.want), figures(c.got))
	d.checks = append(d.checks, line)
	fmt.Fprintln(d.say.w, line)
	for _, w := range c.got.Warnings {
		fmt.Fprintf(d.say.w, "  %s\n", w)
	}
}

// stepUp is the smallest level that failed the i-th tier and lies an eighth or
// more above the certified one: closer to the edge, a window of a few minutes
// cannot tell. It is 0 where no such level was probed.
func stepUp(r capacity.Result, i int) int {
	least := 0
	for _, p := range r.Probes {
		if p.Judgements[i].Verdict == capacity.Fail && 8*p.Ask.Level >= 9*r.Answers[i].L && (least == 0 || p.Ask.Level < least) {
			least = p.Ask.Level
		}
	}
	return least
}

func agreement(got, want capacity.Verdict) string {
	switch got {
	case want:
		return "as the search found"
	case capacity.Undecided:
		return "too short to tell"
	}
	return "against what the search found"
}

// figures writes what a judgement rests on, at the speed of the recording.
func figures(j capacity.Judgement) string {
	var parts []string
	for _, c := range j.Conds {
		e, f := c.Estimate, 1.0
		switch c.Cond.Metric {
		case capacity.ErrorRate:
			continue
		case capacity.Speed:
			f = 1.0 / demoFactor
		default:
			f = demoFactor
		}
		parts = append(parts, fmt.Sprintf("%s(%s) %.3g [%.3g, %.3g]", c.Cond.Stat, c.Cond.Metric, e.Center*f, e.Lo*f, e.Hi*f))
	}
	return fmt.Sprintf("%s, n %d", strings.Join(parts, ", "), j.N)
}

// replay measures one level of the dataset over HTTP, with engine, gaps and
// limits demoFactor times faster.
func (d *demo) replay(ctx context.Context, c *demoCheck) (capacity.Judgement, error) {
	none := capacity.Judgement{}
	params, _ := sim.Builtin(c.engine)
	p, err := plan.Build(ctx, d.dataset.Sessions(), plan.Config{
		Model: params.Name, GapScale: 1.0 / demoFactor, GapCap: plan.DefaultGapCap / demoFactor,
	})
	if err != nil {
		return none, err
	}
	target, stop, err := serve(ctx, params.Scaled(demoFactor))
	if err != nil {
		return none, err
	}
	defer stop()
	client, err := agent.New(agent.Config{Target: target})
	if err != nil {
		return none, err
	}
	defer client.Close()
	probe := replay.Probe(p, replay.Config{
		Clients: []*agent.Client{client},
		// The endpoint runs in this very process, so its share of the processor
		// is ours too. 40 ms are 2.4 s at the speed of the recording, a quarter of
		// the first tier's limit; they count as part of the time to first token.
		Limits: replay.Limits{Lag: 40 * time.Millisecond, CPU: 0.95},
	})
	slo := c.slo.Faster(demoFactor)
	window, err := probe(ctx, capacity.Ask{
		Level: c.level, Seed: c.seed, Warm: time.Minute / demoFactor,
		Min: 4 * time.Second, Max: c.most, Look: 4 * time.Second,
	}, func(w capacity.Window) bool { return capacity.Judge(slo, w).Verdict != capacity.Undecided })
	if err != nil {
		return none, err
	}
	return capacity.Judge(slo, window), nil
}

// serve runs a simulated endpoint on a free port of this machine until stop is
// called.
func serve(ctx context.Context, params sim.Params) (target *url.URL, stop func(), err error) {
	server, err := simhttp.New(params)
	if err != nil {
		return nil, nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, fmt.Errorf("listen: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		server.Serve(ctx, ln)
	}()
	return &url.URL{Scheme: "http", Host: ln.Addr().String()}, func() { cancel(); <-ended }, nil
}
