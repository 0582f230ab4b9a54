package schema_test

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/schema"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// ptr returns a pointer to v.
func ptr[T any](v T) *T { return &v }

func hashOf(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

// write writes rows to a new file, ending the session after each.
func write[T any](t testing.TB, rows ...T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "table.parquet")
	w, err := schema.NewWriter[T](path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		if err := w.Write(rows[i : i+1]); err != nil {
			t.Fatal(err)
		}
		if err := w.EndSession(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// read returns all rows of a file, and the error that ended them.
func read[T any](path string) (rows []T, err error) {
	for row, err := range schema.Read[T](path) {
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// noise returns n bytes of text that hardly compress.
func noise(r *rand.Rand, n int) string {
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, "%016x", r.Uint64())
	}
	return b.String()[:n]
}

func blobOf(content string) schema.Blob {
	return schema.Blob{
		ContentSHA256: hashOf(content), MediaType: schema.MediaItem,
		Content: &content, ContentBytes: int64(len(content)),
	}
}

func fullBlob(content string) schema.Blob {
	b := blobOf(content)
	b.RedactedBytes = ptr(int64(0))
	return b
}

// fullCall is a call with no column null and no list empty.
func fullCall(i int32) schema.Call {
	return schema.Call{
		CallID: fmt.Sprintf("call-%d", i), SessionID: "s1", TrajectoryID: "t1", CallIndex: i, Attempt: 1,
		ParentCallIndex: ptr(i), Trigger: schema.TriggerUser, Purpose: schema.PurposeMain,
		After: []schema.After{
			{Point: schema.PointStart, GapUS: 3},
			{TrajectoryID: "t1", CallIndex: i, Point: schema.PointToken, Share: 0.25, GapUS: 1_000_000},
		},
		APIFormat: schema.FormatChat, RequestModel: ptr("m"), ResponseModel: ptr("m-1"), ResponseID: ptr(fmt.Sprint("r", i)),
		Stream: ptr(false), HTTPStatus: ptr(int32(200)), FinishReason: ptr(""), ErrorType: ptr("none"), Truncated: ptr(true),
		MaxTokens: ptr(int64(0)), Temperature: ptr(0.0), TopP: ptr(0.5), TopK: ptr(int32(0)), Seed: ptr(int64(-1)),
		ReasoningEffort: ptr("high"), ToolChoice: ptr("auto"), RequestParamsJSON: ptr(`{"n":1}`),
		ContextRanges: []schema.Range{{StartItem: 0, EndItem: 3, Slot: 0}, {StartItem: 5, EndItem: 6, Slot: 1}},
		Patches:       []schema.Patch{{Item: 1, Off: 2, Del: 0, Ins: "é"}, {Item: 5, Off: 0, Del: 4, Ins: ""}},

		NumContextItems: 4, SharedPrefixItems: ptr(int32(0)), NewItems: ptr(int32(4)),
		OutputStartItem: ptr(int32(6)), OutputEndItem: ptr(int32(6)),
		SystemSHA256: ptr(hashOf("system")), ToolsSHA256: ptr(hashOf("tools")), EnvelopeSHA256: ptr(hashOf("envelope")),
		RequestBodySHA256: ptr(hashOf("body")), RequestBodyBytes: ptr(int64(99)),
		ResponseBodySHA256: ptr(hashOf("answer")), ResponseBodyBytes: ptr(int64(98)),
		InputTokens: ptr(int64(100)), CacheReadTokens: ptr(int64(0)), CacheWriteTokens: ptr(int64(7)), OutputTokens: ptr(int64(9)),
		ReasoningTokens: ptr(int64(0)), TokenSource: ptr("usage"), RefInputTokens: ptr(int64(101)), RefOutputTokens: ptr(int64(8)),
		UsageJSON: ptr(`{}`), StartedAt: ptr(time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC)), GapUS: ptr(int64(-5)),
		RequestSentUS: ptr(int64(1)), HeadersUS: ptr(int64(2)), FirstChunkUS: ptr(int64(3)), FirstTokenUS: ptr(int64(4)),
		LastTokenUS: ptr(int64(5)), CompletedUS: ptr(int64(6)), ServerProcessingUS: ptr(int64(0)),
		ChunkOffsetsUS: []int64{3, 4, 4}, ChunkBytes: []int32{0, 1, 2}, ChunkTokens: []int32{0, 0, 1}, ChunkKinds: []int32{0, 1, 3},
		CostUSD: ptr(0.0), ExtraJSON: ptr(`{"x":null}`),
	}
}

// bareCall is a call with every nullable column null and every list empty.
func bareCall(i int32) schema.Call {
	return schema.Call{
		CallID: fmt.Sprintf("call-%d", i), SessionID: "s1", TrajectoryID: "t1", CallIndex: i,
		Trigger: schema.TriggerUnknown, Purpose: schema.PurposeSide, APIFormat: schema.FormatNone,
		After: []schema.After{}, ContextRanges: []schema.Range{}, Patches: []schema.Patch{},
		ChunkOffsetsUS: []int64{}, ChunkBytes: []int32{}, ChunkTokens: []int32{}, ChunkKinds: []int32{},
	}
}

func fullTrajectory() schema.Trajectory {
	return schema.Trajectory{
		SessionID: "s1", TrajectoryID: "t2", ParentTrajectoryID: ptr("t1"), SpawnedByCallIndex: ptr(int32(0)), SpawnedByToolCallID: ptr("toolu_1"),
		AgentName: ptr("explore"), AgentVersion: ptr("1.2"), ProviderName: ptr("p"), Models: []string{"a", "b"}, APIFormat: ptr(schema.FormatMessages),
		TaskID: ptr("task"), TaskSource: ptr("own"), Repo: ptr("r"), Language: ptr("go"), License: ptr("MIT"),
		StartedAt: ptr(time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC)), DurationUS: ptr(int64(5)), NumCalls: 1, NumToolCalls: 2, NumItems: 3,
		NumCompactions: ptr(int32(0)), NumSubagents: ptr(int32(0)), TotalInputTokens: ptr(int64(1)), TotalCacheReadTokens: ptr(int64(2)),
		TotalCacheWriteTok: ptr(int64(3)), TotalOutputTokens: ptr(int64(4)), TotalReasoningTokens: ptr(int64(5)), MaxContextTokens: ptr(int64(6)),
		IdealPrefixHitRatio: ptr(1.0), LLMUS: ptr(int64(7)), ToolUS: ptr(int64(8)), IdleUS: ptr(int64(9)), CostUSD: ptr(0.5),
		ExitStatus: ptr("ok"), Resolved: ptr(false), Reward: ptr(-1.0), ContentTier: schema.TierFull, SourceKind: "import:pi",
		Title: ptr("Fix it"), Tags: []string{"x"}, ExtraJSON: ptr("{}"),
	}
}

func fullToolCall() schema.ToolCall {
	return schema.ToolCall{
		SessionID: "s1", TrajectoryID: "t1", CallIndex: 1, ToolIndex: 0, ToolCallID: ptr("c"), ToolName: ptr("bash"), ArgumentsItem: ptr(int32(4)),
		ArgumentsBytes: ptr(int64(10)), EmittedUS: ptr(int64(11)), ResultCallIndex: ptr(int32(2)), ResultItem: ptr(int32(5)), ResultBytes: ptr(int64(12)),
		ResultTokens: ptr(int64(13)), ParallelGroup: ptr(int32(0)), WallUS: ptr(int64(14)), InternalUS: ptr(int64(15)), TimingSource: schema.TimingHarness,
		IsError: ptr(false), ExitCode: ptr(int32(-1)), SubTrajectoryID: ptr("t2"), ExtraJSON: ptr("{}"),
	}
}

func fullItem(i int32) schema.Item {
	return schema.Item{
		SessionID: "s1", ItemIndex: i, Kind: schema.KindUser, Role: ptr("user"), ContentSHA256: hashOf(fmt.Sprint(i)), ContentBytes: 7,
		ContentTokens: ptr(int64(2)), FirstCallIndex: ptr(int32(0)), ToolCallID: ptr("c"), Name: ptr("n"), CacheBreakpoint: ptr(false),
	}
}

func fullBlocks() schema.PrefixBlocks {
	return schema.PrefixBlocks{
		SessionID: "s1", TrajectoryID: "t1", CallIndex: 1, BlockSizeTokens: 64, Tokenizer: "o200k_base", Scope: schema.ScopeSession,
		ParentTrajectoryID: ptr("t1"), ParentCallIndex: ptr(int32(0)), SharedPrefixBlocks: 2, NewBlockIDs: []int64{7, 9}, InputTokens: 4*64 + 1,
		OutputTokens: 0, SystemBlocks: ptr(int32(4)),
	}
}

func fullSample() schema.Sample {
	return schema.Sample{
		Probe: 1, Level: 2, Agent: 3, Play: 4, SessionID: "s1", TrajectoryID: "t1", CallIndex: 5, Turn: 6, Role: schema.RoleMeasured, Target: 0,
		DueUS: 1, SentUS: ptr(int64(2)), WrittenUS: ptr(int64(3)), HeadersUS: ptr(int64(4)), FirstByteUS: ptr(int64(5)), FirstTokenUS: ptr(int64(6)),
		LastTokenUS: ptr(int64(7)), DoneUS: ptr(int64(8)), PlannedInput: 9, PlannedOutput: 10, IdealCached: 11, InputTokens: ptr(int64(12)),
		CachedTokens: ptr(int64(0)), OutputTokens: ptr(int64(13)), Chunks: 14, FirstTokens: ptr(1.5), SentBytes: 15, ReadBytes: 16, Reconnects: 0,
		HTTPStatus: ptr(int32(500)), FinishReason: ptr("stop"), Error: ptr(schema.ErrStatus), ErrorText: ptr("boom"),
	}
}
