package schema_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/schema"
)

// A row that validates stays valid with every nullable column null; each change
// below makes it invalid, and the error names the column.
func check[T any](t *testing.T, make func() T) func(column string, change func(*T)) {
	t.Helper()
	validate := func(row *T) error { return any(row).(interface{ Validate() error }).Validate() }
	row := make()
	if err := validate(&row); err != nil {
		t.Errorf("%T: %v", row, err)
	}
	return func(column string, change func(*T)) {
		t.Helper()
		row := make()
		change(&row)
		err := validate(&row)
		if err == nil || !strings.HasPrefix(err.Error(), column+": ") {
			t.Errorf("%T: got error %v, want one for %s", row, err, column)
		}
	}
}

func TestValidateCall(t *testing.T) {
	check(t, func() schema.Call { return bareCall(0) })
	f := check(t, func() schema.Call { return fullCall(0) })
	f("call_id", func(c *schema.Call) { c.CallID = "" })
	f("session_id", func(c *schema.Call) { c.SessionID = "" })
	f("trajectory_id", func(c *schema.Call) { c.TrajectoryID = "" })
	f("call_index", func(c *schema.Call) { c.CallIndex = -1 })
	f("attempt", func(c *schema.Call) { c.Attempt = -1 })
	f("trigger", func(c *schema.Call) { c.Trigger = "" })
	f("purpose", func(c *schema.Call) { c.Purpose = "fun" })
	f("api_format", func(c *schema.Call) { c.APIFormat = "openai" })
	f("http_status", func(c *schema.Call) { c.HTTPStatus = ptr(int32(0)) })
	f("http_status", func(c *schema.Call) { c.HTTPStatus = ptr(int32(600)) })
	f("parent_call_index", func(c *schema.Call) { c.ParentCallIndex = ptr(int32(-1)) })
	f("max_tokens", func(c *schema.Call) { c.MaxTokens = ptr(int64(-1)) })
	f("input_tokens", func(c *schema.Call) { c.InputTokens = ptr(int64(-1)) })
	f("temperature", func(c *schema.Call) { c.Temperature = ptr(math.NaN()) })
	f("cost_usd", func(c *schema.Call) { c.CostUSD = ptr(math.Inf(1)) })
	f("request_body_sha256", func(c *schema.Call) { c.RequestBodySHA256 = ptr("") })
	f("envelope_sha256", func(c *schema.Call) { c.EnvelopeSHA256 = ptr(strings.ToUpper(*c.EnvelopeSHA256)) })
	f("tools_sha256", func(c *schema.Call) { c.ToolsSHA256 = ptr(*c.ToolsSHA256 + "00") })

	f("context_ranges", func(c *schema.Call) { c.ContextRanges[0].StartItem = 3 })
	f("context_ranges", func(c *schema.Call) { c.ContextRanges[0].StartItem = -1 })
	f("context_ranges", func(c *schema.Call) { c.ContextRanges[0].Slot = 2 })
	f("context_ranges", func(c *schema.Call) { c.ContextRanges[0].Slot = -1 })
	f("num_context_items", func(c *schema.Call) { c.NumContextItems++ })
	f("patches", func(c *schema.Call) { c.Patches[0].Item = 4 })
	f("patches", func(c *schema.Call) { c.Patches[0].Off = -1 })
	f("patches", func(c *schema.Call) { c.Patches[1].Del = 0 })
	f("patches", func(c *schema.Call) { c.Patches[1] = schema.Patch{Item: 1, Off: 1, Ins: "x"} })
	f("patches", func(c *schema.Call) { c.Patches[0].Item, c.Patches[1].Item = 5, 1 })
	f("output_start_item", func(c *schema.Call) { c.OutputEndItem = nil })
	f("output_start_item", func(c *schema.Call) { c.OutputStartItem = ptr(int32(7)) })

	f("after.point", func(c *schema.Call) { c.After[0].Point = "" })
	f("after", func(c *schema.Call) { c.After[0].TrajectoryID = "t1" })
	f("after", func(c *schema.Call) { c.After[1].TrajectoryID = "" })
	f("after.share", func(c *schema.Call) { c.After[1].Share = 1.5 })
	f("after.share", func(c *schema.Call) { c.After[1].Share = float32(math.NaN()) })
	f("after.share", func(c *schema.Call) { c.After[1].Point = schema.PointDone })
	f("after.gap_us", func(c *schema.Call) { c.After[1].GapUS = -1 })

	f("headers_us", func(c *schema.Call) { c.HeadersUS = ptr(int64(-1)) })
	f("last_token_us", func(c *schema.Call) { c.LastTokenUS = ptr(int64(0)) })
	f("chunk_bytes", func(c *schema.Call) { c.ChunkBytes = c.ChunkBytes[:2] })
	f("chunk_tokens", func(c *schema.Call) { c.ChunkTokens = append(c.ChunkTokens, 1) })
	f("chunk_tokens", func(c *schema.Call) { c.ChunkTokens[0] = -1 })
	f("chunk_kinds", func(c *schema.Call) { c.ChunkKinds[0] = 4 })
	f("chunk_offsets_us", func(c *schema.Call) { c.ChunkOffsetsUS[0] = 9 })
	f("chunk_offsets_us", func(c *schema.Call) { c.ChunkOffsetsUS[0] = -1 })
}

func TestValidateTrajectory(t *testing.T) {
	f := check(t, fullTrajectory)
	f("session_id", func(r *schema.Trajectory) { r.SessionID = "" })
	f("trajectory_id", func(r *schema.Trajectory) { r.TrajectoryID = "" })
	f("parent_trajectory_id", func(r *schema.Trajectory) { r.ParentTrajectoryID = &r.TrajectoryID })
	f("spawned_by_call_index", func(r *schema.Trajectory) { r.ParentTrajectoryID = nil })
	f("spawned_by_call_index", func(r *schema.Trajectory) { r.SpawnedByCallIndex = ptr(int32(-1)) })
	f("api_format", func(r *schema.Trajectory) { r.APIFormat = ptr("") })
	f("content_tier", func(r *schema.Trajectory) { r.ContentTier = "public" })
	f("source_kind", func(r *schema.Trajectory) { r.SourceKind = "import:" })
	f("source_kind", func(r *schema.Trajectory) { r.SourceKind = "import" })
	f("source_kind", func(r *schema.Trajectory) { r.SourceKind = "proxy:x" })
	f("ideal_prefix_hit_ratio", func(r *schema.Trajectory) { r.IdealPrefixHitRatio = ptr(1.1) })
	f("ideal_prefix_hit_ratio", func(r *schema.Trajectory) { r.IdealPrefixHitRatio = ptr(math.NaN()) })
	f("num_calls", func(r *schema.Trajectory) { r.NumCalls = -1 })
	f("idle_us", func(r *schema.Trajectory) { r.IdleUS = ptr(int64(-1)) })
	f("reward", func(r *schema.Trajectory) { r.Reward = ptr(math.Inf(-1)) })
}

func TestValidateToolCall(t *testing.T) {
	f := check(t, fullToolCall)
	f("session_id", func(r *schema.ToolCall) { r.SessionID = "" })
	f("trajectory_id", func(r *schema.ToolCall) { r.TrajectoryID = "" })
	f("tool_index", func(r *schema.ToolCall) { r.ToolIndex = -1 })
	f("timing_source", func(r *schema.ToolCall) { r.TimingSource = "" })
	f("result_item", func(r *schema.ToolCall) { r.ResultItem = ptr(int32(-1)) })
	f("wall_us", func(r *schema.ToolCall) { r.WallUS = ptr(int64(-1)) })
}

func TestValidateItem(t *testing.T) {
	f := check(t, func() schema.Item { return fullItem(0) })
	f("session_id", func(r *schema.Item) { r.SessionID = "" })
	f("item_index", func(r *schema.Item) { r.ItemIndex = -1 })
	f("kind", func(r *schema.Item) { r.Kind = "message" })
	f("content_sha256", func(r *schema.Item) { r.ContentSHA256 = "" })
	f("content_bytes", func(r *schema.Item) { r.ContentBytes = -1 })
	f("content_tokens", func(r *schema.Item) { r.ContentTokens = ptr(int64(-1)) })
	f("first_call_index", func(r *schema.Item) { r.FirstCallIndex = ptr(int32(-1)) })
}

func TestValidateBlob(t *testing.T) {
	check(t, func() schema.Blob {
		return schema.Blob{ContentSHA256: hashOf("x"), MediaType: schema.MediaItem, ContentBytes: 9}
	})
	f := check(t, func() schema.Blob { return fullBlob("content") })
	f("content_sha256", func(r *schema.Blob) { r.ContentSHA256 = r.ContentSHA256[1:] })
	f("media_type", func(r *schema.Blob) { r.MediaType = "" })
	f("content_bytes", func(r *schema.Blob) { r.ContentBytes++ })
	f("content_bytes", func(r *schema.Blob) { r.Content, r.ContentBytes = nil, -1 })
	f("redacted_bytes", func(r *schema.Blob) { r.RedactedBytes = ptr(int64(-1)) })
}

func TestValidatePrefixBlocks(t *testing.T) {
	f := check(t, fullBlocks)
	f("session_id", func(r *schema.PrefixBlocks) { r.SessionID = "" })
	f("trajectory_id", func(r *schema.PrefixBlocks) { r.TrajectoryID = "" })
	f("call_index", func(r *schema.PrefixBlocks) { r.CallIndex = -1 })
	f("block_size_tokens", func(r *schema.PrefixBlocks) { r.BlockSizeTokens = 0 })
	f("tokenizer", func(r *schema.PrefixBlocks) { r.Tokenizer = "" })
	f("scope", func(r *schema.PrefixBlocks) { r.Scope = "global" })
	f("parent_call_index", func(r *schema.PrefixBlocks) { r.ParentTrajectoryID = nil })
	f("parent_call_index", func(r *schema.PrefixBlocks) { r.ParentCallIndex = nil })
	f("shared_prefix_blocks", func(r *schema.PrefixBlocks) { r.ParentTrajectoryID, r.ParentCallIndex = nil, nil })
	f("shared_prefix_blocks", func(r *schema.PrefixBlocks) { r.SharedPrefixBlocks = -1 })
	f("input_tokens", func(r *schema.PrefixBlocks) { r.InputTokens = 4*64 - 1 })
	f("output_tokens", func(r *schema.PrefixBlocks) { r.OutputTokens = -1 })
	f("system_blocks", func(r *schema.PrefixBlocks) { r.SystemBlocks = ptr(int32(5)) })
	f("new_block_ids", func(r *schema.PrefixBlocks) { r.NewBlockIDs[1] = -1 })
}

func TestValidateSample(t *testing.T) {
	f := check(t, fullSample)
	f("session_id", func(r *schema.Sample) { r.SessionID = "" })
	f("trajectory_id", func(r *schema.Sample) { r.TrajectoryID = "" })
	f("role", func(r *schema.Sample) { r.Role = "" })
	f("agent", func(r *schema.Sample) { r.Agent = -1 })
	f("due_us", func(r *schema.Sample) { r.DueUS = -1 })
	f("done_us", func(r *schema.Sample) { r.DoneUS = ptr(int64(-1)) })
	f("read_bytes", func(r *schema.Sample) { r.ReadBytes = -1 })
	f("first_chunk_tokens", func(r *schema.Sample) { r.FirstTokens = ptr(-0.5) })
	f("first_chunk_tokens", func(r *schema.Sample) { r.FirstTokens = ptr(math.NaN()) })
	f("http_status", func(r *schema.Sample) { r.HTTPStatus = ptr(int32(-1)) })
	f("error", func(r *schema.Sample) { r.Error = ptr("") })
}

// A file can hold rows that are whole but wrong: they are refused on reading.
func TestReadValidates(t *testing.T) {
	bad := fullItem(0)
	bad.Kind = "nonsense"
	path := plain(t, fullItem(0), bad)
	_, err := read[schema.Item](path)
	refused(t, "a row of no known kind", path, err, `row 1: kind: got "nonsense"`)
}

// The lengths of ranges do not wrap around, and patches are looked up quickly.
func TestValidateLongLists(t *testing.T) {
	c := bareCall(0)
	c.ContextRanges = []schema.Range{{StartItem: 0, EndItem: math.MaxInt32}, {StartItem: 0, EndItem: math.MaxInt32}, {StartItem: 0, EndItem: 3}}
	c.NumContextItems = 1 // what 32 bits make of it
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "the ranges hold 4294967297") {
		t.Errorf("ranges that wrap around: got error %v", err)
	}
	const n = 1 << 18
	c.ContextRanges, c.Patches, c.NumContextItems = nil, nil, n
	for i := range int32(n) {
		c.ContextRanges = append(c.ContextRanges, schema.Range{StartItem: 2 * (n - i), EndItem: 2*(n-i) + 1})
		c.Patches = append(c.Patches, schema.Patch{Item: 2 * (i + 1), Del: 1})
	}
	start := time.Now()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("Validate took %v for %d ranges and patches", took, n)
	}
	c.Patches[n-1].Item++
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "is not in the context") {
		t.Errorf("a patch of an item between the ranges: got error %v", err)
	}
}
