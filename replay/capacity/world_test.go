package capacity_test

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/schema"
)

// world is a system in closed form: what it does at a level is known exactly.
// The zero value is a system that always meets everything.
type world struct {
	speed func(level float64) float64 // true P25 of output speed, tok/s; nil: 1000
	ttft  func(level float64) float64 // true P95 of TTFT, seconds; nil: 0.01

	call, play, time float64                         // standard deviations of the logarithms' parts
	fails            func(level float64) float64     // share of failed calls; nil: 0
	spoil            func(w *capacity.Window, a int) // the last word on a window of probe a; nil: none
	err              func(probe int) error           // what the probe returns; nil: nothing
}

const (
	worldPace  = 5 * time.Second  // an agent's calls
	worldPlay  = 12               // calls of a play
	worldState = 90 * time.Second // the system's part of the noise lasts
)

// Normal quantiles, to turn percentiles into medians.
const z25, z95 = 0.6744898, 1.6448536

// probe measures the world. It counts its windows' lengths in spent.
func (w world) probe(spent *time.Duration) capacity.Probe {
	return func(ctx context.Context, a capacity.Ask, enough func(capacity.Window) bool) (capacity.Window, error) {
		d := &draw{world: w, ask: a, rand: rand.New(rand.NewPCG(a.Seed, 1)), plays: map[[2]int32]float64{}, states: map[int64]float64{}}
		out := capacity.Window{Ask: a, From: a.Warm, To: a.Warm, Settled: true, Duty: 0.5}
		for t := a.Look; ; t += a.Look {
			t = min(t, a.Max)
			out.Samples = d.calls(out.Samples, out.To-a.Warm, t)
			out.To = a.Warm + t
			if w.spoil != nil {
				w.spoil(&out, a.Index)
			}
			if t >= a.Max || t >= a.Min && enough(out) || ctx.Err() != nil {
				break
			}
		}
		*spent += out.To - out.From
		if w.err != nil && w.err(a.Index) != nil {
			return out, w.err(a.Index)
		}
		return out, ctx.Err()
	}
}

// draw is one probe's chance.
type draw struct {
	world
	ask    capacity.Ask
	rand   *rand.Rand
	plays  map[[2]int32]float64
	states map[int64]float64
}

// calls appends the calls that are due from one time to another.
func (d *draw) calls(samples []schema.Sample, from, to time.Duration) []schema.Sample {
	for t := from.Truncate(worldPace); t < to; t += worldPace {
		for agent := range d.ask.Level {
			at := t + worldPace*time.Duration(agent)/time.Duration(d.ask.Level)
			if at >= from && at < to {
				samples = append(samples, d.sample(int32(agent), at))
			}
		}
	}
	return samples
}

// noise is a part that members of a group share, drawn when first asked for.
func noise[K comparable](d *draw, m map[K]float64, key K) float64 {
	x, ok := m[key]
	if !ok {
		x = d.rand.NormFloat64()
		m[key] = x
	}
	return x
}

func (d *draw) sample(agent int32, at time.Duration) schema.Sample {
	play := int32(at/worldPace) / worldPlay
	level := float64(d.ask.Level)
	sd := math.Sqrt(d.call*d.call + d.play*d.play + d.time*d.time)
	// What is bad for speed is bad for TTFT.
	bad := d.play*noise(d, d.plays, [2]int32{agent, play}) + d.time*noise(d, d.states, int64(at/worldState))
	speed, ttft := 1000.0, 0.01
	if d.world.speed != nil {
		speed = d.world.speed(level)
	}
	if d.world.ttft != nil {
		ttft = d.world.ttft(level)
	}
	speed *= math.Exp(z25*sd - bad + d.call*d.rand.NormFloat64())
	ttft *= math.Exp(-z95*sd + bad + d.call*d.rand.NormFloat64())
	s := answered(d.ask.Warm+at, seconds(ttft), 101, speed)
	s.Agent, s.Play, s.SessionID = agent, play, sessionID(agent*7+play*3)
	if d.fails != nil && d.rand.Float64() < d.fails(level) {
		refuse(&s, schema.ErrStatus)
	}
	return s
}

func sessionID(i int32) string { return "s" + string(rune('A'+i%50)) }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// answered is a call due at some time whose first token came after ttft and the
// rest of its tokens, one in each chunk, at a speed.
func answered(due, ttft time.Duration, tokens int64, speed float64) schema.Sample {
	us := func(t time.Duration) *int64 { v := t.Microseconds(); return &v }
	first := due + ttft
	last := first + seconds(float64(tokens-1)/speed)
	one := 1.0
	return schema.Sample{
		SessionID: "s", Role: schema.RoleMeasured, DueUS: due.Microseconds(),
		FirstTokenUS: us(first), LastTokenUS: us(last), DoneUS: us(last),
		PlannedInput: 1000, PlannedOutput: tokens, OutputTokens: &tokens, Chunks: int32(tokens), FirstTokens: &one,
	}
}

// refuse makes of an answered call one that failed.
func refuse(s *schema.Sample, class string) {
	s.Error, s.FirstTokenUS, s.LastTokenUS, s.OutputTokens, s.FirstTokens, s.Chunks = &class, nil, nil, nil, nil, 0
}

// slope is a figure that goes with a power of the level and is at at turn.
func slope(at, turn, power float64) func(float64) float64 {
	return func(level float64) float64 { return at * math.Pow(level/turn, power) }
}

// cliff is a TTFT that is good up to a level and hopeless above it.
func cliff(turn float64) func(float64) float64 {
	return func(level float64) float64 {
		if level <= turn {
			return 2
		}
		return 300
	}
}
