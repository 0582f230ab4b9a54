package wire

import (
	"cmp"
	"slices"

	"github.com/tidwall/gjson"
)

// responsesReply keeps the output items of an answer.
type responsesReply struct {
	kept  *kept
	items []*outputItem
}

// outputItem is an item as it was last sent whole, and what has been added since.
type outputItem struct {
	index int64
	raw   []byte
	added []byte // by deltas, until the item is done
	kind  textKind
	done  bool
	tool  int // its place among the tool calls, or -1
}

func (r *responsesReply) event(v gjson.Result, at Mark) {
	switch kind := v.Get("type").String(); kind {
	case "response.output_item.added":
		r.item(v.Get("output_index").Int(), v.Get("item"), false, at)
	case "response.output_item.done":
		r.item(v.Get("output_index").Int(), v.Get("item"), true, at)
	case "response.completed", "response.incomplete", "response.failed", "response.done", "response.created":
		r.answer(v.Get("response"), at)
	default:
		d := v.Get("delta")
		if it := r.find(v.Get("output_index").Int()); it != nil && !it.done && d.Type == gjson.String {
			it.added = r.kept.append(it.added, d.String())
			it.kind = deltaKind([]byte(`"` + kind))
			if it.tool >= 0 {
				r.kept.tools[it.tool].Arguments = it.added
			}
		}
	}
}

func (r *responsesReply) plain(v gjson.Result, at Mark) { r.answer(v, at) }

// answer takes a whole answer; its output counts where no items came before.
func (r *responsesReply) answer(v gjson.Result, at Mark) {
	r.kept.names(v.Get("id"), v.Get("model"))
	r.kept.use(v.Get("usage"))
	if len(r.items) > 0 {
		return
	}
	index := int64(0)
	each(v, "output", func(item gjson.Result) {
		r.item(index, item, true, at)
		index++
	})
}

func (r *responsesReply) find(index int64) *outputItem {
	for _, it := range r.items {
		if it.index == index {
			return it
		}
	}
	return nil
}

func (r *responsesReply) item(index int64, v gjson.Result, done bool, at Mark) {
	if !v.IsObject() {
		return
	}
	it := r.find(index)
	if it == nil || it.done {
		if !r.kept.take(entryCost) {
			return
		}
		it = &outputItem{index: index, tool: -1}
		r.items = append(r.items, it)
	}
	r.kept.left += len(it.raw) + len(it.added) // what it replaces
	it.raw, it.added, it.done = r.kept.raw(v), nil, done
	id := v.Get("call_id")
	if itemKind(v.Get("type").String()) != KindToolCall || id.String() == "" {
		return
	}
	if it.tool < 0 {
		it.tool = r.kept.call(id, v.Get("name"), at)
	}
	if it.tool < 0 {
		return
	}
	call := &r.kept.tools[it.tool]
	call.Ended = at
	for _, name := range []string{"arguments", "input", "action"} {
		switch a := v.Get(name); {
		case a.Type == gjson.String:
			call.Arguments = []byte(a.String())
		case a.IsObject():
			call.Arguments = []byte(a.Raw)
		}
	}
}

func (r *responsesReply) output() (out [][]byte) {
	items := slices.Clone(r.items)
	slices.SortStableFunc(items, func(a, b *outputItem) int { return cmp.Compare(a.index, b.index) })
	for _, it := range items {
		if len(it.raw) > 0 { // else it did not fit
			out = append(out, it.bytes())
		}
	}
	return out
}

// bytes is the item; one that was cut has the text that came.
func (it *outputItem) bytes() []byte {
	if it.done || len(it.added) == 0 {
		return it.raw
	}
	text := quoted(it.added)
	part := func(kind string) []byte {
		return append(append([]byte(`[{"type":"`+kind+`","text":`), text...), "}]"...)
	}
	v := gjson.ParseBytes(it.raw)
	switch {
	case it.kind == textReasoning:
		return withMembers(it.raw, Member{"summary", part("summary_text")})
	case it.kind == textContent:
		return withMembers(it.raw, Member{"content", part("output_text")})
	case v.Get("input").Exists():
		return withMembers(it.raw, Member{"input", text})
	}
	return withMembers(it.raw, Member{"arguments", text})
}
