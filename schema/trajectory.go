package schema

import "time"

// Trajectory is one row of the trajectories table: the turns of one agent in
// order. A session has one root trajectory, whose parent is null, and one
// trajectory for each sub-agent.
type Trajectory struct {
	SessionID            string     `parquet:"session_id,dict"`
	TrajectoryID         string     `parquet:"trajectory_id,dict"`
	ParentTrajectoryID   *string    `parquet:"parent_trajectory_id,optional,dict"`
	SpawnedByCallIndex   *int32     `parquet:"spawned_by_call_index,optional"`
	SpawnedByToolCallID  *string    `parquet:"spawned_by_tool_call_id,optional"`
	AgentName            *string    `parquet:"agent_name,optional,dict"`
	AgentVersion         *string    `parquet:"agent_version,optional,dict"`
	ProviderName         *string    `parquet:"provider_name,optional,dict"`
	Models               []string   `parquet:"models,list"`
	APIFormat            *string    `parquet:"api_format,optional,dict"`
	TaskID               *string    `parquet:"task_id,optional"`
	TaskSource           *string    `parquet:"task_source,optional,dict"`
	Repo                 *string    `parquet:"repo,optional,dict"`
	Language             *string    `parquet:"language,optional,dict"`
	License              *string    `parquet:"license,optional,dict"`
	StartedAt            *time.Time `parquet:"started_at,optional,timestamp(microsecond)"`
	DurationUS           *int64     `parquet:"duration_us,optional"`
	NumCalls             int32      `parquet:"num_calls"`
	NumToolCalls         int32      `parquet:"num_tool_calls"`
	NumItems             int32      `parquet:"num_items"`
	NumCompactions       *int32     `parquet:"num_compactions,optional"`
	NumSubagents         *int32     `parquet:"num_subagents,optional"`
	TotalInputTokens     *int64     `parquet:"total_input_tokens,optional"`
	TotalCacheReadTokens *int64     `parquet:"total_cache_read_tokens,optional"`
	TotalCacheWriteTok   *int64     `parquet:"total_cache_write_tokens,optional"`
	TotalOutputTokens    *int64     `parquet:"total_output_tokens,optional"`
	TotalReasoningTokens *int64     `parquet:"total_reasoning_tokens,optional"`
	MaxContextTokens     *int64     `parquet:"max_context_tokens,optional"`
	IdealPrefixHitRatio  *float64   `parquet:"ideal_prefix_hit_ratio,optional"`
	LLMUS                *int64     `parquet:"llm_us,optional"`
	ToolUS               *int64     `parquet:"tool_us,optional"`
	IdleUS               *int64     `parquet:"idle_us,optional"`
	CostUSD              *float64   `parquet:"cost_usd,optional"`
	ExitStatus           *string    `parquet:"exit_status,optional,dict"`
	Resolved             *bool      `parquet:"resolved,optional"`
	Reward               *float64   `parquet:"reward,optional"`
	ContentTier          string     `parquet:"content_tier,dict"`
	SourceKind           string     `parquet:"source_kind,dict"`
	Title                *string    `parquet:"title,optional"`
	Tags                 []string   `parquet:"tags,list"`
	ExtraJSON            *string    `parquet:"extra_json,optional"`
}

// Content tiers of a trajectory.
const (
	TierFull     = "full"     // content as recorded
	TierScrubbed = "scrubbed" // secrets and personal data replaced
	TierHashed   = "hashed"   // no content, prefix blocks only
)

// Kinds of sources. An import's kind is SourceImport, a colon and the format.
const (
	SourceProxy  = "proxy"
	SourceImport = "import"
)
