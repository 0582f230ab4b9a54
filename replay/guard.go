package replay

import (
	"fmt"
	"math"
	"runtime"
	"runtime/metrics"
	"slices"
	"time"

	"github.com/capstan-bench/capstan/replay/agent"
	"github.com/capstan-bench/capstan/replay/capacity"
)

// Limits bound what the client may add to what it measures. Past one of them
// the window is invalid or carries a warning: slow figures would then be the
// client's own.
type Limits struct {
	// TightestTTFT is the shortest limit on time to first token that the run is
	// judged by; it sets Lag where that is 0.
	TightestTTFT time.Duration

	// Lag bounds the 99th percentile of dispatch lag; 0 means the smaller of
	// 5 ms and 1% of TightestTTFT. Past it the window is invalid, and likewise
	// when the 99th percentile of the scheduler's latency is past it: stamps
	// of what is read are late by about as much.
	Lag time.Duration

	// Sched is the 99th percentile of the scheduler's latency from which a
	// warning is given; 0 means 1 ms.
	Sched time.Duration

	// CPU bounds the process's CPU time ÷ (time × GOMAXPROCS); 0 means 0.8.
	// Past it the window is invalid.
	CPU float64
}

// resolve fills in the defaults.
func (l Limits) resolve() Limits {
	if l.Lag == 0 {
		l.Lag = 5 * time.Millisecond
		if l.TightestTTFT > 0 {
			l.Lag = min(l.Lag, l.TightestTTFT/100)
		}
	}
	if l.Sched == 0 {
		l.Sched = time.Millisecond
	}
	if l.CPU == 0 {
		l.CPU = 0.8
	}
	return l
}

// Report is what the client did while the window was open.
type Report struct {
	Probe, Level int
	Calls        int           // due in the window and sent
	LagP50       time.Duration // of dispatch: due until the first byte went out, without connecting
	LagP99       time.Duration
	LagMax       time.Duration
	CPU          float64       // of the process, as a share of GOMAXPROCS; NaN where the platform does not say
	SchedP99     time.Duration // how long a goroutine that could run waited
	GCPauseMax   time.Duration
	Reconnects   int // kept connections that turned out closed
}

// guard watches the client itself. Its figures cover the window to within the
// second in which it opened.
type guard struct {
	limits     Limits
	lags       []lag
	reconnects []int64 // due times, in µs, one for each
	starved    int     // calls for which this machine had no connection left, at any time
	base       vitals  // when the window opened
	opened     bool
}

// lag is how late one call was sent.
type lag struct {
	dueUS int64
	by    time.Duration
}

func newGuard(l Limits) *guard { return &guard{limits: l.resolve(), base: readVitals()} }

// lag takes an ended call.
func (g *guard) lag(e *event) {
	if e.lag != notSent {
		g.lags = append(g.lags, lag{e.sample.DueUS, max(e.lag, 0)})
	}
	if agent.OwnLimit(&e.sample) {
		g.starved++
	}
	for range e.sample.Reconnects {
		g.reconnects = append(g.reconnects, e.sample.DueUS)
	}
}

// open says that the window has opened.
func (g *guard) open() {
	g.opened, g.base = true, readVitals()
}

// judge sums up the window and says in w what is past a limit.
func (g *guard) judge(w *capacity.Window) Report {
	r := Report{Probe: w.Ask.Index, Level: w.Ask.Level}
	inside := func(us int64) bool { return us >= w.From.Microseconds() && us < w.To.Microseconds() }
	var by []time.Duration
	for _, l := range g.lags {
		if inside(l.dueUS) {
			by = append(by, l.by)
		}
	}
	for _, us := range g.reconnects {
		if inside(us) {
			r.Reconnects++
		}
	}
	slices.Sort(by)
	if r.Calls = len(by); r.Calls > 0 {
		r.LagP50, r.LagP99, r.LagMax = by[len(by)/2], by[len(by)*99/100], by[len(by)-1]
	}
	now := readVitals()
	r.CPU = now.cpuShare(g.base)
	r.SchedP99 = above(now.sched, g.base.sched, 0.99)
	r.GCPauseMax = above(now.pause, g.base.pause, 1)
	g.blame(w, r)
	return r
}

// blame writes down what is past a limit.
func (g *guard) blame(w *capacity.Window, r Report) {
	l := g.limits
	invalid := func(bad bool, format string, args ...any) {
		if bad {
			w.Invalid = append(w.Invalid, fmt.Sprintf(format, args...))
		}
	}
	invalid(r.LagP99 > l.Lag, "client: dispatch lag p99 %v is over %v", round(r.LagP99), l.Lag)
	invalid(r.CPU > l.CPU, "client: CPU %.0f%% of %d processors is over %.0f%%", 100*r.CPU, runtime.GOMAXPROCS(0), 100*l.CPU)
	invalid(r.SchedP99 > l.Lag, "client: scheduler latency p99 %v is over %v", round(r.SchedP99), l.Lag)
	invalid(g.starved > 0, "client: %d calls found no room for another connection on this machine; raise its limit of open files or ports", g.starved)
	if r.SchedP99 > l.Sched && r.SchedP99 <= l.Lag {
		w.Warnings = append(w.Warnings, fmt.Sprintf("client: scheduler latency p99 %v is over %v", round(r.SchedP99), l.Sched))
	}
	if r.GCPauseMax > l.Lag {
		w.Warnings = append(w.Warnings, fmt.Sprintf("client: a garbage collection stopped it for %v", round(r.GCPauseMax)))
	}
	if math.IsNaN(r.CPU) {
		w.Warnings = append(w.Warnings, "client: this platform does not say how much CPU was used")
	}
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

// vitals are running totals of the process.
type vitals struct {
	at    time.Time
	cpu   time.Duration
	known bool // whether cpu is
	sched *metrics.Float64Histogram
	pause *metrics.Float64Histogram
}

func readVitals() vitals {
	s := []metrics.Sample{{Name: "/sched/latencies:seconds"}, {Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(s)
	v := vitals{at: time.Now()}
	v.cpu, v.known = processCPU()
	for i, dst := range []**metrics.Float64Histogram{&v.sched, &v.pause} {
		if s[i].Value.Kind() == metrics.KindFloat64Histogram {
			*dst = s[i].Value.Float64Histogram()
		}
	}
	return v
}

// cpuShare is CPU time ÷ (time × GOMAXPROCS) since base.
func (v vitals) cpuShare(base vitals) float64 {
	wall := v.at.Sub(base.at)
	if !v.known || !base.known {
		return math.NaN()
	}
	if wall <= 0 {
		return 0
	}
	return float64(v.cpu-base.cpu) / (float64(wall) * float64(runtime.GOMAXPROCS(0)))
}

// above is the upper end of the bucket that holds quantile q of what h counted
// since base; 0 if that is nothing.
func above(h, base *metrics.Float64Histogram, q float64) time.Duration {
	if h == nil || base == nil || len(h.Counts) != len(base.Counts) {
		return 0
	}
	var n, sum uint64
	for i, c := range h.Counts {
		n += c - base.Counts[i]
	}
	rank := uint64(math.Ceil(q * float64(n)))
	for i, c := range h.Counts {
		if sum += c - base.Counts[i]; sum >= rank && sum > 0 {
			hi := h.Buckets[i+1]
			if math.IsInf(hi, 1) {
				hi = h.Buckets[i]
			}
			return time.Duration(hi * float64(time.Second))
		}
	}
	return 0
}
