package assemble

import (
	"strconv"
	"strings"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/wire"
)

// result is the result of a tool call, in the context that first brought it.
type result struct {
	link wire.Link
	call *call
	item int32
	used bool
}

// tools appends the rows of the tool calls.
func (b *builder) tools(s *schema.Session) {
	rows := map[[3]any]*schema.Call{}
	for i := range s.Calls {
		c := &s.Calls[i]
		rows[[3]any{c.TrajectoryID, c.CallIndex, c.Attempt}] = c
	}
	links := newItemLinks(s)
	for _, l := range b.g.lanes {
		results := b.results(s, l, rows, links)
		for i, c := range l.calls {
			if i+1 < len(l.calls) && l.calls[i+1].index == c.index {
				continue // the last attempt's answer counts
			}
			b.toolRows(s, c, rows[[3]any{l.id, c.index, c.attempt}], results, links)
		}
	}
}

// itemLinks are the tool calls and results in the items of a session, found once.
type itemLinks struct {
	s     *schema.Session
	links [][]wire.Link
	done  []bool
}

func newItemLinks(s *schema.Session) *itemLinks {
	return &itemLinks{s, make([][]wire.Link, len(s.Items)), make([]bool, len(s.Items))}
}

func (l *itemLinks) of(format string, item int32) []wire.Link {
	if !l.done[item] {
		l.done[item] = true
		l.links[item] = wire.Links(format, []byte(*l.s.Blobs[l.s.Items[item].ContentSHA256].Content))
	}
	return l.links[item]
}

// results finds the results that the contexts of an agent brought.
func (b *builder) results(s *schema.Session, l *lane, rows map[[3]any]*schema.Call, links *itemLinks) []*result {
	seen := make([]bool, len(s.Items))
	var out []*result
	for _, c := range l.calls {
		row := rows[[3]any{l.id, c.index, c.attempt}]
		for _, r := range row.ContextRanges {
			for item := r.StartItem; item < r.EndItem; item++ {
				if seen[item] {
					continue
				}
				seen[item] = true
				for _, link := range links.of(row.APIFormat, item) {
					if link.Kind == wire.KindToolResult {
						out = append(out, &result{link: link, call: c, item: item})
					}
				}
			}
		}
	}
	return out
}

func (b *builder) toolRows(s *schema.Session, c *call, row *schema.Call, results []*result, links *itemLinks) {
	var found []*result
	asks := b.records[c].Tools
	for i, t := range asks {
		out := schema.ToolCall{
			SessionID: s.ID, TrajectoryID: c.lane.id, CallIndex: c.index, ToolIndex: int32(i),
			ToolCallID: text(t.ID), ToolName: text(t.Name), ArgumentsItem: argumentsItem(row, links, t.ID),
			ArgumentsBytes: ptr(int64(t.Bytes)), EmittedUS: ptr(t.At), TimingSource: schema.TimingProxyGap,
		}
		r := resultOf(results, c, t)
		if found = append(found, r); r != nil {
			r.used = true
			out.ResultCallIndex, out.ResultItem, out.ResultBytes = ptr(r.call.index), ptr(r.item), ptr(int64(r.link.Bytes))
			out.WallUS = ptr(max(r.call.start-c.start-t.At, 0))
			if c.format != wire.FormatChat { // whose results carry no mark
				out.IsError = ptr(r.link.Error)
			}
		}
		for _, l := range b.g.lanes {
			if l.by == c && l.byTool == i {
				out.SubTrajectoryID = ptr(l.id)
			}
		}
		s.ToolCalls = append(s.ToolCalls, out)
	}
	own := s.ToolCalls[len(s.ToolCalls)-len(asks):]
	b.sideBySide(c, own)
	harnessTimes(own, found)
}

// resultOf finds the first result of a tool call in a later context: by its id,
// or in a dialect that may go without, by the tool's name, in order.
func resultOf(results []*result, c *call, t asks) *result {
	for _, r := range results {
		if r.used || r.call.index <= c.index {
			continue
		}
		if t.ID != "" && r.link.ID == t.ID {
			return r
		}
		if t.ID == "" && c.format == wire.FormatGemini && r.call.pred == c && r.link.Name == t.Name {
			return r
		}
	}
	return nil
}

// argumentsItem is the item of an answer that holds a tool call.
func argumentsItem(row *schema.Call, links *itemLinks, id string) *int32 {
	if row.OutputStartItem == nil {
		return nil
	}
	start, end := *row.OutputStartItem, *row.OutputEndItem
	for item := start; item < end && end-start > 1; item++ {
		for _, l := range links.of(row.APIFormat, item) {
			if l.Kind == wire.KindToolCall && l.ID == id {
				return ptr(item)
			}
		}
	}
	if end-start != 1 {
		return nil
	}
	return ptr(start)
}

// sideBySide marks the tool calls of an answer whose agents worked at the same
// time. Of other tools nothing tells.
func (b *builder) sideBySide(c *call, own []schema.ToolCall) {
	spans := map[int]stretch{}
	for _, l := range b.g.lanes {
		if l.by == c && l.byTool >= 0 && l.byTool < len(own) {
			s := stretch{l.first().start, l.first().start}
			for _, p := range l.calls {
				s.to = max(s.to, p.end)
			}
			spans[l.byTool] = s
		}
	}
	for i, a := range spans {
		for j, b := range spans {
			if i != j && a.from < b.to && b.from < a.to {
				own[i].ParallelGroup = ptr(int32(0))
			}
		}
	}
}

// harnessTimes takes over the durations that the harness reported with the
// results: Bash=161, in milliseconds. They are given where it is clear which is
// whose: as many of a name as there are tool calls of it.
func harnessTimes(own []schema.ToolCall, found []*result) {
	var with *call
	for _, r := range found {
		if r != nil && r.call.who.ran != "" && r.call.pred != nil && int(r.call.pred.index) == int(own[0].CallIndex) {
			with = r.call
		}
	}
	if with == nil {
		return
	}
	byName := map[string][]int64{}
	for _, part := range strings.FieldsFunc(with.who.ran, func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
		name, ms, ok := strings.Cut(part, "=")
		n, err := strconv.ParseInt(strings.TrimSuffix(ms, "ms"), 10, 64)
		if ok && err == nil && n >= 0 && n < 1e9 {
			byName[name] = append(byName[name], n*1000)
		}
	}
	for name, times := range byName {
		var rows []int
		for i := range own {
			if own[i].ToolName != nil && *own[i].ToolName == name {
				rows = append(rows, i)
			}
		}
		if len(rows) != len(times) {
			continue
		}
		for k, i := range rows {
			own[i].WallUS, own[i].InternalUS, own[i].TimingSource = ptr(times[k]), ptr(times[k]), schema.TimingHarness
		}
	}
}

// tokens sets what the dataset's tokenizer counts.
func (b *builder) tokens(s *schema.Session) {
	count := b.a.cfg.Count
	if count == nil {
		return
	}
	sums := make([]int64, len(s.Items)+1)
	for i := range s.Items {
		n := int64(count([]byte(*s.Blobs[s.Items[i].ContentSHA256].Content)))
		s.Items[i].ContentTokens = &n
		sums[i+1] = sums[i] + n
	}
	for i := range s.Calls {
		c := &s.Calls[i]
		if c.EnvelopeSHA256 != nil {
			in := int64(0)
			for _, r := range c.ContextRanges {
				in += sums[r.EndItem] - sums[r.StartItem]
			}
			c.RefInputTokens = &in
		}
		if c.OutputStartItem != nil {
			c.RefOutputTokens = ptr(sums[*c.OutputEndItem] - sums[*c.OutputStartItem])
		}
	}
}
