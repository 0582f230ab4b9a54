package datasets_test

import (
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/datasets"
	"github.com/capstan-bench/capstan/schema"
)

// TestCheck breaks a sound session in every way that Check knows. Calls 0 to 2 are
// the root's, call 3 is the sub-agent's.
func TestCheck(t *testing.T) {
	f := func(want string, damage func(*schema.Session)) {
		t.Helper()
		s := session(t, "a", "x")
		damage(s)
		if err := datasets.Check(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Check = %v, want an error with %q", err, want)
		}
	}
	if err := datasets.Check(session(t, "a", "x")); err != nil {
		t.Fatal(err)
	}

	// Trajectories.
	f("it has no trajectory", func(s *schema.Session) { s.Trajectories = nil })
	f(`trajectory "root": its session is "b"`, func(s *schema.Session) { s.Trajectories[0].SessionID = "b" })
	f("it comes twice", func(s *schema.Session) { s.Trajectories = append(s.Trajectories, s.Trajectories[1]) })
	f(`it is the first but has the parent "sub"`, func(s *schema.Session) { s.Trajectories[0].ParentTrajectoryID = ptr("sub") })
	f("it has no parent but is not the first", func(s *schema.Session) { s.Trajectories[1].ParentTrajectoryID = nil })
	f(`its parent "later" does not stand before it`, func(s *schema.Session) { s.Trajectories[1].ParentTrajectoryID = ptr("later") })
	f("num_calls is 4, its rows have 3", func(s *schema.Session) { s.Trajectories[0].NumCalls++ })
	f("num_tool_calls is 0, its rows have 1", func(s *schema.Session) { s.Trajectories[0].NumToolCalls = 0 })
	f("num_items is", func(s *schema.Session) { s.Trajectories[1].NumItems++ })
	f("num_subagents is 7, its rows have 1", func(s *schema.Session) { s.Trajectories[0].NumSubagents = ptr(int32(7)) })
	f("total_input_tokens is 601, its rows have 600", func(s *schema.Session) { *s.Trajectories[0].TotalInputTokens = 601 })
	f("total_output_tokens is 1, its rows have 10", func(s *schema.Session) { s.Trajectories[1].TotalOutputTokens = ptr(int64(1)) })

	// Calls.
	f(`call 1: its session is "b"`, func(s *schema.Session) { s.Calls[1].SessionID = "b" })
	f("there is no such trajectory", func(s *schema.Session) { s.Calls[1].TrajectoryID = "other" })
	f("attempt 0 is out of order or comes twice", func(s *schema.Session) { s.Calls[1].CallIndex = 0 })
	f("attempt 0 is out of order or comes twice", func(s *schema.Session) { s.Calls[0], s.Calls[3] = s.Calls[3], s.Calls[0] })
	f("comes twice", func(s *schema.Session) { s.Calls[1].CallID = s.Calls[0].CallID })
	f("parent_call_index 1 is no earlier call", func(s *schema.Session) { s.Calls[1].ParentCallIndex = ptr(int32(1)) })
	f("context range [0, 99)", func(s *schema.Session) { s.Calls[1].ContextRanges[0].EndItem = 99 })
	f("output_end_item 99", func(s *schema.Session) { s.Calls[1].OutputEndItem = ptr(int32(99)) })
	f("not null together", func(s *schema.Session) { s.Calls[1].RequestBodyBytes = nil })
	f("envelope_sha256 is null", func(s *schema.Session) { s.Calls[1].EnvelopeSHA256 = nil })
	f("is missing", func(s *schema.Session) { delete(s.Blobs, *s.Calls[1].EnvelopeSHA256) })

	f("num_context_items is 2097152, want at most 1048576", func(s *schema.Session) { s.Calls[1].NumContextItems = 1 << 21 })
	f("request_body_bytes is 2147483648, want at most", func(s *schema.Session) { s.Calls[1].RequestBodyBytes = ptr(int64(1 << 31)) })
	f("table tool_calls: 1048577 rows, want at most 1048576", func(s *schema.Session) { s.ToolCalls = make([]schema.ToolCall, 1<<20+1) })

	// Items.
	f(`item 1: its session is "b"`, func(s *schema.Session) { s.Items[1].SessionID = "b" })
	f("it stands where item 1 is expected", func(s *schema.Session) { s.Items[1].ItemIndex = 2 })
	f("content_bytes is", func(s *schema.Session) { s.Items[1].ContentBytes++ })
	f("is missing", func(s *schema.Session) { delete(s.Blobs, s.Items[1].ContentSHA256) })
	f("calls itself", func(s *schema.Session) { s.Blobs[s.Items[1].ContentSHA256] = s.Blobs[s.Items[2].ContentSHA256] })

	// Tool calls.
	f(`tool 0: its session is "b"`, func(s *schema.Session) { s.ToolCalls[0].SessionID = "b" })
	f("there is no such call", func(s *schema.Session) { s.ToolCalls[0].CallIndex = 9 })
	f("it is out of order or comes twice", func(s *schema.Session) { s.ToolCalls = append(s.ToolCalls, s.ToolCalls[0]) })
	f("arguments_item 99", func(s *schema.Session) { s.ToolCalls[0].ArgumentsItem = ptr(int32(99)) })
	f("result_item 99", func(s *schema.Session) { s.ToolCalls[0].ResultItem = ptr(int32(99)) })
	f("result_call_index 0 is no later call", func(s *schema.Session) { s.ToolCalls[0].ResultCallIndex = ptr(int32(0)) })
	f(`subagent_trajectory_id "other" does not exist`, func(s *schema.Session) { s.ToolCalls[0].SubTrajectoryID = ptr("other") })

	// Blocks.
	f(`blocks: its session is "b"`, func(s *schema.Session) { s.Blocks[0].SessionID = "b" })
	f("blocks: there is no such call", func(s *schema.Session) { s.Blocks[1].CallIndex = 9 })
	f("the row is out of order or comes twice", func(s *schema.Session) { s.Blocks[1], s.Blocks[2] = s.Blocks[2], s.Blocks[1] })
	f("has no row before this one", func(s *schema.Session) { s.Blocks[1].ParentCallIndex = ptr(int32(2)) })
	f("shares 3 blocks of a parent that has 2", func(s *schema.Session) { s.Blocks[1].SharedPrefixBlocks = 3 })
	f("input_tokens is 199, the call's is 200", func(s *schema.Session) { s.Blocks[1].InputTokens = 199 })

	// Causes.
	after := func(call int, lane string, index int32) func(*schema.Session) {
		return func(s *schema.Session) {
			s.Calls[call].After = []schema.After{{TrajectoryID: lane, CallIndex: index, Point: schema.PointDone}}
		}
	}
	f("which does not exist", after(1, "root", 9))
	f("which does not exist", after(1, "other", 0))
	f("which is not earlier", after(1, "root", 1))
	f("which is not earlier", after(1, "root", 2))
	f("which is not earlier", after(0, "sub", 0))
	f("2 calls wait for each other in a circle", func(s *schema.Session) {
		for i := range s.Calls { // all at once, so that only the circle is wrong
			s.Calls[i].StartedAt, s.Calls[i].After = nil, nil
		}
		after(1, "sub", 0)(s)
		after(3, "root", 1)(s)
	})
}

// TestCheckPasses lets through what is unusual but sound.
func TestCheckPasses(t *testing.T) {
	f := func(name string, change func(*schema.Session)) {
		t.Helper()
		s := session(t, "a", "x")
		change(s)
		if err := datasets.Check(s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	f("a second attempt that follows the first", func(s *schema.Session) {
		again := s.Calls[2]
		again.CallID, again.Attempt = "again", 1
		again.StartedAt = ptr(again.StartedAt.Add(time.Second))
		again.After = []schema.After{{TrajectoryID: "root", CallIndex: 2, Point: schema.PointDone}}
		s.Calls = append(s.Calls[:3:3], again, s.Calls[3])
		s.Trajectories[0].NumCalls++
		*s.Trajectories[0].TotalInputTokens += 200
	})
	f("a cause in the session's start", func(s *schema.Session) {
		s.Calls[3].After = []schema.After{{Point: schema.PointStart, GapUS: 5}}
	})
	f("no totals", func(s *schema.Session) { s.Trajectories[0].TotalInputTokens, s.Trajectories[0].NumSubagents = nil, nil })
	f("causes of calls without times", func(s *schema.Session) {
		for i := range s.Calls {
			s.Calls[i].StartedAt = nil
		}
	})
	f("withheld content", func(s *schema.Session) {
		for sum, b := range s.Blobs {
			b.Content = nil
			s.Blobs[sum] = b
		}
	})
}

// Ranges that repeat all items many times are counted in no time.
func TestCheckRepeatedRanges(t *testing.T) {
	const items, ranges = 1 << 18, 1 << 16
	s := session(t, "a", "x")
	c := &s.Calls[0]
	row := s.Items[0]
	for i := len(s.Items); i < items; i++ {
		row.ItemIndex = int32(i)
		s.Items = append(s.Items, row)
	}
	c.ContextRanges = make([]schema.Range, ranges)
	for i := range c.ContextRanges {
		c.ContextRanges[i] = schema.Range{StartItem: int32(i), EndItem: items}
	}
	s.Trajectories[0].NumItems = items
	start := time.Now()
	if err := datasets.Check(s); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("Check took %v", took)
	}
}
