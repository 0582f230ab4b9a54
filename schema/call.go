package schema

import "time"

// Call is one row of the calls table: one HTTP attempt at one model call.
//
// Offsets (…US) are microseconds on a monotonic clock since StartedAt, which is
// when the request began; a null offset means the source did not record it.
// Token counts are totals: InputTokens includes what was read from a cache.
//
// The request body is the envelope blob with its slots filled: slot s takes the
// items of the ranges whose Slot is s, each after its patches. See FORMAT.md.
type Call struct {
	CallID          string  `parquet:"call_id"`
	SessionID       string  `parquet:"session_id,dict"`
	TrajectoryID    string  `parquet:"trajectory_id,dict"`
	CallIndex       int32   `parquet:"call_index,delta"`
	Attempt         int32   `parquet:"attempt"`
	ParentCallIndex *int32  `parquet:"parent_call_index,optional"`
	Trigger         string  `parquet:"trigger,dict"`
	Purpose         string  `parquet:"purpose,dict"`
	After           []After `parquet:"after,list"`

	APIFormat     string  `parquet:"api_format,dict"`
	RequestModel  *string `parquet:"request_model,optional,dict"`
	ResponseModel *string `parquet:"response_model,optional,dict"`
	ResponseID    *string `parquet:"response_id,optional"`
	Stream        *bool   `parquet:"stream,optional"`
	HTTPStatus    *int32  `parquet:"http_status,optional"`
	FinishReason  *string `parquet:"finish_reason,optional,dict"`
	ErrorType     *string `parquet:"error_type,optional,dict"`
	Truncated     *bool   `parquet:"truncated,optional"`

	MaxTokens         *int64   `parquet:"max_tokens,optional"`
	Temperature       *float64 `parquet:"temperature,optional"`
	TopP              *float64 `parquet:"top_p,optional"`
	TopK              *int32   `parquet:"top_k,optional"`
	Seed              *int64   `parquet:"seed,optional"`
	ReasoningEffort   *string  `parquet:"reasoning_effort,optional,dict"`
	ToolChoice        *string  `parquet:"tool_choice,optional,dict"`
	RequestParamsJSON *string  `parquet:"request_params_json,optional"`

	ContextRanges      []Range `parquet:"context_ranges,list"`
	Patches            []Patch `parquet:"patches,list"`
	NumContextItems    int32   `parquet:"num_context_items"`
	SharedPrefixItems  *int32  `parquet:"shared_prefix_items,optional"`
	NewItems           *int32  `parquet:"new_items,optional"`
	OutputStartItem    *int32  `parquet:"output_start_item,optional"`
	OutputEndItem      *int32  `parquet:"output_end_item,optional"`
	SystemSHA256       *string `parquet:"system_sha256,optional,dict"`
	ToolsSHA256        *string `parquet:"tools_sha256,optional,dict"`
	EnvelopeSHA256     *string `parquet:"envelope_sha256,optional,dict"`
	RequestBodySHA256  *string `parquet:"request_body_sha256,optional"`
	RequestBodyBytes   *int64  `parquet:"request_body_bytes,optional"`
	ResponseBodySHA256 *string `parquet:"response_body_sha256,optional"`
	ResponseBodyBytes  *int64  `parquet:"response_body_bytes,optional"`

	InputTokens      *int64  `parquet:"input_tokens,optional"`
	CacheReadTokens  *int64  `parquet:"cache_read_tokens,optional"`
	CacheWriteTokens *int64  `parquet:"cache_write_tokens,optional"`
	OutputTokens     *int64  `parquet:"output_tokens,optional"`
	ReasoningTokens  *int64  `parquet:"reasoning_tokens,optional"`
	TokenSource      *string `parquet:"token_source,optional,dict"`
	RefInputTokens   *int64  `parquet:"ref_input_tokens,optional"`
	RefOutputTokens  *int64  `parquet:"ref_output_tokens,optional"`
	UsageJSON        *string `parquet:"usage_json,optional"`

	StartedAt          *time.Time `parquet:"started_at,optional,timestamp(microsecond)"`
	GapUS              *int64     `parquet:"gap_us,optional"`
	RequestSentUS      *int64     `parquet:"request_sent_us,optional"`
	HeadersUS          *int64     `parquet:"headers_us,optional"`
	FirstChunkUS       *int64     `parquet:"first_chunk_us,optional"`
	FirstTokenUS       *int64     `parquet:"first_token_us,optional"`
	LastTokenUS        *int64     `parquet:"last_token_us,optional"`
	CompletedUS        *int64     `parquet:"completed_us,optional"`
	ServerProcessingUS *int64     `parquet:"server_processing_us,optional"`
	ChunkOffsetsUS     []int64    `parquet:"chunk_offsets_us,list" parquet-element:",delta"`
	ChunkBytes         []int32    `parquet:"chunk_bytes,list" parquet-element:",delta"`
	ChunkTokens        []int32    `parquet:"chunk_tokens,list" parquet-element:",delta"`
	ChunkKinds         []int32    `parquet:"chunk_kinds,list" parquet-element:",delta"`
	CostUSD            *float64   `parquet:"cost_usd,optional"`
	ExtraJSON          *string    `parquet:"extra_json,optional"`
}

// Range is a half-open run of a session's items, [StartItem, EndItem), which
// fills Slot of the call's envelope. Ranges stand in body order.
type Range struct {
	StartItem int32 `parquet:"start_item"`
	EndItem   int32 `parquet:"end_item"`
	Slot      int32 `parquet:"slot"`
}

// Patch turns the stored bytes of an item into the bytes this call sent: at
// byte Off, Del bytes go and Ins comes. Patches of one item stand in ascending
// Off, and Off counts in the stored bytes.
type Patch struct {
	Item int32  `parquet:"item"`
	Off  int32  `parquet:"off"`
	Del  int32  `parquet:"del"`
	Ins  string `parquet:"ins"`
}

// After is one cause of a call. A call is due when the latest of its causes has
// happened and that cause's gap has passed. A call without causes is due when
// its session starts.
type After struct {
	TrajectoryID string  `parquet:"trajectory,dict"` // empty with PointStart
	CallIndex    int32   `parquet:"call"`            // 0 with PointStart
	Point        string  `parquet:"point,dict"`      // one of the Point constants
	Share        float32 `parquet:"share"`           // of the answer's tokens, in [0,1]; with PointToken
	GapUS        int64   `parquet:"gap_us"`          // not negative
}

// Points of a call (or of the session) that a later call can hang on.
const (
	PointStart = "start" // the session's first instant
	PointSent  = "sent"  // the request was sent
	PointToken = "token" // a share of the answer's tokens had arrived
	PointDone  = "done"  // the answer had ended
)

// What made a call happen.
const (
	TriggerUser       = "user"
	TriggerToolResult = "tool_result"
	TriggerSubagent   = "subagent"
	TriggerRetry      = "retry"
	TriggerCompaction = "compaction"
	TriggerSide       = "side"
	TriggerUnknown    = "unknown"
)

// What a call was for.
const (
	PurposeMain    = "main"    // a turn
	PurposeTitle   = "title"   // names the session
	PurposeSummary = "summary" // compacts the context
	PurposeSide    = "side"    // anything else off the main chain
)

// Kinds of chunks.
const (
	ChunkText      = 0
	ChunkReasoning = 1
	ChunkTool      = 2
	ChunkOther     = 3
)

// API formats.
const (
	FormatChat      = "openai.chat"
	FormatResponses = "openai.responses"
	FormatMessages  = "anthropic.messages"
	FormatGemini    = "gemini"
	FormatNone      = "none" // the source kept no bodies
)
