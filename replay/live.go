package replay

import (
	"slices"
	"time"

	"github.com/capstan-bench/capstan/schema"
)

// Progress is how far a probe has come. Times and speeds are medians over the
// latest calls that were answered, primes left out; 0 where there is none yet.
type Progress struct {
	Probe, Level int // Level is the number of agents
	Elapsed      time.Duration
	Open         int // calls in flight
	Calls        int // ended
	Errors       int // of Calls
	TTFT         time.Duration
	Speed        float64 // tokens per second after the first chunk
}

// recent is how many calls the medians of Progress go over.
const recent = 512

// live counts what Progress tells.
type live struct {
	next   time.Duration // when to tell
	open   int
	calls  int
	errors int
	ttft   latest
	speed  latest
}

func (l *live) begin() { l.open++ }

func (l *live) end(s *schema.Sample) {
	l.open--
	if s.Error != nil && *s.Error == schema.ErrUnended {
		return
	}
	l.calls++
	if s.Error != nil {
		l.errors++
		return
	}
	if s.Role != schema.RoleMeasured || s.FirstTokenUS == nil {
		return
	}
	l.ttft.add(float64(*s.FirstTokenUS - s.DueUS))
	if s.OutputTokens == nil || s.FirstTokens == nil || s.LastTokenUS == nil {
		return
	}
	if us := *s.LastTokenUS - *s.FirstTokenUS; us > 0 {
		l.speed.add((float64(*s.OutputTokens) - *s.FirstTokens) * 1e6 / float64(us))
	}
}

// tell reports progress, sets when to do so next, and sees the window open.
func (r *run) tell(now time.Duration) {
	l := &r.live
	l.next = now + time.Second
	if !r.guard.opened && r.meter.Window(now).From < now {
		r.guard.open()
	}
	if r.config.Progress == nil {
		return
	}
	r.config.Progress(Progress{
		Probe:   r.ask.Index,
		Level:   r.ask.Level,
		Elapsed: now,
		Open:    l.open,
		Calls:   l.calls,
		Errors:  l.errors,
		TTFT:    time.Duration(l.ttft.median()) * time.Microsecond,
		Speed:   l.speed.median(),
	})
}

// latest keeps the last values.
type latest struct {
	values []float64
	at     int // where the next goes once the room is used up
}

func (l *latest) add(v float64) {
	if len(l.values) < recent {
		l.values = append(l.values, v)
		return
	}
	l.values[l.at] = v
	l.at = (l.at + 1) % recent
}

func (l *latest) median() float64 {
	if len(l.values) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(l.values))
	return s[len(s)/2]
}
