package assemble

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"github.com/capstan-bench/capstan/schema"
)

// lane makes the row of an agent, but for what the rows of its calls add up to.
func (b *builder) lane(l *lane) schema.Trajectory {
	t := schema.Trajectory{
		TrajectoryID: l.id, ContentTier: schema.TierFull, SourceKind: schema.SourceProxy,
		NumCompactions: new(int32), NumSubagents: new(int32),
	}
	if l.parent != nil {
		t.ParentTrajectoryID = ptr(l.parent.id)
		if l.by != nil && l.by.lane == l.parent {
			t.SpawnedByCallIndex = ptr(l.by.index)
			if tools := b.records[l.by].Tools; l.byTool >= 0 && l.byTool < len(tools) {
				t.SpawnedByToolCallID = text(tools[l.byTool].ID)
			}
		}
	}
	var kind, provider, format string
	same := true
	for i, c := range l.calls {
		kind = cmp.Or(kind, c.who.agent)
		provider = cmp.Or(provider, b.records[c].Provider)
		if t.AgentName == nil && c.agent != "" {
			t.AgentName, t.AgentVersion = text(c.agent), text(c.ver)
		}
		same = same && (i == 0 || format == c.format)
		format = c.format
		if c.role == roleSummary && !c.failed {
			*t.NumCompactions++
		}
	}
	for _, other := range b.g.lanes {
		if other.parent == l {
			*t.NumSubagents++
		}
	}
	if kind != "" && l.parent != nil {
		t.AgentName = text(kind)
	}
	t.ProviderName = text(provider)
	if same {
		t.APIFormat = text(format)
	}
	return t
}

// root adds what is known of the session as a whole.
func (b *builder) root(t *schema.Trajectory) {
	warnings := maps.Clone(b.notes)
	for why, n := range b.g.left {
		warnings["exchanges left out: "+why] += n
	}
	extra := map[string]any{
		"packed": map[string]int{"exchanges": b.g.exchanges, "calls": len(b.g.calls)},
		"work":   b.g.work,
	}
	for k, v := range map[string]string{"harness": b.g.calls[0].agent, "tag": b.g.tag, "session": b.g.own(), "tokenizer": b.a.cfg.Tokenizer} {
		if v != "" {
			extra[k] = v
		}
	}
	if len(warnings) > 0 {
		extra["warnings"] = warnings
	}
	for what, n := range b.notes {
		b.a.report.Notes[what] += n
	}
	t.ExtraJSON = asJSON(extra)
}

// totals fills in the sums over the rows of each trajectory. A total is null if
// no call tells its part.
func totals(s *schema.Session) {
	lanes := make(map[string]*schema.Trajectory, len(s.Trajectories))
	for i := range s.Trajectories {
		lanes[s.Trajectories[i].TrajectoryID] = &s.Trajectories[i]
	}
	for i := range s.ToolCalls {
		lanes[s.ToolCalls[i].TrajectoryID].NumToolCalls++
	}
	for i := range s.Calls {
		c := &s.Calls[i]
		t := lanes[c.TrajectoryID]
		addTo(&t.TotalInputTokens, c.InputTokens)
		addTo(&t.TotalCacheReadTokens, c.CacheReadTokens)
		addTo(&t.TotalCacheWriteTok, c.CacheWriteTokens)
		addTo(&t.TotalOutputTokens, c.OutputTokens)
		addTo(&t.TotalReasoningTokens, c.ReasoningTokens)
		if in := c.InputTokens; in != nil && (t.MaxContextTokens == nil || *in > *t.MaxContextTokens) {
			t.MaxContextTokens = ptr(*in)
		}
		for _, m := range []*string{c.ResponseModel, c.RequestModel} {
			if m != nil && c.FirstTokenUS != nil {
				if !slices.Contains(t.Models, *m) {
					t.Models = append(t.Models, *m)
				}
				break
			}
		}
	}
}

func addTo(total **int64, part *int64) {
	if part == nil {
		return
	}
	if *total == nil {
		*total = new(int64)
	}
	**total += *part
}

// spans fills in what each agent's time went into: calls that were open, tools,
// and the rest. The time before a call that brings results is its tools'.
func (b *builder) spans(s *schema.Session) {
	triggers := map[[3]any]string{}
	for i := range s.Calls {
		c := &s.Calls[i]
		triggers[[3]any{c.TrajectoryID, c.CallIndex, c.Attempt}] = c.Trigger
	}
	for i, l := range b.g.lanes {
		t := &s.Trajectories[i]
		calls := slices.Clone(l.calls)
		slices.SortFunc(calls, func(x, y *call) int { return cmp.Compare(x.order, y.order) })
		from := calls[0].start
		var open, tools int64
		to := from
		for _, c := range calls {
			if gap := c.start - to; gap > 0 && triggers[[3]any{l.id, c.index, c.attempt}] == schema.TriggerToolResult {
				tools += gap
			}
			open += max(max(c.end, c.start)-max(to, c.start), 0)
			to = max(to, c.end, c.start)
		}
		t.StartedAt = ptr(time.UnixMicro(from).UTC())
		t.DurationUS, t.LLMUS, t.ToolUS = ptr(to-from), ptr(open), ptr(tools)
		t.IdleUS = ptr(to - from - open - tools)
	}
}

func hexSum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}
