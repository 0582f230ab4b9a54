package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/capstan-bench/capstan/schema"
)

// mostTokens bounds the tokens of one prompt or answer; more is a broken source.
const mostTokens = 1 << 24

// sizes are how many tokens each call of a session took in and gave out, and
// how long its answer took, known or derived.
type sizes struct {
	input  []int64
	output []int32
	took   []when // due is 0, the rest counts from it
}

// newSizes reads a session's token counts and durations. See [outputs] and
// [duration] for what stands in where the source knows nothing. An unknown
// prompt counts content bytes ÷ 4.
func newSizes(s *schema.Session, text bool) (*sizes, error) {
	z := &sizes{input: make([]int64, len(s.Calls)), took: make([]when, len(s.Calls))}
	rows := blockRows(s)
	for i := range s.Calls {
		c := &s.Calls[i]
		row := rows[callKey{c.TrajectoryID, c.CallIndex}]
		z.input[i] = promptTokens(s, c, row, text)
		if z.input[i] < 0 || z.input[i] > mostTokens {
			return nil, fmt.Errorf("read call %d of trajectory %q: %d input tokens, want 0 to %d", c.CallIndex, c.TrajectoryID, z.input[i], mostTokens)
		}
	}
	var err error
	if z.output, err = outputs(s, rows); err != nil {
		return nil, err
	}
	for i := range s.Calls {
		z.took[i] = duration(&s.Calls[i], z.output[i])
	}
	return z, nil
}

func promptTokens(s *schema.Session, c *schema.Call, row *schema.PrefixBlocks, text bool) int64 {
	switch {
	case row != nil && !text:
		return row.InputTokens
	case c.InputTokens != nil:
		return *c.InputTokens
	case c.RefInputTokens != nil:
		return *c.RefInputTokens
	}
	var n int64
	for _, r := range c.ContextRanges {
		for i := max(r.StartItem, 0); i < min(r.EndItem, int32(len(s.Items))); i++ {
			n += max(s.Items[i].ContentBytes, 0)
		}
	}
	return n / 4
}

// outputs are the calls' answers in tokens, reasoning included: as recorded, else
// as counted with a reference tokenizer, else the median of the session's known
// ones. At least 1.
func outputs(s *schema.Session, rows map[callKey]*schema.PrefixBlocks) ([]int32, error) {
	out := make([]int32, len(s.Calls))
	var known []int32
	for i := range s.Calls {
		c := &s.Calls[i]
		n := c.OutputTokens
		if n == nil {
			n = c.RefOutputTokens
		}
		if row := rows[callKey{c.TrajectoryID, c.CallIndex}]; n == nil && row != nil {
			n = &row.OutputTokens
		}
		if n == nil {
			continue
		}
		if *n < 0 || *n > mostTokens {
			return nil, fmt.Errorf("read call %d of trajectory %q: %d output tokens, want 0 to %d", c.CallIndex, c.TrajectoryID, *n, mostTokens)
		}
		out[i] = max(int32(*n), 1)
		if !failed(c) {
			known = append(known, out[i])
		}
	}
	slices.Sort(known)
	for i := range out {
		switch {
		case out[i] > 0:
		case failed(&s.Calls[i]):
			out[i] = 1
		case len(known) == 0:
			return nil, fmt.Errorf("read calls: no call says how many tokens it gave out")
		default:
			out[i] = known[len(known)/2]
		}
	}
	return out, nil
}

// failed tells whether a call ended in an error and gave out nothing.
func failed(c *schema.Call) bool {
	broken := c.ErrorType != nil || c.HTTPStatus != nil && *c.HTTPStatus >= 400
	return broken && (c.OutputTokens == nil || *c.OutputTokens == 0)
}

// nominalSpeed, in tokens per second, gives a length to answers whose duration
// was not recorded. It moves agents' positions on the ring, nothing else.
const nominalSpeed = 50

// duration is when an answer's first token, last token and end came, from its
// due time. Unknown: the end at output ÷ nominalSpeed, the first token at once,
// the last one at the end.
func duration(c *schema.Call, output int32) when {
	w := when{
		done: time.Duration(output) * time.Second / nominalSpeed,
		last: -1,
	}
	for _, us := range []*int64{c.LastTokenUS, c.CompletedUS} {
		if us != nil && *us >= 0 {
			w.done = offset(us)
		}
	}
	if c.LastTokenUS != nil {
		w.last = offset(c.LastTokenUS)
	}
	if w.last < 0 || w.last > w.done {
		w.last = w.done
	}
	for _, us := range []*int64{c.FirstChunkUS, c.FirstTokenUS} {
		if us != nil && *us >= 0 {
			w.first = offset(us)
		}
	}
	w.first = min(w.first, w.last)
	return w
}

// offset is a recorded offset, bounded so that sums cannot overflow.
func offset(us *int64) time.Duration {
	return time.Duration(min(*us, longest/1000)) * time.Microsecond
}
