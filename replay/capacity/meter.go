package capacity

import (
	"cmp"
	"slices"
	"time"

	"github.com/capstan-bench/capstan/schema"
)

// settleLimit is how many times Ask.Max a warm-up may take.
const settleLimit = 4

// Meter turns the calls of a probe into its window. It has no clock: drivers,
// live or virtual, tell it what happens, in order of time and with all times
// since the probe's start, and ask it when it wants to be ticked. A Meter is not
// safe for concurrent use.
//
// The window opens Ask.Warm after every agent has completed a measured call. A
// warm-up longer than 4×Ask.Max is cut there, and the window is not settled.
// From Ask.Min on and then every Ask.Look, enough is asked; the window closes
// when it says yes, and at Ask.Max. What happens afterwards changes nothing,
// except that it may tell more about calls that were open at the end.
type Meter struct {
	ask    Ask
	window Window // what is known before the end; Samples are the calls that ended
	enough func(Window) bool

	ready   map[int32]bool // agents that have completed a measured call
	agents  int
	open    map[int64]schema.Sample
	opened  bool          // window.From is known
	limit   time.Duration // when an unsettled window opens
	look    time.Duration // next question
	busy    time.Duration // time in flight, within the window, of calls that ended
	stopped bool
	to      time.Duration // with stopped
}

// NewMeter measures one probe. Expect and sweep are passed on in the window;
// agents is the number of agents that report to this meter; enough may be nil,
// which means never.
func NewMeter(a Ask, expect Means, sweep time.Duration, agents int, enough func(Window) bool) *Meter {
	m := &Meter{ask: a, enough: enough, agents: agents, limit: settleLimit * a.Max,
		ready: map[int32]bool{}, open: map[int64]schema.Sample{}}
	m.window = Window{Ask: a, Expect: expect, Sweep: sweep}
	return m
}

// Begin says that a call has become due, at s.DueUS. The key names the call
// until its end.
func (m *Meter) Begin(key int64, s schema.Sample) {
	if m.stopped {
		return
	}
	m.open[key] = s
}

// First says that the first token of an open call has arrived. Without it, a
// call that is open at the end counts as still waiting for its first token.
func (m *Meter) First(key int64, at time.Duration) {
	if s, ok := m.open[key]; ok && (!m.stopped || at <= m.to) {
		us := at.Microseconds()
		s.FirstTokenUS = &us
		m.open[key] = s
	}
}

// End says that a call is finished, at s.DoneUS, well or not. Of a call with
// the Error unended, or that is done after the window closed, only what came
// before is kept.
func (m *Meter) End(key int64, s schema.Sample) {
	old, ok := m.open[key]
	if !ok {
		return
	}
	if s.DoneUS == nil || s.Error != nil && *s.Error == schema.ErrUnended || m.stopped && *s.DoneUS > m.to.Microseconds() {
		if s.FirstTokenUS != nil && (!m.stopped || *s.FirstTokenUS <= m.to.Microseconds()) {
			old.FirstTokenUS = s.FirstTokenUS
		}
		m.open[key] = old
		return
	}
	delete(m.open, key)
	done := time.Duration(*s.DoneUS) * time.Microsecond
	if m.opened {
		m.busy += m.inside(s, done)
	}
	if s.Role == schema.RolePrime {
		return
	}
	if m.opened && m.counts(s) {
		m.window.Samples = append(m.window.Samples, s)
	}
	m.complete(s.Agent, done)
}

// complete notes that an agent has completed a measured call.
func (m *Meter) complete(agent int32, at time.Duration) {
	if m.opened || m.ready[agent] {
		return
	}
	m.ready[agent] = true
	if len(m.ready) == m.agents {
		m.window.Settled = true
		m.openAt(at + m.ask.Warm)
	}
}

// openAt opens the window. From is rounded up to what samples are stamped in.
func (m *Meter) openAt(t time.Duration) {
	m.opened = true
	m.window.From = (t + time.Microsecond - 1).Truncate(time.Microsecond)
	m.look = m.window.From + m.ask.Min
}

// counts tells whether a call was due in the window, as far as it is known.
func (m *Meter) counts(s schema.Sample) bool {
	return s.Role != schema.RolePrime && due(s) >= m.window.From && (!m.stopped || due(s) < m.to)
}

func due(s schema.Sample) time.Duration { return time.Duration(s.DueUS) * time.Microsecond }

// inside is for how long a call that ended at done was in flight in the window.
func (m *Meter) inside(s schema.Sample, done time.Duration) time.Duration {
	return max(0, done-max(due(s), m.window.From))
}

// Next is when the meter wants to be ticked. It may change with every End. A
// driver that has nothing else to do until then ticks at that very time.
func (m *Meter) Next() time.Duration {
	if !m.opened {
		return m.limit
	}
	return min(m.look, m.window.From+m.ask.Max)
}

// Tick says what time it is. Stop is true when the window has closed; Window
// then tells what was measured.
func (m *Meter) Tick(now time.Duration) (stop bool) {
	if m.stopped || now < m.Next() {
		return m.stopped
	}
	if !m.opened {
		m.openAt(now)
		return false
	}
	if end := m.window.From + m.ask.Max; now >= end {
		m.close(end)
		return true
	}
	if m.enough != nil && m.enough(m.Window(now)) {
		m.close(now)
		return true
	}
	step := m.ask.Look
	if step <= 0 {
		step = max(m.ask.Min, time.Microsecond)
	}
	for m.look <= now {
		m.look += step
	}
	return false
}

func (m *Meter) close(t time.Duration) {
	m.stopped, m.to = true, t
}

// Window is what was measured until now, or until the window closed. Calls that
// are still open have the Error unended and no end. The samples stand in the
// order of their ends, then the open ones by key; they are borrowed until the
// next call of a method. The window is empty, with From = To = now, before it
// has opened.
func (m *Meter) Window(now time.Duration) Window {
	w := m.window
	w.To = now
	if m.stopped {
		w.To = m.to
	}
	if !m.opened || w.To < w.From {
		w.From, w.Samples = w.To, nil
		return w
	}
	ended := len(w.Samples)
	busy, keys := m.busy, make([]int64, 0, len(m.open))
	for key, s := range m.open {
		busy += m.inside(s, w.To)
		if m.counts(s) && due(s) < w.To {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, cmp.Compare[int64])
	for _, key := range keys {
		w.Samples = append(w.Samples, unended(m.open[key]))
	}
	if span := w.To - w.From; span > 0 && m.agents > 0 {
		w.Duty = busy.Seconds() / span.Seconds() / float64(m.agents)
	}
	m.window.Samples = w.Samples[:ended]
	return w
}

func unended(s schema.Sample) schema.Sample {
	class := schema.ErrUnended
	s.Error, s.DoneUS = &class, nil
	return s
}
