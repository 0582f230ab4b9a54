package convert

import (
	"slices"
	"time"

	"github.com/capstan-bench/capstan/schema"
)

// addTotals fills in the counts and totals of the trajectories from the other
// rows. A total is null if no call tells its part.
func addTotals(s *schema.Session) {
	lanes := make(map[string]*schema.Trajectory, len(s.Trajectories))
	for i := range s.Trajectories {
		lanes[s.Trajectories[i].TrajectoryID] = &s.Trajectories[i]
	}
	for i := range s.Trajectories {
		if p := s.Trajectories[i].ParentTrajectoryID; p != nil {
			addTo(&lanes[*p].NumSubagents, ptr(int32(1)))
		}
	}
	for i := range s.ToolCalls {
		t := lanes[s.ToolCalls[i].TrajectoryID]
		t.NumToolCalls++
		addTo(&t.ToolUS, s.ToolCalls[i].WallUS)
	}
	ends := make(map[string]time.Time)
	for i := range s.Calls {
		addCall(lanes[s.Calls[i].TrajectoryID], &s.Calls[i], ends)
	}
	for id, t := range lanes {
		if end, ok := ends[id]; ok && t.StartedAt != nil {
			t.DurationUS = ptr(end.Sub(*t.StartedAt).Microseconds())
		}
	}
}

func addCall(t *schema.Trajectory, c *schema.Call, ends map[string]time.Time) {
	addTo(&t.TotalInputTokens, c.InputTokens)
	addTo(&t.TotalCacheReadTokens, c.CacheReadTokens)
	addTo(&t.TotalCacheWriteTok, c.CacheWriteTokens)
	addTo(&t.TotalOutputTokens, c.OutputTokens)
	addTo(&t.TotalReasoningTokens, c.ReasoningTokens)
	addTo(&t.LLMUS, c.CompletedUS)
	if c.CostUSD != nil {
		if t.CostUSD == nil {
			t.CostUSD = new(float64)
		}
		*t.CostUSD += *c.CostUSD
	}
	if in := c.InputTokens; in != nil && (t.MaxContextTokens == nil || *in > *t.MaxContextTokens) {
		t.MaxContextTokens = ptr(*in)
	}
	if m := c.RequestModel; m != nil && !slices.Contains(t.Models, *m) {
		t.Models = append(t.Models, *m)
	}
	if c.StartedAt == nil {
		return
	}
	if t.StartedAt == nil || c.StartedAt.Before(*t.StartedAt) {
		t.StartedAt = c.StartedAt
	}
	end := *c.StartedAt
	if c.CompletedUS != nil {
		end = end.Add(time.Duration(*c.CompletedUS) * time.Microsecond)
	}
	if end.After(ends[c.TrajectoryID]) {
		ends[c.TrajectoryID] = end
	}
}

func addTo[N int32 | int64](total **N, part *N) {
	if part == nil {
		return
	}
	if *total == nil {
		*total = new(N)
	}
	**total += *part
}
