package capacity_test

import (
	"context"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/stat"
)

// At a level that stands exactly on a limit, a PASS and a FAIL are both wrong.
// Where calls share their play and a state of the system that lasts 90 s, they
// are as rare as promised, 0.5% each, in windows of twenty minutes, and would
// not be if calls counted as independent. METHOD.md, "Verdict", has the rates of
// other worlds and windows.
func TestVerdictsHoldOnTheLimit(t *testing.T) {
	const n, level = 300, 6
	w := world{speed: slope(20, level, -0.64), ttft: slope(10, level, 0.5), call: 0.4, play: 0.2, time: 0.1}
	for _, text := range []string{"p25(speed)>=20", "p95(ttft)<=10s"} {
		wrong, naive := 0, 0
		for seed := range uint64(n) {
			a := capacity.Ask{Level: level, Seed: seed, Min: 20 * time.Minute, Max: 20 * time.Minute, Look: 20 * time.Minute}
			var spent time.Duration
			got, err := w.probe(&spent)(context.Background(), a, func(capacity.Window) bool { return true })
			if err != nil {
				t.Fatal(err)
			}
			tier := slo(t, text)
			if c := capacity.Judge(tier, got).Conds[0]; c.Verdict != capacity.Undecided {
				wrong++
			}
			if independent(tier.Conds[0], got) != capacity.Undecided {
				naive++
			}
		}
		t.Logf("%s: of %d verdicts on the limit %d are wrong; of independent calls, %d would be", text, n, wrong, naive)
		if wrong > n/100 {
			t.Errorf("%s: %d of %d verdicts on the limit are wrong, want at most 1%%", text, wrong, n)
		}
		if naive < n/10 {
			t.Errorf("%s: only %d of %d verdicts would be wrong without the ties: the world is too easy", text, naive, n)
		}
	}
}

// independent is the verdict on a percentile if calls had nothing in common.
func independent(c capacity.Cond, w capacity.Window) capacity.Verdict {
	var miss []bool
	for i := range w.Samples {
		v, limit := 0.0, c.Limit
		if c.Metric == capacity.Speed {
			speed, _, _ := capacity.SpeedOf(&w.Samples[i])
			v, limit = -speed, -c.Limit
		} else {
			v, _ = capacity.TTFTOf(&w.Samples[i])
		}
		miss = append(miss, v > limit)
	}
	p, _ := c.Stat.Percentile()
	allowed := p / 100
	if c.Op == capacity.AtMost {
		allowed = 1 - allowed
	}
	switch e := stat.Share(miss, stat.Design{}); {
	case e.Hi <= allowed:
		return capacity.Pass
	case e.Lo > allowed:
		return capacity.Fail
	}
	return capacity.Undecided
}
