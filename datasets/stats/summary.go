package stats

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"github.com/capstan-bench/capstan/schema"
)

// GapCap is the longest gap that [Summary.Duty] counts, the default of a replay.
const GapCap = 300 * time.Second

// Summary is what a dataset holds.
type Summary struct {
	Sessions     int   `json:"sessions"`
	SubAgents    int   `json:"sub_agents"` // trajectories with a parent
	Calls        int   `json:"calls"`
	Failed       int   `json:"failed_calls"`
	ToolCalls    int   `json:"tool_calls"`
	InputTotal   int64 `json:"input_total"`   // tokens of all calls, where they were recorded
	OutputTotal  int64 `json:"output_total"`  // likewise
	StoredBytes  int64 `json:"stored_bytes"`  // of the tables on disk
	LogicalBytes int64 `json:"logical_bytes"` // of all request bodies

	Turns   Quantiles `json:"turns"`         // of root trajectories
	Longest Quantiles `json:"max_context"`   // tokens, of each session
	Input   Quantiles `json:"input_tokens"`  // of each call
	Output  Quantiles `json:"output_tokens"` // of each call
	Took    Quantiles `json:"call_s"`        // each call's duration
	ToolGap Quantiles `json:"tool_gap_s"`    // before calls that tools or sub-agents caused
	UserGap Quantiles `json:"user_gap_s"`    // before calls that people caused

	Growth []Turn `json:"growth"`
	Tools  []Tool `json:"tools"` // most used first

	// Ideal hits: the share of input tokens that a cache without limits finds.
	// Each call's share is that of its prompt's leading elements (items, or token
	// blocks) which an earlier prompt has in the same order; calls weigh by their
	// input tokens. Across counts earlier prompts of earlier sessions as well.
	IdealWithin *float64 `json:"ideal_hit_within_sessions"`
	IdealAcross *float64 `json:"ideal_hit_across_sessions"`

	// Duty is Σ call durations ÷ Σ session lengths, where a session is as long as
	// it takes when every call waits for its causes with gaps up to GapCap: mean
	// calls in flight per agent if endpoint and tools took as long as recorded.
	// Null where durations were not recorded.
	Duty *float64 `json:"duty"`

	SessionIDs []string `json:"session_ids"`
}

// Turn is how far contexts had grown by a turn of their trajectory.
type Turn struct {
	Turn  int       `json:"turn"` // from 1
	Input Quantiles `json:"input_tokens"`
}

// Tool is how long the calls of one tool took.
type Tool struct {
	Name string    `json:"name"`
	Wall Quantiles `json:"wall_s"`
}

// turns are those that Growth looks at.
var turns = []int{1, 2, 5, 10, 20, 50, 100, 200, 400}

// Inspect sums up sessions; stored is the size of their tables on disk.
func Inspect(sessions iter.Seq2[*schema.Session, error], stored int64) (Summary, error) {
	c := collector{growth: map[int][]float64{}, tools: map[string][]float64{}, everything: cache{}}
	for s, err := range sessions {
		if err != nil {
			return Summary{}, err
		}
		if err := c.add(s); err != nil {
			return Summary{}, err
		}
	}
	return c.summary(stored), nil
}

// collector gathers values over sessions.
type collector struct {
	sum                                                   Summary
	turns, longest, input, output, took, toolGap, userGap []float64
	growth                                                map[int][]float64
	tools                                                 map[string][]float64
	everything                                            cache
	weight, within, across                                float64 // of prompts whose elements are known
	busy, span                                            int64   // microseconds
}

func (c *collector) add(s *schema.Session) error {
	all, err := prompts(s)
	if err != nil {
		return err
	}
	c.sum.Sessions++
	c.sum.SessionIDs = append(c.sum.SessionIDs, s.ID)
	c.sum.SubAgents += max(0, len(s.Trajectories)-1)
	c.sum.Calls += len(s.Calls)
	c.sum.ToolCalls += len(s.ToolCalls)
	own, scoped := cache{}, isScoped(s)
	var longest int64
	for _, i := range byStart(s) {
		call := &s.Calls[i]
		c.call(call)
		longest = max(longest, value(call.InputTokens))
		if all[i] == nil {
			continue
		}
		w := float64(max(1, value(cmp.Or(call.InputTokens, call.RefInputTokens))))
		share := own.take(*all[i])
		c.weight += w
		c.within += w * share
		if !scoped { // ids of one session mean nothing in another
			share = c.everything.take(*all[i])
		}
		c.across += w * share
	}
	c.longest = append(c.longest, float64(longest))
	for i := range s.ToolCalls {
		if t := &s.ToolCalls[i]; t.WallUS != nil && t.ToolName != nil {
			c.tools[*t.ToolName] = append(c.tools[*t.ToolName], seconds(*t.WallUS))
		}
	}
	c.root(s)
	return nil
}

// isScoped tells whether block ids mean something within their session only.
func isScoped(s *schema.Session) bool {
	return len(s.Blocks) > 0 && s.Blocks[0].Scope == schema.ScopeSession
}

// call takes the figures of one call.
func (c *collector) call(call *schema.Call) {
	c.sum.LogicalBytes += value(call.RequestBodyBytes)
	c.sum.InputTotal += value(call.InputTokens)
	c.sum.OutputTotal += value(call.OutputTokens)
	if call.ErrorType != nil {
		c.sum.Failed++
	}
	if call.InputTokens != nil {
		c.input = append(c.input, float64(*call.InputTokens))
		if slices.Contains(turns, int(call.CallIndex)+1) {
			c.growth[int(call.CallIndex)+1] = append(c.growth[int(call.CallIndex)+1], float64(*call.InputTokens))
		}
	}
	if call.OutputTokens != nil {
		c.output = append(c.output, float64(*call.OutputTokens))
	}
	if call.CompletedUS != nil {
		c.took = append(c.took, seconds(*call.CompletedUS))
	}
	if call.GapUS != nil {
		if call.Trigger == schema.TriggerUser {
			c.userGap = append(c.userGap, seconds(*call.GapUS))
		} else {
			c.toolGap = append(c.toolGap, seconds(*call.GapUS))
		}
	}
}

// root counts the root trajectory's turns, and adds the session's length.
func (c *collector) root(s *schema.Session) {
	n := 0
	for i := range s.Calls {
		if s.Calls[i].TrajectoryID == s.Trajectories[0].TrajectoryID {
			n++
		}
	}
	c.turns = append(c.turns, float64(n))
	busy, span := schedule(s, GapCap.Microseconds())
	c.busy, c.span = c.busy+busy, c.span+span
}

func (c *collector) summary(stored int64) Summary {
	s := c.sum
	s.StoredBytes, s.Growth, s.Tools = stored, []Turn{}, []Tool{}
	s.Turns, s.Longest = quantiles(c.turns), quantiles(c.longest)
	s.Input, s.Output, s.Took = quantiles(c.input), quantiles(c.output), quantiles(c.took)
	s.ToolGap, s.UserGap = quantiles(c.toolGap), quantiles(c.userGap)
	for _, n := range turns {
		if len(c.growth[n]) > 0 {
			s.Growth = append(s.Growth, Turn{Turn: n, Input: quantiles(c.growth[n])})
		}
	}
	for name, walls := range c.tools {
		s.Tools = append(s.Tools, Tool{Name: name, Wall: quantiles(walls)})
	}
	slices.SortFunc(s.Tools, func(a, b Tool) int {
		return cmp.Or(cmp.Compare(b.Wall.N, a.Wall.N), cmp.Compare(a.Name, b.Name))
	})
	if c.weight > 0 {
		within, across := c.within/c.weight, c.across/c.weight
		s.IdealWithin, s.IdealAcross = &within, &across
	}
	if c.busy > 0 && c.span > 0 {
		duty := float64(c.busy) / float64(c.span)
		s.Duty = &duty
	}
	return s
}

func value(p *int64) int64 {
	if p == nil {
		return 0
	}
	return *p
}

func seconds(us int64) float64 { return float64(us) / 1e6 }
