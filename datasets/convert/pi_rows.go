package convert

import (
	"github.com/capstan-bench/capstan/schema"
)

// rows finishes the session.
func (p *piSession) rows() *schema.Session {
	extra := map[string]any{"note": piNote}
	if len(p.warn) > 0 {
		extra["warnings"] = p.warn
	}
	p.folder.Trajectory(schema.Trajectory{
		TrajectoryID: rootTrajectory, AgentName: ptr("pi"), ProviderName: text(p.provider),
		APIFormat: ptr(schema.FormatChat), ContentTier: schema.TierFull, SourceKind: schema.SourceImport + ":pi",
		NumCompactions: ptr(p.compactions), Title: text(p.title), ExtraJSON: extraJSON(extra),
	})
	s := p.folder.Session()
	places := p.itemTokens(s)
	refTokens(s)
	for i := range p.calls {
		p.toolRows(s, int32(i), places)
	}
	addTotals(s)
	return s
}

// itemTokens sets the tokens of the items, and returns the items' places by
// their bytes.
func (p *piSession) itemTokens(s *schema.Session) map[string]int32 {
	places := make(map[string]int32, len(s.Items))
	for i := range s.Items {
		item := &s.Items[i]
		content := *s.Blobs[item.ContentSHA256].Content
		places[content] = item.ItemIndex
		if n, ok := p.counts[content]; ok {
			item.ContentTokens = &n
		}
	}
	return places
}

// refTokens sets the reference tokens of calls to the sums over their items.
func refTokens(s *schema.Session) {
	sums := make([]int64, len(s.Items)+1)
	for i := range s.Items {
		sums[i+1] = sums[i]
		if n := s.Items[i].ContentTokens; n != nil {
			sums[i+1] += *n
		}
	}
	for i := range s.Calls {
		c := &s.Calls[i]
		var in, out int64
		for _, r := range c.ContextRanges {
			in += sums[r.EndItem] - sums[r.StartItem]
		}
		if c.OutputStartItem != nil && c.OutputEndItem != nil {
			out = sums[*c.OutputEndItem] - sums[*c.OutputStartItem]
		}
		c.RefInputTokens, c.RefOutputTokens = &in, &out
	}
}

// toolRows appends the rows of the tool calls that call number index asked for.
func (p *piSession) toolRows(s *schema.Session, index int32, places map[string]int32) {
	call := &p.calls[index]
	from := p.spans[index].end
	for i := range call.tools {
		t := &call.tools[i]
		row := schema.ToolCall{
			SessionID: s.ID, TrajectoryID: rootTrajectory, CallIndex: index, ToolIndex: int32(i),
			ToolCallID: text(t.call.ID), ToolName: text(t.call.Function.Name),
			ArgumentsItem: s.Calls[index].OutputStartItem, ArgumentsBytes: ptr(int64(len(t.call.Function.Arguments))),
			TimingSource: schema.TimingImport,
		}
		if t.answers {
			row.IsError = ptr(t.failed)
			row.ResultBytes = ptr(int64(len(t.text)))
			row.ResultTokens = ptr(p.counts[t.result])
			if at := t.at.UnixMicro(); p.spans[index].ended && !t.at.IsZero() {
				row.WallUS = ptr(max(at-from, 0))
				from = max(from, at)
			}
			if item, ok := places[t.result]; ok && int(t.next) < len(p.calls) {
				row.ResultCallIndex, row.ResultItem = ptr(t.next), &item
			}
		}
		s.ToolCalls = append(s.ToolCalls, row)
	}
}
