package schema

// Sample is one row of a samples table: the measured record of one replayed
// call. Stamps (…US) are microseconds on the run's monotonic clock, whose zero
// is the start of the probe; a null stamp means it never came. A failed call is
// a sample too: Error says what went wrong, and it violates every SLO.
type Sample struct {
	Probe        int32  `parquet:"probe"`
	Level        int32  `parquet:"level"`
	Agent        int32  `parquet:"agent"`
	Play         int32  `parquet:"play"` // counts from 0 for each agent
	SessionID    string `parquet:"session_id,dict"`
	TrajectoryID string `parquet:"trajectory_id,dict"`
	CallIndex    int32  `parquet:"call_index"`
	Turn         int32  `parquet:"turn"` // of its trajectory, from 0
	Role         string `parquet:"role,dict"`
	Target       int32  `parquet:"target"` // index of the endpoint

	DueUS        int64  `parquet:"due_us"`
	SentUS       *int64 `parquet:"sent_us,optional"`        // the first byte was handed to the kernel
	WrittenUS    *int64 `parquet:"written_us,optional"`     // the last byte was
	HeadersUS    *int64 `parquet:"headers_us,optional"`     // the response's header was read
	FirstByteUS  *int64 `parquet:"first_byte_us,optional"`  // of the response's body
	FirstTokenUS *int64 `parquet:"first_token_us,optional"` // first non-empty content, reasoning or tool fragment
	LastTokenUS  *int64 `parquet:"last_token_us,optional"`
	DoneUS       *int64 `parquet:"done_us,optional"` // end of the answer, or of the attempt

	PlannedInput  int64    `parquet:"planned_input_tokens"`
	PlannedOutput int64    `parquet:"planned_output_tokens"`
	IdealCached   int64    `parquet:"ideal_cached_tokens"` // of PlannedInput, with an infinite cache
	InputTokens   *int64   `parquet:"input_tokens,optional"`
	CachedTokens  *int64   `parquet:"cached_tokens,optional"` // null: the system did not say
	OutputTokens  *int64   `parquet:"output_tokens,optional"`
	Chunks        int32    `parquet:"chunks"`                      // that carried tokens
	FirstTokens   *float64 `parquet:"first_chunk_tokens,optional"` // tokens in the first of them
	SentBytes     int64    `parquet:"sent_bytes"`
	ReadBytes     int64    `parquet:"read_bytes"`
	Reconnects    int32    `parquet:"reconnects"`

	HTTPStatus   *int32  `parquet:"http_status,optional"`
	FinishReason *string `parquet:"finish_reason,optional,dict"`
	Error        *string `parquet:"error,optional,dict"` // one of the Err constants
	ErrorText    *string `parquet:"error_text,optional"`
}

// Roles of a sample.
const (
	RoleMeasured = "measured"
	RolePrime    = "prime" // filled a cache before measuring
)

// Classes of failed calls.
const (
	ErrConnect   = "connect"    // no connection
	ErrReset     = "reset"      // the connection broke
	ErrTimeout   = "timeout"    // no byte for longer than allowed
	ErrStatus    = "status"     // an HTTP status other than 200 and 429
	ErrRateLimit = "rate_limit" // HTTP 429
	ErrContext   = "context"    // the system's context is too small
	ErrStream    = "stream"     // broken SSE or JSON
	ErrTruncated = "truncated"  // the stream ended without an end
	ErrEmpty     = "empty"      // an answer without a token
	ErrUnended   = "unended"    // the probe ended first; not a failure of the system by itself
)
