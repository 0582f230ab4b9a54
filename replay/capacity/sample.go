package capacity

import (
	"math"
	"time"

	"github.com/capstan-bench/capstan/schema"
)

// What it takes to have a speed.
const (
	// ShortAnswer is the number of tokens under which an answer has no speed:
	// its few gaps say more about buffers than about the system.
	ShortAnswer = 16
	// FewChunks is the number of chunks under which an answer of ShortAnswer
	// tokens or more was buffered on its way, by a tool parser for instance.
	FewChunks = 3
)

// Failed tells whether a call failed: it was refused, broke off, timed out, or
// ended without a whole answer. A call that the end of the probe cut off has
// not failed.
func Failed(s *schema.Sample) bool { return s.Error != nil && *s.Error != schema.ErrUnended }

// Unended tells whether the end of the probe cut a call off.
func Unended(s *schema.Sample) bool { return s.Error != nil && *s.Error == schema.ErrUnended }

// TTFTOf is the time to the first token in seconds, first token - due. It
// counts from when the call was due, so that lateness of the client is in it. ok
// is false when no token came.
func TTFTOf(s *schema.Sample) (seconds float64, ok bool) { return since(s, s.FirstTokenUS) }

// E2EOf is the time to the end of the answer in seconds, done - due. ok is false
// when the call has no end.
func E2EOf(s *schema.Sample) (seconds float64, ok bool) { return since(s, s.DoneUS) }

func since(s *schema.Sample, us *int64) (float64, bool) {
	if us == nil {
		return 0, false
	}
	return float64(*us-s.DueUS) / 1e6, true
}

// SpeedOf is the output speed of a call in tok/s:
//
//	(output tokens - tokens of the first chunk) ÷ (last token - first token)
//
// A first chunk of many tokens, and reasoning that was not streamed and is
// counted with it, so do not inflate it. Where the first chunk's tokens are not
// known, they are taken to be output tokens ÷ chunks. ok is false for answers
// under ShortAnswer tokens or of unknown length. A call in fewer than FewChunks
// chunks, or whose chunks came all at once, has no such speed; it gets the lower
// bound
//
//	output tokens ÷ (done - due)
//
// and buffered is true.
func SpeedOf(s *schema.Sample) (speed float64, buffered, ok bool) {
	if s.OutputTokens == nil || *s.OutputTokens < ShortAnswer || s.DoneUS == nil {
		return 0, false, false
	}
	tokens, first := float64(*s.OutputTokens), 0.0
	if s.Chunks >= FewChunks && s.FirstTokenUS != nil && s.LastTokenUS != nil && *s.LastTokenUS > *s.FirstTokenUS {
		if first = tokens / float64(s.Chunks); s.FirstTokens != nil {
			first = *s.FirstTokens
		}
		return max(0, tokens-first) * 1e6 / float64(*s.LastTokenUS-*s.FirstTokenUS), false, true
	}
	return tokens * 1e6 / float64(max(1, *s.DoneUS-s.DueUS)), true, true
}

// ITLOf is the mean time between the tokens of a call in seconds, 1 ÷ speed,
// with the exceptions of [SpeedOf].
func ITLOf(s *schema.Sample) (seconds float64, buffered, ok bool) {
	speed, buffered, ok := SpeedOf(s)
	if !ok || speed == 0 {
		return 0, false, false
	}
	return 1 / speed, buffered, true
}

// sight is what one call says about one condition.
type sight struct {
	value    float64
	miss     bool // the call misses the limit
	buffered bool
	unknown  bool // whole, but of a length that the system did not say: value and miss are the worst
}

// see looks at a call of a window that ends at to. ok is false for a call that
// does not count for the condition.
//
// A failed call misses every condition, with the worst value there is: 0 where
// more is better, else +Inf. A call that the end of the window cut off counts
// only where what is known of it decides:
//
//   - without a first token, it misses a TTFT or E2E that it has waited longer
//     for than the limit; E2E also with one;
//   - with a first token, its TTFT is known, and its speed is at most
//     (planned output - 1) ÷ (to - first token), which may miss the limit.
func (c Cond) see(s *schema.Sample, to time.Duration) (v sight, ok bool) {
	switch {
	case c.Metric == ErrorRate:
		return sight{miss: Failed(s)}, !Unended(s)
	case Failed(s):
		return sight{value: c.worst(), miss: true}, true
	case Unended(s):
		return c.seeOpen(s, to)
	}
	switch c.Metric {
	case TTFT:
		v.value, ok = TTFTOf(s)
	case E2E:
		v.value, ok = E2EOf(s)
	case ITL:
		v.value, v.buffered, ok = ITLOf(s)
	default:
		v.value, v.buffered, ok = SpeedOf(s)
	}
	if c.Metric.counted() && s.OutputTokens == nil && s.PlannedOutput >= ShortAnswer {
		return sight{value: c.worst(), miss: true, unknown: true}, true
	}
	v.miss = !c.Op.holds(v.value, c.Limit)
	return v, ok
}

// counted tells whether a metric needs the number of output tokens.
func (m Metric) counted() bool { return m == Speed || m == ITL }

func (c Cond) worst() float64 {
	if c.Op.up() {
		return 0
	}
	return math.Inf(1)
}

// seeOpen is see for a call that the end of the window cut off.
func (c Cond) seeOpen(s *schema.Sample, to time.Duration) (sight, bool) {
	if v, ok := TTFTOf(s); ok && c.Metric == TTFT {
		return sight{value: v, miss: !c.Op.holds(v, c.Limit)}, true
	}
	v, worsens := c.bound(s, to)
	if !worsens || c.Op.holds(v, c.Limit) {
		return sight{}, false
	}
	return sight{value: v, miss: true}, true
}

// bound is the best that an open call can still come to, when time alone makes
// that worse.
func (c Cond) bound(s *schema.Sample, to time.Duration) (v float64, worsens bool) {
	switch c.Metric {
	case TTFT, E2E:
		return to.Seconds() - float64(s.DueUS)/1e6, !c.Op.up()
	}
	if s.FirstTokenUS == nil || s.PlannedOutput < ShortAnswer {
		return 0, false
	}
	gap := (to.Seconds() - float64(*s.FirstTokenUS)/1e6) / float64(s.PlannedOutput-1)
	if c.Metric == ITL {
		return gap, !c.Op.up()
	}
	return 1 / gap, c.Op.up() && gap > 0
}
