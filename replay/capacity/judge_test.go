package capacity_test

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/schema"
)

// window is ten minutes of n independent calls at 20 tok/s with a TTFT of 1 s,
// evenly spread and each of a play of its own; bad of them, evenly spread too,
// are spoiled.
func window(n, bad int, spoil func(*schema.Sample)) capacity.Window {
	const span = 10 * time.Minute
	w := capacity.Window{Ask: capacity.Ask{Index: 7, Level: 4}, From: time.Minute, To: time.Minute + span, Settled: true}
	for i := range n {
		s := answered(w.From+span*time.Duration(i)/time.Duration(n), time.Second, 101, 20)
		s.Agent, s.SessionID = int32(i), sessionID(int32(i))
		if (i+1)*bad/n > i*bad/n {
			spoil(&s)
		}
		w.Samples = append(w.Samples, s)
	}
	return w
}

// slow halves the speed of a call.
func slow(s *schema.Sample) { *s.LastTokenUS += *s.LastTokenUS - *s.FirstTokenUS }

// fail makes of a call one that the system refused.
func fail(s *schema.Sample) { refuse(s, schema.ErrStatus) }

// buffer makes a call come in one piece, just when it would have been done.
func buffer(s *schema.Sample) { s.Chunks, s.FirstTokenUS = 1, s.LastTokenUS }

func wantVerdict(t *testing.T, name, text string, w capacity.Window, want capacity.Verdict, warning string) capacity.Judgement {
	t.Helper()
	j := capacity.Judge(slo(t, text), w)
	all := j.Warnings
	for _, c := range j.Conds {
		all = append(all, c.Warnings...)
	}
	if j.Verdict != want || warning != "" && !warned(all, warning) || warning == "" && len(all) > 0 {
		t.Errorf("%s: Judge(%s) = %s, warnings %q, want %s and %q", name, text, j.Verdict, all, want, warning)
	}
	return j
}

func TestJudgePercentile(t *testing.T) {
	const tier = "p25(speed)>=20"
	f := func(bad int, want capacity.Verdict) {
		t.Helper()
		w := window(1000, bad, slow)
		j := wantVerdict(t, fmt.Sprint(bad, " of 1000 slow"), tier, w, want, "")
		c := j.Conds[0]
		if share := float64(bad) / 1000; c.Share.Center != share || c.Allowed != 0.25 || c.Share.Confidence != 0.99 || c.Share.N != 1000 || j.N != 1000 || j.Level != 4 || j.Probe != 7 {
			t.Errorf("%d slow: share %v of %d, allowed %v, n %d, level %d, probe %d", bad, c.Share, c.Share.N, c.Allowed, j.N, j.Level, j.Probe)
		}
	}
	// The standard error of a share of 0.25 is 0.0137, t(9) at 0.995 is 3.25 and
	// at 0.9975 is 3.69: PASS ends near 0.25 - 0.042, FAIL begins near 0.25 + 0.052.
	f(0, capacity.Pass)
	f(205, capacity.Pass)
	f(215, capacity.Undecided)
	f(295, capacity.Undecided)
	f(310, capacity.Fail)

	wantVerdict(t, "p75 at most", "p75(speed)<=9", window(1000, 310, slow), capacity.Fail, "")
	j := capacity.Judge(slo(t, "p95(ttft)<=10s & p10(ttft)>=100ms"), window(1000, 0, slow))
	if a, b := j.Conds[0].Allowed, j.Conds[1].Allowed; math.Abs(a-0.05) > 1e-12 || math.Abs(b-0.1) > 1e-12 {
		t.Errorf("p95 allows %v and p10 from below %v, want 0.05 and 0.1", a, b)
	}
}

// More conditions make a FAIL of each harder and leave a PASS as it is.
func TestJudgeSplitsFailures(t *testing.T) {
	const one, many = "p25(speed)>=20", "p25(speed)>=20 & p95(ttft)<=10s & p99(ttft)<=20s & mean(e2e)<=100s & max(e2e)<=1h"
	fails := func(text string) (n int) {
		for bad := 290; bad < 330; bad += 4 {
			if capacity.Judge(slo(t, text), window(1000, bad, slow)).Conds[0].Verdict == capacity.Fail {
				n++
			}
		}
		return n
	}
	if a, b := fails(one), fails(many); a <= b || b == 0 {
		t.Errorf("FAILs among 10 shares of misses: %d with two conditions, %d with six, want fewer with six", a, b)
	}
	w := window(1000, 205, slow)
	a, b := capacity.Judge(slo(t, one), w), capacity.Judge(slo(t, many), w)
	if diff := cmp.Diff(a.Conds[0], b.Conds[0]); diff != "" || b.Conds[0].Verdict != capacity.Pass {
		t.Errorf("a PASS with two conditions, and with six (-two +six):\n%s", diff)
	}
}

func TestJudgeErrorRate(t *testing.T) {
	f := func(bad int, text string, want capacity.Verdict) {
		t.Helper()
		j := wantVerdict(t, fmt.Sprint(bad, " of 1000 failed"), text, window(1000, bad, fail), want, "")
		c := j.Conds[len(j.Conds)-1]
		if c.Cond.Metric != capacity.ErrorRate || c.Verdict != want || c.Estimate.Center != float64(bad)/1000 || c.Allowed != c.Cond.Limit {
			t.Errorf("%d failed, %s: condition %s is %s with %v, allowed %v", bad, text, c.Cond, c.Verdict, c.Estimate, c.Allowed)
		}
	}
	const implied = "p25(speed)>=20"
	f(0, implied, capacity.Pass)
	f(10, implied, capacity.Pass) // as observed
	f(11, implied, capacity.Undecided)
	f(40, implied, capacity.Fail)
	f(40, "p25(speed)>=20 & error_rate<=5%", capacity.Pass)
	f(10, "p25(speed)>=20 & error_rate<1%", capacity.Undecided)
	f(9, "p25(speed)>=20 & error_rate<1%", capacity.Pass)
	f(0, "error_rate<=0%", capacity.Pass)
	f(1, "error_rate<=0%", capacity.Fail)
}

func TestJudgeMean(t *testing.T) {
	wave := func(mean float64) capacity.Window {
		w := window(500, 0, nil)
		for i := range w.Samples {
			s := &w.Samples[i]
			*s.FirstTokenUS = s.DueUS + int64(1e6*(mean+float64(i%5-2)))
		}
		return w
	}
	// Five values a second apart: standard deviation √2, standard error 0.063, t 3.25 and 3.69.
	j := wantVerdict(t, "9.7 s", "mean(ttft)<=10s", wave(9.7), capacity.Pass, "")
	if e := j.Conds[0].Estimate; math.Abs(e.Center-9.7) > 1e-5 || math.Abs(e.Hi-e.Center-0.206) > 0.001 || e.N != 500 {
		t.Errorf("mean is %v of %d, want 9.7 ± 0.206 of 500", e, e.N)
	}
	wantVerdict(t, "9.9 s", "mean(ttft)<=10s", wave(9.9), capacity.Undecided, "")
	wantVerdict(t, "10.22 s", "mean(ttft)<=10s", wave(10.22), capacity.Undecided, "")
	wantVerdict(t, "10.3 s", "mean(ttft)<=10s", wave(10.3), capacity.Fail, "")
	wantVerdict(t, "10.3 s", "mean(ttft)>=10s", wave(10.3), capacity.Pass, "")
	wantVerdict(t, "9.7 s", "mean(ttft)>=10s", wave(9.7), capacity.Fail, "")
	w := wave(1)
	fail(&w.Samples[100])
	wantVerdict(t, "one failed", "mean(ttft)<=10s", w, capacity.Fail, "")
	if got := capacity.Measure(w, capacity.TTFT, capacity.Mean); !math.IsInf(got.Center, 1) || !warned(got.Warnings, "a call failed") {
		t.Errorf("mean with a failed call = %v, %q", got, got.Warnings)
	}
}

func TestJudgeExtremes(t *testing.T) {
	f := func(text string, bad int, want capacity.Verdict, allowed float64) {
		t.Helper()
		j := capacity.Judge(slo(t, text), window(1000, bad, slow))
		if c := j.Conds[0]; c.Verdict != want || c.Allowed != allowed || !warned(c.Estimate.Warnings, "as observed") || c.Estimate.Lo != c.Estimate.Hi {
			t.Errorf("%d of 1000 slow: %s is %s, allowed %v, %v, want %s, %v", bad, text, c.Verdict, c.Allowed, c.Estimate, want, allowed)
		}
	}
	f("min(speed)>=20", 0, capacity.Pass, 0)
	f("min(speed)>=20", 1, capacity.Fail, 0)
	f("max(e2e)<=6s", 0, capacity.Pass, 0)
	f("max(speed)>=20", 999, capacity.Pass, 1)
	f("max(speed)>=20", 1000, capacity.Fail, 1)
}

// Buffered answers count with their lower bound, and where that decides the
// verdict, nothing is decided.
func TestJudgeBuffered(t *testing.T) {
	// Buffered calls take 6 s for 101 tokens: at least 16.8 tok/s.
	f := func(text string, buffered int, want capacity.Verdict, warning string) {
		t.Helper()
		wantVerdict(t, fmt.Sprint(buffered, " buffered"), text, window(1000, buffered, buffer), want, warning)
	}
	f("p25(speed)>=20", 100, capacity.Pass, "")
	f("p25(speed)>=20", 400, capacity.Undecided, "buffering: 400 answers of 16 tokens or more came in fewer than 3 chunks (does the server's tool parser hold them back?): with their lower bounds FAIL, without them PASS")
	f("p25(speed)>=20", 250, capacity.Undecided, "with their lower bounds UNDECIDED, without them PASS")
	f("p25(speed)>=16", 400, capacity.Pass, "")
	f("p25(speed)>=25", 400, capacity.Fail, "")
	f("p25(speed)>=16", 1000, capacity.Undecided, "without them UNDECIDED")
	f("p95(itl)<=50ms", 400, capacity.Undecided, "buffering")
	f("p95(ttft)<=10s", 400, capacity.Pass, "")
}

// A system that keeps the lengths of its slow answers to itself does not pass by
// that.
func TestJudgeUnknownLength(t *testing.T) {
	mute := func(s *schema.Sample) { s.OutputTokens, s.FirstTokens = nil, nil }
	f := func(text string, unknown int, want capacity.Verdict, warning string) {
		t.Helper()
		wantVerdict(t, fmt.Sprint(unknown, " of unknown length"), text, window(1000, unknown, mute), want, warning)
	}
	f("p25(speed)>=20", 100, capacity.Pass, "")
	f("p25(speed)>=20", 400, capacity.Undecided, "unknown length: 400 of 1000 answers came without a number of tokens: without them PASS, taken for misses FAIL")
	f("p95(itl)<=50ms", 400, capacity.Undecided, "unknown length")
	f("mean(speed)>=20", 10, capacity.Undecided, "unknown length")
	f("p25(speed)>=25", 400, capacity.Fail, "")
	f("p25(speed)>=20", 1000, capacity.Undecided, "no call counts for speed")
	f("p95(ttft)<=10s", 400, capacity.Pass, "")
	wantVerdict(t, "short answers", "p25(speed)>=20", window(1000, 400, func(s *schema.Sample) {
		mute(s)
		s.PlannedOutput = capacity.ShortAnswer - 1
	}), capacity.Pass, "")
}

// Whatever the conditions say: rules about the window as a whole.
func TestJudgeWindow(t *testing.T) {
	const tier = "p25(speed)>=20"
	f := func(name string, bad int, change func(*capacity.Window), want capacity.Verdict, warning string) {
		t.Helper()
		w := window(1000, bad, slow)
		change(&w)
		wantVerdict(t, name, tier, w, want, warning)
	}
	f("sound", 0, func(*capacity.Window) {}, capacity.Pass, "")
	f("not settled", 0, func(w *capacity.Window) { w.Settled = false }, capacity.Fail, "did not settle")
	f("invalid", 0, func(w *capacity.Window) { w.Invalid = []string{"the client was late"} }, capacity.Undecided, "invalid: the client was late")
	f("invalid and slow", 900, func(w *capacity.Window) { w.Invalid = []string{"the client was late"} }, capacity.Undecided, "invalid: the client was late")
	f("invalid and not settled", 0, func(w *capacity.Window) { w.Settled, w.Invalid = false, []string{"late"} }, capacity.Undecided, "invalid: late")
	f("no time", 0, func(w *capacity.Window) { w.To = w.From }, capacity.Undecided, "nothing was measured")
	f("no time, not settled", 0, func(w *capacity.Window) { w.To, w.Settled = w.From, false }, capacity.Undecided, "nothing was measured")
	f("no calls", 0, func(w *capacity.Window) { w.Samples = nil }, capacity.Undecided, "no call counts for speed")
	f("few calls", 0, func(w *capacity.Window) { w.Samples = w.Samples[:18] }, capacity.Undecided, "18 calls: even without a miss it takes 19 to pass")
	f("one 429", 0, func(w *capacity.Window) { refuse(&w.Samples[5], schema.ErrRateLimit) }, capacity.Undecided, "rate-limited, not capacity")
	f("one 429 and slow", 400, func(w *capacity.Window) { refuse(&w.Samples[5], schema.ErrRateLimit) }, capacity.Fail, "rate-limited, not capacity")
	f("29 sessions", 0, sessions(29), capacity.Pass, "these sessions only: the window holds 29, and 30 are needed")
	f("30 sessions", 0, sessions(30), capacity.Pass, "")
	f("the probe's own", 0, func(w *capacity.Window) { w.Warnings = []string{"busy"} }, capacity.Pass, "busy")
	f("swept once", 200, func(w *capacity.Window) { w.Sweep = 10 * time.Minute }, capacity.Pass, "")
	f("swept by a tenth", 200, func(w *capacity.Window) { w.Sweep = 100 * time.Minute }, capacity.Undecided, "")
}

func sessions(n int) func(*capacity.Window) {
	return func(w *capacity.Window) {
		for i := range w.Samples {
			w.Samples[i].SessionID = fmt.Sprint(i % n)
		}
	}
}

// A mix of calls that is not the plan's is told, and so are answers that are not
// as long as planned.
func TestJudgeDrift(t *testing.T) {
	f := func(name string, change func(*schema.Sample), warning string) {
		t.Helper()
		w := window(1000, 1000, func(s *schema.Sample) { s.PlannedInput, s.IdealCached = 1000, 800 })
		w.Expect = capacity.Means{Input: 1000, Uncached: 200, Output: 101}
		for i := range w.Samples {
			change(&w.Samples[i])
		}
		wantVerdict(t, name, "p25(speed)>=15", w, capacity.Pass, warning)
	}
	f("as planned", func(*schema.Sample) {}, "")
	f("input +4%, as much of it cached", func(s *schema.Sample) { s.PlannedInput, s.IdealCached = 1040, 832 }, "")
	f("input +6%", func(s *schema.Sample) { s.PlannedInput, s.IdealCached = 1060, 850 }, "not the stationary mix: input per call is +6%")
	f("input -6%", func(s *schema.Sample) { s.PlannedInput, s.IdealCached = 940, 740 }, "not the stationary mix: input per call is -6%")
	f("uncached +10%", func(s *schema.Sample) { s.IdealCached = 780 }, "not the stationary mix: uncached input per call is +10%")
	f("planned output +50%", func(s *schema.Sample) { n := int64(151); s.PlannedOutput, s.OutputTokens = n, &n }, "not the stationary mix: output per call is +50%")
	f("output +9%", func(s *schema.Sample) { s.PlannedOutput, *s.OutputTokens = 100, 109 }, "")
	f("output +11%", func(s *schema.Sample) { s.PlannedOutput, *s.OutputTokens = 100, 111 }, "not comparable: output is +11% off what was planned")
	f("output of a broken answer", func(s *schema.Sample) {
		if s.Agent == 3 {
			*s = ended(*s, schema.ErrTruncated)
			*s.OutputTokens = 1e6
		}
	}, "")
	f("output -11%", func(s *schema.Sample) { s.PlannedOutput, *s.OutputTokens = 100, 89 }, "not comparable: output is -11% off what was planned")
}

// A verdict holds for these calls as they hang together: the same misses say
// less when they belong to few plays, and less about other sessions when they
// belong to few sessions.
func TestJudgeClusters(t *testing.T) {
	w := window(1000, 100, slow)
	apart := capacity.Judge(slo(t, "p25(speed)>=20"), w).Conds[0]
	bad := 0
	for i := range w.Samples {
		s := &w.Samples[i]
		if s.SessionID = fmt.Sprint(i % 40); *s.LastTokenUS-*s.FirstTokenUS > 9e6 {
			s.SessionID, s.Agent, s.Play = "bad", -1, int32(bad/50)
			bad++
		}
	}
	tied := capacity.Judge(slo(t, "p25(speed)>=20"), w).Conds[0]
	if apart.Verdict != capacity.Pass || tied.Verdict != capacity.Undecided || !(tied.Share.Hi > apart.Share.Hi+0.05) {
		t.Errorf("100 misses apart: %s, %v; in two plays: %s, %v; want PASS and a wider UNDECIDED", apart.Verdict, apart.Share, tied.Verdict, tied.Share)
	}
	if !(tied.BySession.Hi > tied.Share.Hi) {
		t.Errorf("misses of one session: share %v, by session %v, want a wider one", tied.Share, tied.BySession)
	}
}

// What is kept of a search is read back as it was.
func TestResultJSON(t *testing.T) {
	w := world{speed: slope(20, 9.5, -1), call: 0.3, fails: func(level float64) float64 { return level / 1000 }}
	cfg := quick(4, slo(t, "p25(speed)>=20 & mean(itl)<=1s"), slo(t, "p99.9(ttft)<=1ms"))
	want, _ := search(t, w, cfg)
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got capacity.Result
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(got)
	if err != nil || string(again) != string(text) {
		t.Errorf("round trip (-want +got):\n%s", cmp.Diff(string(text), string(again)))
	}
	// Agents are the answer with infinite ends, which JSON has no form for.
	for i, a := range want.Answers {
		if diff := cmp.Diff(a.Agents(), got.Answers[i].Agents()); diff != "" {
			t.Errorf("Agents of answer %d (-want +got):\n%s", i, diff)
		}
	}
}
