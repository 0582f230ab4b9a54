package assemble_test

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/capstan-bench/capstan/proxy/assemble"
	"github.com/capstan-bench/capstan/schema"
)

// render writes sessions for people.
func render(w io.Writer, sessions []*schema.Session, r assemble.Report) {
	for _, s := range sessions {
		fmt.Fprintf(w, "session %s\n", s.ID)
		for i := range s.Trajectories {
			renderTrajectory(w, &s.Trajectories[i])
		}
		for i := range s.Calls {
			renderCall(w, &s.Calls[i])
		}
		for i := range s.ToolCalls {
			renderTool(w, &s.ToolCalls[i])
		}
	}
	text, _ := json.Marshal(r)
	fmt.Fprintf(w, "report %s\n", text)
}

func renderTrajectory(w io.Writer, t *schema.Trajectory) {
	fmt.Fprintf(w, "  %s: %s %s, %s %s, models %v, %d calls, %d compactions, llm %s tool %s idle %s of %s\n", t.TrajectoryID, or(t.AgentName), or(t.AgentVersion),
		or(t.ProviderName), or(t.APIFormat), t.Models, t.NumCalls, *t.NumCompactions, ms(t.LLMUS), ms(t.ToolUS), ms(t.IdleUS), ms(t.DurationUS))
	if t.ParentTrajectoryID != nil {
		fmt.Fprintf(w, "    spawned by %s %s %s\n", *t.ParentTrajectoryID, or(t.SpawnedByCallIndex), or(t.SpawnedByToolCallID))
	}
	if t.ExtraJSON != nil {
		fmt.Fprintf(w, "    %s\n", *t.ExtraJSON)
	}
}

func renderCall(w io.Writer, c *schema.Call) {
	fmt.Fprintf(w, "  %s %d.%d %s: %s %s", c.TrajectoryID, c.CallIndex, c.Attempt, c.CallID, c.Trigger, c.Purpose)
	if c.ParentCallIndex != nil {
		fmt.Fprintf(w, " from %d", *c.ParentCallIndex)
	}
	for _, a := range c.After {
		fmt.Fprintf(w, "; after %s %d %s", a.TrajectoryID, a.CallIndex, a.Point)
		if a.Point == schema.PointToken {
			fmt.Fprintf(w, " %.2f", a.Share)
		}
		fmt.Fprintf(w, " +%s", ms(&a.GapUS))
	}
	fmt.Fprintf(w, "\n    at %s gap %s: sent %s head %s first %s token %s-%s done %s; status %s finish %s error %s truncated %s; in %s cached %s out %s; %d chunks\n",
		c.StartedAt.Sub(epoch), ms(c.GapUS), ms(c.RequestSentUS), ms(c.HeadersUS), ms(c.FirstChunkUS), ms(c.FirstTokenUS), ms(c.LastTokenUS), ms(c.CompletedUS),
		or(c.HTTPStatus), or(c.FinishReason), or(c.ErrorType), or(c.Truncated), or(c.InputTokens), or(c.CacheReadTokens), or(c.OutputTokens), len(c.ChunkOffsetsUS))
	fmt.Fprintf(w, "    %d items", c.NumContextItems)
	if c.OutputStartItem != nil {
		fmt.Fprintf(w, ", %d of the answer", *c.OutputEndItem-*c.OutputStartItem)
	}
	if c.ExtraJSON != nil {
		fmt.Fprintf(w, "; %s", *c.ExtraJSON)
	}
	fmt.Fprintln(w)
}

func renderTool(w io.Writer, t *schema.ToolCall) {
	fmt.Fprintf(w, "  %s %d tool %d %s %s: emitted %s, result in %s, %s bytes, wall %s own %s (%s), error %s, group %s, agent %s\n", t.TrajectoryID, t.CallIndex,
		t.ToolIndex, or(t.ToolCallID), or(t.ToolName), ms(t.EmittedUS), or(t.ResultCallIndex), or(t.ResultBytes), ms(t.WallUS),
		ms(t.InternalUS), t.TimingSource, or(t.IsError), or(t.ParallelGroup), or(t.SubTrajectoryID))
}

func or[T any](p *T) string {
	if p == nil {
		return "-"
	}
	return fmt.Sprint(*p)
}

func ms(p *int64) string {
	if p == nil {
		return "-"
	}
	return (time.Duration(*p) * time.Microsecond).String()
}
