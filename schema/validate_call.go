package schema

import (
	"cmp"
	"math"
	"slices"
)

// Validate returns an error that names the first column whose value FORMAT.md
// does not allow.
func (r *Call) Validate() error {
	var c checks
	c.id("call_id", r.CallID)
	c.id("session_id", r.SessionID)
	c.id("trajectory_id", r.TrajectoryID)
	count(&c, "call_index", r.CallIndex)
	count(&c, "attempt", r.Attempt)
	c.oneOf("trigger", r.Trigger, TriggerUser, TriggerToolResult, TriggerSubagent,
		TriggerRetry, TriggerCompaction, TriggerSide, TriggerUnknown)
	c.oneOf("purpose", r.Purpose, PurposeMain, PurposeTitle, PurposeSummary, PurposeSide)
	c.apiFormat(r.APIFormat)
	c.httpStatus(r.HTTPStatus)
	for i := range r.After {
		r.After[i].check(&c)
	}
	r.checkParams(&c)
	r.checkContext(&c)
	r.checkTimes(&c)
	return c.err
}

func (r *Call) checkParams(c *checks) {
	counts(c,
		nullable[int32]{"parent_call_index", r.ParentCallIndex},
		nullable[int32]{"shared_prefix_items", r.SharedPrefixItems},
		nullable[int32]{"new_items", r.NewItems},
	)
	counts(c,
		nullable[int64]{"max_tokens", r.MaxTokens},
		nullable[int64]{"request_body_bytes", r.RequestBodyBytes},
		nullable[int64]{"response_body_bytes", r.ResponseBodyBytes},
		nullable[int64]{"input_tokens", r.InputTokens},
		nullable[int64]{"cache_read_tokens", r.CacheReadTokens},
		nullable[int64]{"cache_write_tokens", r.CacheWriteTokens},
		nullable[int64]{"output_tokens", r.OutputTokens},
		nullable[int64]{"reasoning_tokens", r.ReasoningTokens},
		nullable[int64]{"ref_input_tokens", r.RefInputTokens},
		nullable[int64]{"ref_output_tokens", r.RefOutputTokens},
	)
	c.finite(
		nullable[float64]{"temperature", r.Temperature},
		nullable[float64]{"top_p", r.TopP},
		nullable[float64]{"cost_usd", r.CostUSD},
	)
	c.hashes(
		nullable[string]{"system_sha256", r.SystemSHA256},
		nullable[string]{"tools_sha256", r.ToolsSHA256},
		nullable[string]{"envelope_sha256", r.EnvelopeSHA256},
		nullable[string]{"request_body_sha256", r.RequestBodySHA256},
		nullable[string]{"response_body_sha256", r.ResponseBodySHA256},
	)
}

// checkContext checks ranges, patches and the output's items.
func (r *Call) checkContext(c *checks) {
	var items int64
	var slot int32
	for _, g := range r.ContextRanges {
		c.that(0 <= g.StartItem && g.StartItem < g.EndItem, "context_ranges",
			"got items [%d, %d), want at least one", g.StartItem, g.EndItem)
		c.that(g.Slot >= slot, "context_ranges", "slot %d after slot %d", g.Slot, slot)
		slot = g.Slot
		items += int64(g.EndItem) - int64(g.StartItem)
	}
	c.that(int64(r.NumContextItems) == items, "num_context_items", "got %d, the ranges hold %d", r.NumContextItems, items)
	r.checkPatches(c)
	start, end := r.OutputStartItem, r.OutputEndItem
	c.that((start == nil) == (end == nil), "output_start_item", "is null without output_end_item, or the other way round")
	if start != nil && end != nil {
		c.that(0 <= *start && *start <= *end, "output_start_item", "got items [%d, %d)", *start, *end)
	}
}

func (r *Call) checkPatches(c *checks) {
	var runs []Range
	if len(r.Patches) > 0 {
		runs = r.runs()
	}
	for i, p := range r.Patches {
		c.that(p.Off >= 0 && p.Del >= 0 && (p.Del > 0 || p.Ins != ""), "patches",
			"item %d: got off %d, del %d and %d bytes to insert", p.Item, p.Off, p.Del, len(p.Ins))
		c.that(holds(runs, p.Item), "patches", "item %d is not in the context", p.Item)
		if i == 0 {
			continue
		}
		last := r.Patches[i-1]
		c.that(last.Item < p.Item || last.Item == p.Item && int64(last.Off)+int64(last.Del) <= int64(p.Off), "patches",
			"item %d off %d after item %d off %d del %d", p.Item, p.Off, last.Item, last.Off, last.Del)
	}
}

// runs returns the items of the context as ranges that ascend and do not overlap,
// so that looking up patches does not take the product of two long lists.
func (r *Call) runs() []Range {
	sorted := slices.SortedFunc(slices.Values(r.ContextRanges), func(a, b Range) int { return cmp.Compare(a.StartItem, b.StartItem) })
	runs := sorted[:0]
	for _, g := range sorted {
		if n := len(runs); n > 0 && g.StartItem <= runs[n-1].EndItem {
			runs[n-1].EndItem = max(runs[n-1].EndItem, g.EndItem)
		} else {
			runs = append(runs, g)
		}
	}
	return runs
}

func holds(runs []Range, item int32) bool {
	i, found := slices.BinarySearchFunc(runs, item, func(g Range, item int32) int { return cmp.Compare(g.StartItem, item) })
	return found || i > 0 && item < runs[i-1].EndItem
}

func (r *Call) checkTimes(c *checks) {
	counts(c,
		nullable[int64]{"request_sent_us", r.RequestSentUS},
		nullable[int64]{"headers_us", r.HeadersUS},
		nullable[int64]{"first_chunk_us", r.FirstChunkUS},
		nullable[int64]{"first_token_us", r.FirstTokenUS},
		nullable[int64]{"last_token_us", r.LastTokenUS},
		nullable[int64]{"completed_us", r.CompletedUS},
		nullable[int64]{"server_processing_us", r.ServerProcessingUS},
	)
	if first, last := r.FirstTokenUS, r.LastTokenUS; first != nil && last != nil {
		c.that(*first <= *last, "last_token_us", "got %d, before first_token_us %d", *last, *first)
	}
	n := len(r.ChunkOffsetsUS)
	c.that(len(r.ChunkBytes) == 0 || len(r.ChunkBytes) == n, "chunk_bytes", "got %d, chunk_offsets_us has %d", len(r.ChunkBytes), n)
	c.that(len(r.ChunkTokens) == 0 || len(r.ChunkTokens) == n, "chunk_tokens", "got %d, chunk_offsets_us has %d", len(r.ChunkTokens), n)
	c.that(len(r.ChunkKinds) == 0 || len(r.ChunkKinds) == n, "chunk_kinds", "got %d, chunk_offsets_us has %d", len(r.ChunkKinds), n)
	c.that(n == 0 || r.ChunkOffsetsUS[0] >= 0 && slices.IsSorted(r.ChunkOffsetsUS), "chunk_offsets_us", "must not be negative nor go back")
	c.that(within(r.ChunkBytes, 0, math.MaxInt32), "chunk_bytes", "want no negative number")
	c.that(within(r.ChunkTokens, 0, math.MaxInt32), "chunk_tokens", "want no negative number")
	c.that(within(r.ChunkKinds, ChunkText, ChunkOther), "chunk_kinds", "want %d to %d", ChunkText, ChunkOther)
}

func within(numbers []int32, lo, hi int32) bool {
	return !slices.ContainsFunc(numbers, func(n int32) bool { return n < lo || n > hi })
}

func (a *After) check(c *checks) {
	c.oneOf("after.point", a.Point, PointStart, PointSent, PointToken, PointDone)
	if a.Point == PointStart {
		c.that(a.TrajectoryID == "" && a.CallIndex == 0, "after", "point start names a call, %q %d", a.TrajectoryID, a.CallIndex)
	} else {
		c.that(a.TrajectoryID != "" && a.CallIndex >= 0, "after", "point %s names no call: %q %d", a.Point, a.TrajectoryID, a.CallIndex)
	}
	c.that(a.Share >= 0 && a.Share <= 1, "after.share", "got %v, want 0 to 1", a.Share)
	c.that(a.Share == 0 || a.Point == PointToken, "after.share", "got %v with point %s, want 0", a.Share, a.Point)
	count(c, "after.gap_us", a.GapUS)
}
