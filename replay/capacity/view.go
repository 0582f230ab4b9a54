package capacity

import (
	"fmt"
	"math"

	"github.com/capstan-bench/capstan/replay/stat"
	"github.com/capstan-bench/capstan/schema"
)

// Rules of the verdict; METHOD.md, "Verdict", argues them.
const (
	confidence  = 0.995 // one-sided, of every bound that a verdict rests on
	timeBlocks  = 10    // of a window
	fewSessions = 30    // under which an answer does not speak for other sessions
	driftLimit  = 0.05  // of the mix of calls from the plan's
	outputLimit = 0.10  // of the output tokens from the planned ones
	inputLimit  = 0.25  // of the input tokens likewise, which tokenizers count differently
)

// view is a window, ready to be judged: which calls hang together is worked out
// once for all conditions.
type view struct {
	Window
	plays, sessions, blocks []int32 // by sample
	nPlays, nSessions       int
	inflate                 float64
}

func newView(w Window) *view {
	v := &view{Window: w, inflate: inflation(w)}
	plays, sessions := map[[2]int32]int32{}, map[string]int32{}
	n := len(w.Samples)
	v.plays, v.sessions = make([]int32, n), make([]int32, n)
	times := make([]float64, n)
	for i := range w.Samples {
		s := &w.Samples[i]
		v.plays[i] = number(plays, [2]int32{s.Agent, s.Play})
		v.sessions[i] = number(sessions, s.SessionID)
		times[i] = float64(s.DueUS)/1e6 - w.From.Seconds()
	}
	v.nPlays, v.nSessions = len(plays), len(sessions)
	v.blocks = stat.Blocks(times, (w.To - w.From).Seconds(), timeBlocks)
	return v
}

// number numbers keys in the order in which they come.
func number[K comparable](m map[K]int32, key K) int32 {
	n, ok := m[key]
	if !ok {
		n = int32(len(m))
		m[key] = n
	}
	return n
}

// inflation is the factor on the standard error of a window that has not swept
// the corpus once, 1 + 2·(1 - T/sweep): its ten blocks share one stretch of
// every agent's session and so cannot show how much stretches differ. The factor
// is that of the study in METHOD.md, "Verdict".
func inflation(w Window) float64 {
	t := w.To - w.From
	if w.Sweep <= 0 || t >= w.Sweep {
		return 1
	}
	return 1 + 2*(1-t.Seconds()/w.Sweep.Seconds())
}

// sights are the calls that count for a condition.
type sights struct {
	values                  []float64
	miss                    []bool
	plays, sessions, blocks []int32
	nBuffered, nUnknown     int
}

// sights collects the calls that count. Without buffered, those that came in
// too few chunks are left out. Those of unknown length are counted and left out.
func (v *view) sights(c Cond, buffered bool) *sights {
	return v.collect(c, func(x sight) bool { return !x.unknown && (buffered || !x.buffered) })
}

// collect collects the calls that count and are to keep.
func (v *view) collect(c Cond, keep func(sight) bool) *sights {
	n := len(v.Samples)
	s := sights{values: make([]float64, 0, n), miss: make([]bool, 0, n),
		plays: make([]int32, 0, n), sessions: make([]int32, 0, n), blocks: make([]int32, 0, n)}
	for i := range v.Samples {
		x, ok := c.see(&v.Samples[i], v.To)
		if ok && x.unknown {
			s.nUnknown++
		}
		if !ok || !keep(x) {
			continue
		}
		if x.buffered {
			s.nBuffered++
		}
		s.values, s.miss = append(s.values, x.value), append(s.miss, x.miss)
		s.plays = append(s.plays, v.plays[i])
		s.sessions = append(s.sessions, v.sessions[i])
		s.blocks = append(s.blocks, v.blocks[i])
	}
	return &s
}

func (v *view) design(s *sights, c float64) stat.Design {
	return stat.Design{Clusters: s.plays, Blocks: s.blocks, Inflate: v.inflate, C: c}
}

// drift names what of the window's mix of calls is more than driftLimit off the
// plan's. It compares planned tokens with planned tokens: how a target counts
// them does not matter.
func (v *view) drift() []string {
	var input, uncached, output float64
	for i := range v.Samples {
		s := &v.Samples[i]
		input += float64(s.PlannedInput)
		uncached += float64(s.PlannedInput - s.IdealCached)
		output += float64(s.PlannedOutput)
	}
	n := float64(max(1, len(v.Samples)))
	var off []string
	f := func(what string, got, want float64) {
		if d := got/n/want - 1; want > 0 && math.Abs(d) > driftLimit {
			off = append(off, fmt.Sprintf("%s per call is %+.0f%% off the plan's long run", what, 100*d))
		}
	}
	f("input", input, v.Expect.Input)
	f("uncached input", uncached, v.Expect.Uncached)
	f("output", output, v.Expect.Output)
	return off
}

// remarks are what a reader of any figure of the window has to know.
func (v *view) remarks() []string {
	var all []string
	for _, why := range v.Invalid {
		all = append(all, "invalid: "+why)
	}
	if v.rateLimited() {
		all = append(all, rateLimitText)
	}
	if n := v.tooLong(); n > 0 {
		all = append(all, tooLongText(n, len(v.Samples)))
	}
	for _, d := range v.drift() {
		all = append(all, "not the stationary mix: "+d)
	}
	if off := v.outputOff(); math.Abs(off) > outputLimit {
		all = append(all, fmt.Sprintf("not comparable: output is %+.0f%% off what was planned", 100*off))
	}
	if got, planned := v.inputs(); planned > 0 && math.Abs(got/planned-1) > inputLimit {
		all = append(all, fmt.Sprintf("the system counted %.0f input tokens a call, the plan %.0f: another tokenizer, a template, or prompts that were cut", got, planned))
	}
	if n := v.nSessions; n > 0 && n < fewSessions {
		all = append(all, fmt.Sprintf("these sessions only: the window holds %d, and %d are needed to speak for others", n, fewSessions))
	}
	return append(all, v.Warnings...)
}

// rateLimitText stamps what was measured against a rate limit.
const rateLimitText = "rate-limited, not capacity: the system answered HTTP 429"

func (v *view) rateLimited() bool {
	for i := range v.Samples {
		if e := v.Samples[i].Error; e != nil && *e == schema.ErrRateLimit {
			return true
		}
	}
	return false
}

// tooLong is how many calls the system refused because its context is too small.
func (v *view) tooLong() (n int) {
	for i := range v.Samples {
		if e := v.Samples[i].Error; e != nil && *e == schema.ErrContext {
			n++
		}
	}
	return n
}

func tooLongText(n, calls int) string {
	return fmt.Sprintf("too long: %d of %d calls did not fit the system's context; cut sessions at a smaller maximum context", n, calls)
}

// outputOff is Σ output ÷ Σ planned output - 1, over answers that came whole.
func (v *view) outputOff() float64 {
	var got, planned float64
	for i := range v.Samples {
		if s := &v.Samples[i]; s.Error == nil && s.OutputTokens != nil {
			got += float64(*s.OutputTokens)
			planned += float64(s.PlannedOutput)
		}
	}
	if planned == 0 {
		return 0
	}
	return got/planned - 1
}

// inputs are the mean input tokens of answers that came whole: as the system
// counted them, and as planned; 0 and 0 where it counted none.
func (v *view) inputs() (got, planned float64) {
	n := 0.0
	for i := range v.Samples {
		if s := &v.Samples[i]; s.Error == nil && s.InputTokens != nil && s.PlannedInput > 0 {
			got += float64(*s.InputTokens)
			planned += float64(s.PlannedInput)
			n++
		}
	}
	if n == 0 {
		return 0, 0
	}
	return got / n, planned / n
}

// PointOf is a window's place on the curve. Calls still waiting for their first
// token count where they have waited longer than the percentile of the others,
// and likewise for speed.
func PointOf(w Window) Point { return newView(w).point() }

func (v *view) point() Point {
	at := func(c Cond, p float64) stat.Estimate {
		e := v.quantile(c, p)
		if !math.IsNaN(e.Center) {
			c.Limit = e.Center
			e = v.quantile(c, p)
		}
		return e
	}
	return Point{Probe: v.Ask.Index, Level: v.Ask.Level,
		Speed: at(Cond{Metric: Speed, Op: AtLeast}, 0.25),
		TTFT:  at(Cond{Metric: TTFT, Op: AtMost, Limit: math.Inf(1)}, 0.95)}
}

func (v *view) quantile(c Cond, p float64) stat.Estimate {
	s := v.sights(c, true)
	return stat.Quantile(s.values, p, v.design(s, confidence))
}
