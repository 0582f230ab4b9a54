package capacity_test

import (
	"math"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/schema"
)

// call is a call that is due at 100 s and has its stamps that many seconds
// later; a stamp of 0 never came, tokens of 0 are not known.
func call(first, last, done float64, tokens, chunks int, firstTokens float64) schema.Sample {
	at := func(s float64) *int64 {
		if s == 0 {
			return nil
		}
		us := int64(math.Round((100 + s) * 1e6))
		return &us
	}
	s := schema.Sample{SessionID: "s", Role: schema.RoleMeasured, DueUS: 100e6, FirstTokenUS: at(first), LastTokenUS: at(last), DoneUS: at(done),
		PlannedOutput: int64(tokens), Chunks: int32(chunks)}
	if tokens > 0 {
		n := int64(tokens)
		s.OutputTokens = &n
	}
	if firstTokens > 0 {
		s.FirstTokens = &firstTokens
	}
	return s
}

// ended is a call with a class of error.
func ended(s schema.Sample, class string) schema.Sample {
	s.Error = &class
	return s
}

// open is a call that the end of the window cut off, of so many planned tokens.
func open(first float64, planned int64) schema.Sample {
	s := ended(call(first, 0, 0, 0, 0, 0), schema.ErrUnended)
	s.PlannedOutput = planned
	return s
}

func TestTimes(t *testing.T) {
	f := func(name string, s schema.Sample, ttft float64, hasTTFT bool, e2e float64, hasE2E bool) {
		t.Helper()
		if got, ok := capacity.TTFTOf(&s); ok != hasTTFT || math.Abs(got-ttft) > 1e-9 {
			t.Errorf("%s: TTFTOf = %v, %v, want %v, %v", name, got, ok, ttft, hasTTFT)
		}
		if got, ok := capacity.E2EOf(&s); ok != hasE2E || math.Abs(got-e2e) > 1e-9 {
			t.Errorf("%s: E2EOf = %v, %v, want %v, %v", name, got, ok, e2e, hasE2E)
		}
	}
	f("whole", call(2, 12, 12.5, 101, 50, 1), 2, true, 12.5, true)
	late := call(2, 12, 12.5, 101, 50, 1)
	sent := late.DueUS + 1.9e6
	late.SentUS = &sent
	f("sent late: counts from due", late, 2, true, 12.5, true)
	f("no token", call(0, 0, 3, 0, 0, 0), 0, false, 3, true)
	f("open", open(2, 100), 2, true, 0, false)
}

func TestSpeedOf(t *testing.T) {
	f := func(name string, s schema.Sample, want float64, buffered, ok bool) {
		t.Helper()
		got, gotBuffered, gotOK := capacity.SpeedOf(&s)
		if math.Abs(got-want) > 1e-9 || gotBuffered != buffered || gotOK != ok {
			t.Errorf("%s: SpeedOf = %v, %v, %v, want %v, %v, %v", name, got, gotBuffered, gotOK, want, buffered, ok)
		}
		itl, itlBuffered, itlOK := capacity.ITLOf(&s)
		if ok = ok && want > 0; itlOK != ok || ok && (math.Abs(itl-1/want) > 1e-9 || itlBuffered != buffered) {
			t.Errorf("%s: ITLOf = %v, %v, %v, want 1/%v, %v, %v", name, itl, itlBuffered, itlOK, want, buffered, ok)
		}
	}
	f("one token in the first chunk: 100 tokens in 10 s", call(2, 12, 12.5, 101, 50, 1), 10, false, true)
	f("first chunk of 41 tokens: 60 in 10 s", call(2, 12, 12.5, 101, 50, 41), 6, false, true)
	f("first chunk unknown: 100 - 100/50 in 10 s", call(2, 12, 12.5, 100, 50, 0), 9.8, false, true)
	f("three chunks are a stream", call(2, 12, 12.5, 31, 3, 1), 3, false, true)
	f("two chunks are buffered: 30 in 12.5 s", call(2, 12, 12.5, 30, 2, 1), 2.4, true, true)
	f("all at once is buffered", call(12, 12, 12.5, 25, 20, 1), 2, true, true)
	f("no visible token is buffered", call(0, 0, 10, 40, 0, 0), 4, true, true)
	f("16 tokens have a speed", call(2, 5, 5, 16, 16, 1), 5, false, true)
	f("15 have none", call(2, 5, 5, 15, 15, 1), 0, false, false)
	f("unknown length", call(2, 5, 5, 0, 15, 1), 0, false, false)
	f("open", open(2, 100), 0, false, false)
	f("everything in the first chunk, by its count", call(2, 12, 12, 50, 3, 60), 0, false, true)
	f("done the moment it is due", call(0, 0, 1e-9, 20, 1, 0), 20e6, true, true)
}

func TestFailed(t *testing.T) {
	for _, class := range []string{schema.ErrConnect, schema.ErrReset, schema.ErrTimeout, schema.ErrStatus, schema.ErrRateLimit,
		schema.ErrContext, schema.ErrStream, schema.ErrTruncated, schema.ErrEmpty} {
		s := ended(call(2, 5, 5, 20, 20, 1), class)
		if !capacity.Failed(&s) || capacity.Unended(&s) {
			t.Errorf("%s: Failed %v, Unended %v, want true and false", class, capacity.Failed(&s), capacity.Unended(&s))
		}
	}
	s := ended(call(2, 0, 0, 0, 0, 0), schema.ErrUnended)
	if capacity.Failed(&s) || !capacity.Unended(&s) {
		t.Errorf("unended: Failed %v, Unended %v, want false and true", capacity.Failed(&s), capacity.Unended(&s))
	}
	if s = call(2, 5, 5, 20, 20, 1); capacity.Failed(&s) || capacity.Unended(&s) {
		t.Errorf("answered: Failed %v, Unended %v, want neither", capacity.Failed(&s), capacity.Unended(&s))
	}
}

// What one call of a window says about a condition: nothing, that it meets the
// limit, or that it misses it. The window ends at 130 s, 30 s after the call was
// due.
func TestCallUnderCondition(t *testing.T) {
	const none, meets, misses = -1, 0, 1
	f := func(name, cond string, s schema.Sample, want int, value float64) {
		t.Helper()
		j := capacity.Judge(slo(t, cond), capacity.Window{From: 0, To: 130 * time.Second, Settled: true, Samples: []schema.Sample{s}})
		c := j.Conds[0]
		if want == none {
			if c.Share.N != 0 || c.Verdict != capacity.Undecided {
				t.Errorf("%s, %s: %d calls count, %s; want none and UNDECIDED", cond, name, c.Share.N, c.Verdict)
			}
			return
		}
		if c.Share.N != 1 || c.Share.Center != float64(want) || !(c.Estimate.Center == value || math.Abs(c.Estimate.Center-value) < 1e-9) {
			t.Errorf("%s, %s: %d calls, misses %v, value %v, want 1, %d, %v", cond, name, c.Share.N, c.Share.Center, c.Estimate.Center, want, value)
		}
	}
	whole := call(2, 12, 12.5, 101, 50, 1) // TTFT 2 s, E2E 12.5 s, 10 tok/s, ITL 100 ms
	f("whole", "p25(speed)>=10", whole, meets, 10)
	f("whole", "p25(speed)>10", whole, misses, 10)
	f("whole", "p25(speed)<10", whole, misses, 10)
	f("whole", "p95(ttft)<=2s", whole, meets, 2)
	f("whole", "p95(ttft)<2s", whole, misses, 2)
	f("whole", "p95(e2e)<=12.5s", whole, meets, 12.5)
	f("whole", "p95(e2e)<=12s", whole, misses, 12.5)
	f("whole", "p95(itl)<=101ms", whole, meets, 0.1)
	f("whole", "p95(itl)<=99ms", whole, misses, 0.1)
	f("whole", "error_rate<=1%", whole, meets, 0)

	short := call(2, 5, 5, 15, 15, 1)
	f("short", "p25(speed)>=10", short, none, 0)
	f("short", "p95(itl)<=99ms", short, none, 0)
	f("short", "p95(ttft)<=2s", short, meets, 2)

	failed := ended(whole, schema.ErrTruncated)
	f("failed", "p25(speed)>=1", failed, misses, 0)
	f("failed", "p95(ttft)<=2s", failed, misses, math.Inf(1))
	f("failed", "p95(e2e)<=1h", failed, misses, math.Inf(1))
	f("failed", "p95(itl)<=1h", failed, misses, math.Inf(1))
	f("failed", "p5(ttft)>=1ns", failed, misses, 0)
	f("failed", "error_rate<=1%", failed, misses, 1)

	waiting := open(0, 101)
	f("waiting 30 s", "p95(ttft)<=29s", waiting, misses, 30)
	f("waiting 30 s", "p95(ttft)<=30s", waiting, none, 0)
	f("waiting 30 s", "p95(ttft)<30s", waiting, misses, 30)
	f("waiting 30 s", "p95(e2e)<=29s", waiting, misses, 30)
	f("waiting 30 s", "p95(e2e)<=31s", waiting, none, 0)
	f("waiting 30 s", "p5(ttft)>=31s", waiting, none, 0)
	f("waiting 30 s", "p25(speed)>=1000", waiting, none, 0)
	f("waiting 30 s", "error_rate<=1%", waiting, none, 0)

	// 100 tokens after the first, 20 s after it: at best 5 tok/s.
	answering := open(10, 101)
	f("answering", "p95(ttft)<=10s", answering, meets, 10)
	f("answering", "p95(ttft)<=9s", answering, misses, 10)
	f("answering", "p25(speed)>=5", answering, none, 0)
	f("answering", "p25(speed)>=5.1", answering, misses, 5)
	f("answering", "p25(speed)<=4", answering, none, 0)
	f("answering", "p95(itl)<=200ms", answering, none, 0)
	f("answering", "p95(itl)<=199ms", answering, misses, 0.2)
	f("answering", "p5(itl)>=1s", answering, none, 0)
	f("answering", "p95(e2e)<=29s", answering, misses, 30)
	f("answering, short", "p25(speed)>=1000", open(10, 15), none, 0)
	f("answering, first token at the end", "p25(speed)>=1000", open(30, 101), none, 0)
}

func TestMeasure(t *testing.T) {
	var w capacity.Window
	w.To, w.Settled = 1000*time.Second, true
	for i := range 200 {
		s := call(1+float64(i)/100, 10+float64(i)/100, 10+float64(i)/100, 91, 91, 1)
		s.Agent = int32(i)
		if i == 7 {
			s = ended(s, schema.ErrStatus)
		}
		w.Samples = append(w.Samples, s)
	}
	f := func(m capacity.Metric, s capacity.Stat, want float64) {
		t.Helper()
		if got := capacity.Measure(w, m, s); !(got.Center == want || math.Abs(got.Center-want) < 1e-6) || got.N != 200 {
			t.Errorf("Measure(%s, %s) = %v of %d, want %v of 200", m, s, got, got.N, want)
		}
	}
	f(capacity.TTFT, "p50", 2) // number 100 of 1.00, 1.01, …, without 1.07
	f(capacity.TTFT, capacity.Max, math.Inf(1))
	f(capacity.TTFT, capacity.Min, 1)
	f(capacity.TTFT, capacity.Mean, math.Inf(1))
	f(capacity.Speed, "p25", 10)
	f(capacity.Speed, capacity.Min, 0)
	f(capacity.ErrorRate, "", 0.005)
	if got := capacity.Measure(capacity.Window{}, capacity.Speed, "p25"); !math.IsNaN(got.Center) || got.N != 0 || !warned(got.Warnings, "no call counts for speed") {
		t.Errorf("Measure of nothing = %v, %q", got, got.Warnings)
	}
}
