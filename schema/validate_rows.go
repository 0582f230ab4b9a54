package schema

import "strings"

// Validate returns an error that names the first column whose value FORMAT.md
// does not allow.
func (r *Trajectory) Validate() error {
	var c checks
	c.id("session_id", r.SessionID)
	c.id("trajectory_id", r.TrajectoryID)
	if p := r.ParentTrajectoryID; p != nil {
		c.that(*p != "" && *p != r.TrajectoryID, "parent_trajectory_id", "got %q in trajectory %q", *p, r.TrajectoryID)
	}
	c.that(r.SpawnedByCallIndex == nil || r.ParentTrajectoryID != nil, "spawned_by_call_index", "is set without parent_trajectory_id")
	if r.APIFormat != nil {
		c.apiFormat(*r.APIFormat)
	}
	c.oneOf("content_tier", r.ContentTier, TierFull, TierScrubbed, TierHashed)
	kind, format, imported := strings.Cut(r.SourceKind, ":")
	c.that(r.SourceKind == SourceProxy || imported && kind == SourceImport && format != "", "source_kind",
		"got %q, want %q or %q and a format", r.SourceKind, SourceProxy, SourceImport+":")
	if p := r.IdealPrefixHitRatio; p != nil {
		c.that(*p >= 0 && *p <= 1, "ideal_prefix_hit_ratio", "got %v, want 0 to 1", *p)
	}
	r.checkCounts(&c)
	return c.err
}

func (r *Trajectory) checkCounts(c *checks) {
	count(c, "num_calls", r.NumCalls)
	count(c, "num_tool_calls", r.NumToolCalls)
	count(c, "num_items", r.NumItems)
	counts(c,
		nullable[int32]{"spawned_by_call_index", r.SpawnedByCallIndex},
		nullable[int32]{"num_compactions", r.NumCompactions},
		nullable[int32]{"num_subagents", r.NumSubagents},
	)
	counts(c,
		nullable[int64]{"duration_us", r.DurationUS},
		nullable[int64]{"total_input_tokens", r.TotalInputTokens},
		nullable[int64]{"total_cache_read_tokens", r.TotalCacheReadTokens},
		nullable[int64]{"total_cache_write_tokens", r.TotalCacheWriteTok},
		nullable[int64]{"total_output_tokens", r.TotalOutputTokens},
		nullable[int64]{"total_reasoning_tokens", r.TotalReasoningTokens},
		nullable[int64]{"max_context_tokens", r.MaxContextTokens},
		nullable[int64]{"llm_us", r.LLMUS},
		nullable[int64]{"tool_us", r.ToolUS},
		nullable[int64]{"idle_us", r.IdleUS},
	)
	c.finite(nullable[float64]{"cost_usd", r.CostUSD}, nullable[float64]{"reward", r.Reward})
}

// Validate returns an error that names the first column whose value FORMAT.md
// does not allow.
func (r *ToolCall) Validate() error {
	var c checks
	c.id("session_id", r.SessionID)
	c.id("trajectory_id", r.TrajectoryID)
	count(&c, "call_index", r.CallIndex)
	count(&c, "tool_index", r.ToolIndex)
	c.oneOf("timing_source", r.TimingSource, TimingProxyGap, TimingHarness, TimingOTel, TimingImport)
	counts(&c,
		nullable[int32]{"arguments_item", r.ArgumentsItem},
		nullable[int32]{"result_call_index", r.ResultCallIndex},
		nullable[int32]{"result_item", r.ResultItem},
		nullable[int32]{"parallel_group", r.ParallelGroup},
	)
	counts(&c,
		nullable[int64]{"arguments_bytes", r.ArgumentsBytes},
		nullable[int64]{"emitted_us", r.EmittedUS},
		nullable[int64]{"result_bytes", r.ResultBytes},
		nullable[int64]{"result_tokens", r.ResultTokens},
		nullable[int64]{"wall_us", r.WallUS},
		nullable[int64]{"internal_us", r.InternalUS},
	)
	return c.err
}

// Validate returns an error that names the first column whose value FORMAT.md
// does not allow.
func (r *Item) Validate() error {
	var c checks
	c.id("session_id", r.SessionID)
	count(&c, "item_index", r.ItemIndex)
	c.oneOf("kind", r.Kind, KindSystem, KindTools, KindUser, KindAssistant,
		KindReasoning, KindToolCall, KindToolResult, KindCompaction, KindOther)
	c.hash("content_sha256", r.ContentSHA256)
	count(&c, "content_bytes", r.ContentBytes)
	counts(&c, nullable[int64]{"content_tokens", r.ContentTokens})
	counts(&c, nullable[int32]{"first_call_index", r.FirstCallIndex})
	return c.err
}

// Validate returns an error that names the first column whose value FORMAT.md
// does not allow. It does not compare the hash: what it was taken of depends on
// the content tier.
func (r *Blob) Validate() error {
	var c checks
	c.hash("content_sha256", r.ContentSHA256)
	c.id("media_type", r.MediaType)
	count(&c, "content_bytes", r.ContentBytes)
	if r.Content != nil {
		c.that(int64(len(*r.Content)) == r.ContentBytes, "content_bytes", "got %d, the content has %d", r.ContentBytes, len(*r.Content))
	}
	counts(&c, nullable[int64]{"redacted_bytes", r.RedactedBytes})
	return c.err
}

// Validate returns an error that names the first column whose value FORMAT.md
// does not allow.
func (r *PrefixBlocks) Validate() error {
	var c checks
	c.id("session_id", r.SessionID)
	c.id("trajectory_id", r.TrajectoryID)
	count(&c, "call_index", r.CallIndex)
	c.that(r.BlockSizeTokens > 0, "block_size_tokens", "got %d, want at least 1", r.BlockSizeTokens)
	c.id("tokenizer", r.Tokenizer)
	c.oneOf("scope", r.Scope, ScopeSession, ScopeDataset)
	parent := r.ParentCallIndex != nil
	c.that(parent == (r.ParentTrajectoryID != nil), "parent_call_index", "is null without parent_trajectory_id, or the other way round")
	counts(&c, nullable[int32]{"parent_call_index", r.ParentCallIndex}, nullable[int32]{"system_blocks", r.SystemBlocks})
	count(&c, "shared_prefix_blocks", r.SharedPrefixBlocks)
	c.that(parent || r.SharedPrefixBlocks == 0, "shared_prefix_blocks", "got %d without a parent", r.SharedPrefixBlocks)
	count(&c, "input_tokens", r.InputTokens)
	count(&c, "output_tokens", r.OutputTokens)
	blocks := int64(r.SharedPrefixBlocks) + int64(len(r.NewBlockIDs))
	c.that(blocks*int64(r.BlockSizeTokens) <= r.InputTokens, "input_tokens",
		"got %d, the blocks hold %d", r.InputTokens, blocks*int64(r.BlockSizeTokens))
	if s := r.SystemBlocks; s != nil {
		c.that(int64(*s) <= blocks, "system_blocks", "got %d of %d blocks", *s, blocks)
	}
	for _, id := range r.NewBlockIDs {
		count(&c, "new_block_ids", id)
	}
	return c.err
}

// Validate returns an error that names the first column whose value FORMAT.md
// does not allow.
func (r *Sample) Validate() error {
	var c checks
	c.id("session_id", r.SessionID)
	c.id("trajectory_id", r.TrajectoryID)
	c.oneOf("role", r.Role, RoleMeasured, RolePrime)
	c.httpStatus(r.HTTPStatus)
	if r.Error != nil {
		c.oneOf("error", *r.Error, ErrConnect, ErrReset, ErrTimeout, ErrStatus, ErrRateLimit,
			ErrContext, ErrStream, ErrTruncated, ErrEmpty, ErrUnended)
	}
	counts(&c,
		nullable[int32]{"probe", &r.Probe},
		nullable[int32]{"level", &r.Level},
		nullable[int32]{"agent", &r.Agent},
		nullable[int32]{"play", &r.Play},
		nullable[int32]{"call_index", &r.CallIndex},
		nullable[int32]{"turn", &r.Turn},
		nullable[int32]{"target", &r.Target},
		nullable[int32]{"chunks", &r.Chunks},
		nullable[int32]{"reconnects", &r.Reconnects},
	)
	counts(&c,
		nullable[int64]{"due_us", &r.DueUS},
		nullable[int64]{"sent_us", r.SentUS},
		nullable[int64]{"written_us", r.WrittenUS},
		nullable[int64]{"headers_us", r.HeadersUS},
		nullable[int64]{"first_byte_us", r.FirstByteUS},
		nullable[int64]{"first_token_us", r.FirstTokenUS},
		nullable[int64]{"last_token_us", r.LastTokenUS},
		nullable[int64]{"done_us", r.DoneUS},
		nullable[int64]{"planned_input_tokens", &r.PlannedInput},
		nullable[int64]{"planned_output_tokens", &r.PlannedOutput},
		nullable[int64]{"ideal_cached_tokens", &r.IdealCached},
		nullable[int64]{"input_tokens", r.InputTokens},
		nullable[int64]{"cached_tokens", r.CachedTokens},
		nullable[int64]{"output_tokens", r.OutputTokens},
		nullable[int64]{"sent_bytes", &r.SentBytes},
		nullable[int64]{"read_bytes", &r.ReadBytes},
	)
	c.finite(nullable[float64]{"first_chunk_tokens", r.FirstTokens})
	c.that(r.FirstTokens == nil || *r.FirstTokens >= 0, "first_chunk_tokens", "want no negative number")
	return c.err
}
