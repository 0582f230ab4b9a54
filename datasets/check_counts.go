package datasets

import (
	"fmt"

	"github.com/capstan-bench/capstan/schema"
)

// counts checks that the trajectories' counts and totals are those of their
// rows. A total that is null is not checked.
func (c *checker) counts() {
	sums := make([]sums, len(c.s.Trajectories))
	for i := range c.s.Calls {
		call := &c.s.Calls[i]
		sums[c.lanes[call.TrajectoryID]].add(call, len(c.s.Items))
	}
	for i := range c.s.ToolCalls {
		if lane, ok := c.lanes[c.s.ToolCalls[i].TrajectoryID]; ok {
			sums[lane].tools++
		}
	}
	for i := range c.s.Trajectories {
		if p := c.s.Trajectories[i].ParentTrajectoryID; p != nil {
			sums[c.lanes[*p]].children++
		}
	}
	for i := range sums {
		c.compareCounts(&c.s.Trajectories[i], &sums[i])
	}
}

// sums is what the rows of one trajectory add up to.
type sums struct {
	calls, tools, items, children         int
	input, read, write, output, reasoning int64
	next                                  []int32 // see unseen
}

func (t *sums) add(call *schema.Call, items int) {
	t.calls++
	t.input += value(call.InputTokens)
	t.read += value(call.CacheReadTokens)
	t.write += value(call.CacheWriteTokens)
	t.output += value(call.OutputTokens)
	t.reasoning += value(call.ReasoningTokens)
	if t.next == nil {
		t.next = make([]int32, items+1)
		for i := range t.next {
			t.next[i] = int32(i)
		}
	}
	for _, r := range call.ContextRanges {
		t.see(r.StartItem, r.EndItem)
	}
	if call.OutputStartItem != nil && call.OutputEndItem != nil {
		t.see(*call.OutputStartItem, *call.OutputEndItem)
	}
}

// see counts the items of a range that were not counted before. It steps over those
// that were: long contexts repeat nearly all items.
func (t *sums) see(start, end int32) {
	end = min(end, int32(len(t.next)-1))
	for item := t.unseen(max(start, 0)); item < end; item = t.unseen(item) {
		t.next[item] = item + 1
		t.items++
	}
}

// unseen is the first item at or after item that was not counted. Each item points
// to one that is not behind its first unseen one; the way is shortened as it is
// walked.
func (t *sums) unseen(item int32) int32 {
	if int(item) >= len(t.next) {
		return item
	}
	for t.next[item] != item {
		t.next[item] = t.next[t.next[item]]
		item = t.next[item]
	}
	return item
}

func (c *checker) compareCounts(t *schema.Trajectory, got *sums) {
	place := fmt.Sprintf("trajectory %q", t.TrajectoryID)
	for _, n := range []struct {
		column     string
		want, have int64
		known      bool
	}{
		{"num_calls", int64(got.calls), int64(t.NumCalls), true},
		{"num_tool_calls", int64(got.tools), int64(t.NumToolCalls), true},
		{"num_items", int64(got.items), int64(t.NumItems), true},
		{"num_subagents", int64(got.children), int64(value(t.NumSubagents)), t.NumSubagents != nil},
		{"total_input_tokens", got.input, value(t.TotalInputTokens), t.TotalInputTokens != nil},
		{"total_cache_read_tokens", got.read, value(t.TotalCacheReadTokens), t.TotalCacheReadTokens != nil},
		{"total_cache_write_tokens", got.write, value(t.TotalCacheWriteTok), t.TotalCacheWriteTok != nil},
		{"total_output_tokens", got.output, value(t.TotalOutputTokens), t.TotalOutputTokens != nil},
		{"total_reasoning_tokens", got.reasoning, value(t.TotalReasoningTokens), t.TotalReasoningTokens != nil},
	} {
		if n.known && n.want != n.have {
			c.fail(place, "%s is %d, its rows have %d", n.column, n.have, n.want)
		}
	}
}

func value[N int32 | int64](p *N) N {
	if p == nil {
		return 0
	}
	return *p
}
