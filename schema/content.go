package schema

// ToolCall is one row of the tool_calls table: one tool call that an answer
// asked for, with its result where the session sent one back.
type ToolCall struct {
	SessionID       string  `parquet:"session_id,dict"`
	TrajectoryID    string  `parquet:"trajectory_id,dict"`
	CallIndex       int32   `parquet:"call_index,delta"` // the call whose answer asked
	ToolIndex       int32   `parquet:"tool_index"`       // place within that answer
	ToolCallID      *string `parquet:"tool_call_id,optional"`
	ToolName        *string `parquet:"tool_name,optional,dict"`
	ArgumentsItem   *int32  `parquet:"arguments_item,optional"`
	ArgumentsBytes  *int64  `parquet:"arguments_bytes,optional"`
	EmittedUS       *int64  `parquet:"emitted_us,optional"`
	ResultCallIndex *int32  `parquet:"result_call_index,optional"`
	ResultItem      *int32  `parquet:"result_item,optional"`
	ResultBytes     *int64  `parquet:"result_bytes,optional"`
	ResultTokens    *int64  `parquet:"result_tokens,optional"`
	ParallelGroup   *int32  `parquet:"parallel_group,optional"`
	WallUS          *int64  `parquet:"wall_us,optional"`
	InternalUS      *int64  `parquet:"internal_us,optional"`
	TimingSource    string  `parquet:"timing_source,dict"` // one of the Timing constants
	IsError         *bool   `parquet:"is_error,optional"`
	ExitCode        *int32  `parquet:"exit_code,optional"`
	SubTrajectoryID *string `parquet:"subagent_trajectory_id,optional,dict"`
	ExtraJSON       *string `parquet:"extra_json,optional"`
}

// Where a tool call's times come from.
const (
	TimingProxyGap = "proxy_gap" // the next request's start minus the tool call's end: an upper bound
	TimingHarness  = "harness"   // the harness reported it
	TimingOTel     = "otel"      // a span of the harness
	TimingImport   = "import"    // the imported file had it
)

// Item is one row of the items table: one element of a context exactly as it
// was serialised on the wire, by the hash of its bytes. Item indexes are dense
// and count from 0 within a session.
type Item struct {
	SessionID       string  `parquet:"session_id,dict"`
	ItemIndex       int32   `parquet:"item_index,delta"`
	Kind            string  `parquet:"kind,dict"` // one of the Kind constants
	Role            *string `parquet:"role,optional,dict"`
	ContentSHA256   string  `parquet:"content_sha256"`
	ContentBytes    int64   `parquet:"content_bytes,delta"`
	ContentTokens   *int64  `parquet:"content_tokens,optional"`
	FirstCallIndex  *int32  `parquet:"first_call_index,optional"`
	ToolCallID      *string `parquet:"tool_call_id,optional"`
	Name            *string `parquet:"name,optional,dict"`
	CacheBreakpoint *bool   `parquet:"cache_breakpoint,optional"`
}

// Kinds of items.
const (
	KindSystem     = "system"
	KindTools      = "tools"
	KindUser       = "user"
	KindAssistant  = "assistant"
	KindReasoning  = "reasoning"
	KindToolCall   = "tool_call"
	KindToolResult = "tool_result"
	KindCompaction = "compaction"
	KindOther      = "other"
)

// Blob is one row of the blobs table: bytes stored once per dataset, in the
// order of their first use. Content is null where it was withheld.
type Blob struct {
	ContentSHA256 string  `parquet:"content_sha256"`
	MediaType     string  `parquet:"media_type,dict"`
	Content       *string `parquet:"content,optional"`
	ContentBytes  int64   `parquet:"content_bytes"`
	RedactedBytes *int64  `parquet:"redacted_bytes,optional"`
}

// Media types of blobs.
const (
	MediaItem     = "application/json"
	MediaEnvelope = "application/json; envelope"
)

// PrefixBlocks is one row of the prefix_blocks table: the prompt of one call as
// the ids of its full token blocks, for sources without text. The prompt is the
// first SharedPrefixBlocks blocks of the parent call's prompt, then NewBlockIDs,
// then InputTokens minus all of these in tokens that fill no block. A row
// without a parent shares nothing. The parent is an earlier row of the session.
type PrefixBlocks struct {
	SessionID          string  `parquet:"session_id,dict"`
	TrajectoryID       string  `parquet:"trajectory_id,dict"`
	CallIndex          int32   `parquet:"call_index,delta"`
	BlockSizeTokens    int32   `parquet:"block_size_tokens"`
	Tokenizer          string  `parquet:"tokenizer,dict"`
	Scope              string  `parquet:"scope,dict"` // session or dataset
	ParentTrajectoryID *string `parquet:"parent_trajectory_id,optional,dict"`
	ParentCallIndex    *int32  `parquet:"parent_call_index,optional"`
	SharedPrefixBlocks int32   `parquet:"shared_prefix_blocks"`
	NewBlockIDs        []int64 `parquet:"new_block_ids,list" parquet-element:",delta"`
	InputTokens        int64   `parquet:"input_tokens"`
	OutputTokens       int64   `parquet:"output_tokens"`
	SystemBlocks       *int32  `parquet:"system_blocks,optional"` // leading blocks that hold tools and system text
}

// Scopes within which equal block ids mean equal content.
const (
	ScopeSession = "session"
	ScopeDataset = "dataset"
)

// Session is one session's rows in memory, the unit in which datasets are
// written and read. Trajectories[0] is the root. Calls are sorted by
// (trajectory in order of Trajectories, call_index, attempt), Items by
// item_index, Blocks like Calls. Blobs holds the content of every hash that
// Items and envelopes name, except where content was withheld.
type Session struct {
	ID           string
	Trajectories []Trajectory
	Calls        []Call
	ToolCalls    []ToolCall
	Items        []Item
	Blocks       []PrefixBlocks
	Blobs        map[string]Blob
}
