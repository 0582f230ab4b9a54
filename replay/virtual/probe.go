package virtual

import (
	"context"
	"errors"
	"time"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/replay/sim"
)

// Probe measures levels of the plan on engines with these parameters. The error
// is that of the parameters, or of a context that ended.
func Probe(p *plan.Plan, params sim.Params) capacity.Probe {
	return func(ctx context.Context, a capacity.Ask, enough func(capacity.Window) bool) (capacity.Window, error) {
		if a.Level < 1 {
			return capacity.Window{Ask: a}, errors.New("start probe: Ask.Level must be at least 1")
		}
		engine, err := sim.New(params)
		if err != nil {
			return capacity.Window{Ask: a}, err
		}
		sweep := p.Ring() / time.Duration(a.Level)
		r := &run{
			ask: a, engine: engine, pop: p.Population(a.Seed, a.Level), interval: engine.Params().StreamInterval,
			meter: capacity.NewMeter(a, capacity.Means(p.Means()), sweep, a.Level, enough),
			calls: map[int64]*call{},
		}
		r.salt = mix(hash(r.pop.ProbeSalt()))
		return r.measure(ctx)
	}
}

// run is one probe under way.
type run struct {
	ask      capacity.Ask
	engine   *sim.Engine
	pop      *plan.Population
	salt     uint64 // of the probe
	interval int32
	meter    *capacity.Meter
	plays    []*play // by agent
	queue    queue
	calls    map[int64]*call // in the engine
	idle     []*call         // to be used again
	keys     int64
	due      []plan.Due // scratch
}

// looks is how many steps of the run lie between two looks at the context.
const looks = 1 << 12

// measure runs until the meter has its window.
func (r *run) measure(ctx context.Context) (capacity.Window, error) {
	r.plays = make([]*play, r.ask.Level)
	for i := range r.plays {
		r.begin(int32(i), 0, r.pop.Start(i))
	}
	for n := 1; ; n++ {
		now, ended := r.step()
		if ended {
			return r.meter.Window(now), nil
		}
		if n%looks == 0 && ctx.Err() != nil {
			return r.meter.Window(now), ctx.Err()
		}
	}
}

// step does the next thing that happens: something in the engine, else a call
// that is due, else a tick of the meter.
func (r *run) step() (now time.Duration, ended bool) {
	tick := r.meter.Next()
	limit := tick
	if len(r.queue) > 0 {
		limit = min(limit, r.queue[0].at)
	}
	if e, ok := r.engine.Next(limit); ok {
		r.take(e)
		return e.At, false
	}
	if limit < tick || len(r.queue) > 0 && r.queue[0].at == tick {
		r.send(r.queue.pop())
		return limit, false
	}
	return tick, r.meter.Tick(tick)
}
