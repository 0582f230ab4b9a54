package stat_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/capstan-bench/capstan/replay/stat"
)

// world draws calls whose logit of a hit has a part of the play, a part of the
// time and a part of the call, so that their true ties are known.
type world struct{ play, time float64 }

const worldCalls, worldPlays = 1200, 60

// draw gives values; a value below 0 is a hit. Plays run side by side, ten calls
// at a time; the part of the time changes twelve times.
func (w world) draw(r *rand.Rand) (values []float64, d stat.Design) {
	plays, times := make([]float64, worldPlays), make([]float64, 12)
	for i := range plays {
		plays[i] = w.play * r.NormFloat64()
	}
	for i := range times {
		times[i] = w.time * r.NormFloat64()
	}
	at := make([]float64, worldCalls)
	for i := range worldCalls {
		play, moment := i%worldPlays, i*12/worldCalls
		values = append(values, plays[play]+times[moment]+r.NormFloat64())
		d.Clusters = append(d.Clusters, int32(play))
		at[i] = float64(i)
	}
	d.Blocks = stat.Blocks(at, worldCalls, 10)
	return values, d
}

// quantile is the true p quantile of the values.
func (w world) quantile(p float64) float64 {
	z := math.Sqrt2 * math.Erfinv(2*p-1)
	return z * math.Sqrt(1+w.play*w.play+w.time*w.time)
}

func coverage(w world, p float64, seeds int, cover func(values []float64, d stat.Design, truth float64) bool) float64 {
	covered := 0
	for seed := range seeds {
		values, d := w.draw(rand.New(rand.NewPCG(uint64(seed), 7)))
		if cover(values, d, w.quantile(p)) {
			covered++
		}
	}
	return float64(covered) / float64(seeds)
}

func shareCovers(p float64) func([]float64, stat.Design, float64) bool {
	return func(values []float64, d stat.Design, truth float64) bool {
		h := make([]bool, len(values))
		for i, v := range values {
			h[i] = v < truth
		}
		e := stat.Share(h, d)
		return e.Lo <= p && p <= e.Hi
	}
}

func quantileCovers(p float64) func([]float64, stat.Design, float64) bool {
	return func(values []float64, d stat.Design, truth float64) bool {
		e := stat.Quantile(values, p, d)
		return e.Lo <= truth && truth <= e.Hi
	}
}

func TestCoverage(t *testing.T) {
	const seeds = 400 // the standard error of a coverage of 0.99 is 0.005
	for name, w := range map[string]world{
		"independent": {}, "plays": {play: 0.8}, "time": {time: 0.4}, "both": {play: 0.6, time: 0.4},
	} {
		for _, p := range []float64{0.05, 0.25} {
			if got := coverage(w, p, seeds, shareCovers(p)); got < 0.965 {
				t.Errorf("%s: share %v is covered in %.3f of runs, want 0.99", name, p, got)
			}
			if got := coverage(w, p, seeds, quantileCovers(p)); got < 0.965 {
				t.Errorf("%s: P%v is covered in %.3f of runs, want 0.99", name, p*100, got)
			}
		}
		mean := coverage(w, 0.5, seeds, func(values []float64, d stat.Design, truth float64) bool {
			e := stat.Mean(values, d)
			return e.Lo <= truth && truth <= e.Hi
		})
		if mean < 0.965 {
			t.Errorf("%s: the mean is covered in %.3f of runs, want 0.99", name, mean)
		}
	}
}

// The ties matter: an interval that leaves one out promises what it does not
// keep. The test fails if the worlds above stop telling the difference.
func TestCoverageNeedsTheTies(t *testing.T) {
	f := func(name string, w world, cut func(*stat.Design)) {
		t.Helper()
		got := coverage(w, 0.25, 200, func(values []float64, d stat.Design, truth float64) bool {
			cut(&d)
			return shareCovers(0.25)(values, d, truth)
		})
		if got > 0.93 {
			t.Errorf("%s: covered in %.3f of runs all the same", name, got)
		}
	}
	f("plays left out", world{play: 0.8}, func(d *stat.Design) { d.Clusters = nil })
	f("time left out", world{time: 0.4}, func(d *stat.Design) { d.Blocks = nil })
}
