package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/capstan-bench/capstan/replay"
	"github.com/capstan-bench/capstan/replay/agent"
	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/replay/sim"
	"github.com/capstan-bench/capstan/replay/simhttp"
)

// check replays two levels over HTTP: the one that the search certified, and the
// smallest one that it refuted.
func (d *demo) check(ctx context.Context, name string, params sim.Params, a capacity.Answer) error {
	levels := []int{a.L, a.U}
	for i, level := range levels {
		if level == 0 {
			continue // not even one agent, or no level failed
		}
		v, err := d.replay(ctx, params, a.SLO, level, uint64(100+i))
		if err != nil {
			return err
		}
		word := "confirms"
		if want := []capacity.Verdict{capacity.Pass, capacity.Fail}[i]; v.Verdict != want {
			word = "does not confirm"
		}
		line := fmt.Sprintf("%s over HTTP, %d× faster: %d agents %s, which %s the search (%s)",
			name, demoFactor, level, v.Verdict, word, figures(v))
		d.checks = append(d.checks, line)
		fmt.Fprintln(d.say.w, line)
		for _, w := range v.Warnings {
			fmt.Fprintf(d.say.w, "  %s\n", w)
		}
	}
	return nil
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
func (d *demo) replay(ctx context.Context, params sim.Params, slo capacity.SLO, level int, seed uint64) (capacity.Judgement, error) {
	slo = slo.Faster(demoFactor)
	none := capacity.Judgement{}
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
	probe := replay.Probe(p, replay.Config{
		Clients: []*agent.Client{client},
		// The endpoint runs in this very process, so its share of the processor
		// is ours too.
		Limits: replay.Limits{Lag: 20 * time.Millisecond, CPU: 0.95},
	})
	ask := capacity.Ask{
		Level: level, Seed: seed, Warm: time.Minute / demoFactor,
		Min: 4 * time.Second, Max: 20 * time.Second, Look: 2 * time.Second,
	}
	window, err := probe(ctx, ask, func(w capacity.Window) bool {
		return capacity.Judge(slo, w).Verdict != capacity.Undecided
	})
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
