package fold

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/capstan-bench/capstan/schema"
)

// Session returns the session so far, sorted as schema.Session promises. Its rows
// are its own: the folder can go on afterwards, and may then number items, and
// store them, in another way.
func (f *Folder) Session() *schema.Session {
	s := &schema.Session{ID: f.id, Blobs: maps.Clone(f.envelopes)}
	order := f.runs()
	n := numbering{number: make([]int32, len(order)), outputs: map[string]int32{}}
	for i, item := range order {
		n.number[item] = int32(i)
		s.Items = append(s.Items, f.item(s, item))
	}
	sums := map[*part]*string{}
	for i := range f.calls {
		s.Calls = append(s.Calls, f.row(s, &f.calls[i], &n, sums))
	}
	place := map[string]int{}
	for i, id := range f.order {
		place[id] = i
	}
	slices.SortStableFunc(s.Calls, func(a, b schema.Call) int {
		return cmp.Or(cmp.Compare(place[a.TrajectoryID], place[b.TrajectoryID]),
			cmp.Compare(a.CallIndex, b.CallIndex), cmp.Compare(a.Attempt, b.Attempt))
	})
	for _, id := range f.order {
		s.Trajectories = append(s.Trajectories, f.trajectory(s, id))
	}
	return s
}

// numbering maps the folder's items to those of a session.
type numbering struct {
	number  []int32          // by the folder's item
	outputs map[string]int32 // first copy of outputs that were copied
	buf     []schema.Range
}

// item appends the blob of an item and returns its row, numbered as the next.
func (f *Folder) item(s *schema.Session, item int32) schema.Item {
	row, content := f.items[item], f.store.items[item].text()
	row.ItemIndex = int32(len(s.Items))
	row.ContentSHA256 = putBlob(s.Blobs, content, schema.MediaItem)
	row.ContentBytes = int64(len(content))
	return row
}

// row is the row of a call.
func (f *Folder) row(s *schema.Session, c *folded, n *numbering, sums map[*part]*string) schema.Call {
	row := c.row
	if c.system != nil {
		n.buf = n.buf[:0]
		for _, r := range row.ContextRanges {
			for item := r.StartItem; item < r.EndItem; item++ {
				n.buf = extend(n.buf, n.number[item], r.Slot)
			}
		}
		row.ContextRanges = slices.Clone(n.buf)
		row.SystemSHA256, row.ToolsSHA256 = f.sum(c.system, sums), f.sum(c.tools, sums)
		row.Patches = f.patches(c, n)
	}
	if len(c.output) > 0 {
		start := f.output(s, c.output, n)
		row.OutputStartItem, row.OutputEndItem = ptr(start), ptr(start+int32(len(c.output)))
	}
	return row
}

// patches are the patches of a call in the order in which bodies are rebuilt from
// them. The edits of one element ascend.
func (f *Folder) patches(c *folded, n *numbering) []schema.Patch {
	var patches []schema.Patch
	for _, m := range c.marks {
		edits := m.edits
		if m.flat != nil && f.store.items[m.item].isFlat() {
			edits = m.flat
		}
		for _, edit := range edits {
			patches = append(patches, schema.Patch{Item: n.number[m.item], Off: int32(edit.Off), Del: int32(edit.Del), Ins: edit.Ins})
		}
	}
	slices.SortStableFunc(patches, func(a, b schema.Patch) int { return int(a.Item - b.Item) })
	return patches
}

// output returns the first item of an answer. An answer is a run of items; where
// contexts carry its elements in another way (some of them, or others in between),
// it is a run of copies, which have the same blobs.
func (f *Folder) output(s *schema.Session, items []int32, n *numbering) int32 {
	start := n.number[items[0]]
	run := true
	for i, item := range items {
		run = run && n.number[item] == start+int32(i)
	}
	if run {
		return start
	}
	key := fmt.Sprint(items)
	if start, ok := n.outputs[key]; ok {
		return start
	}
	n.outputs[key] = int32(len(s.Items))
	for _, item := range items {
		s.Items = append(s.Items, f.item(s, item))
	}
	return n.outputs[key]
}

// trajectory is a trajectory's row with its counts. NumItems counts each item of
// its contexts and outputs once.
func (f *Folder) trajectory(s *schema.Session, id string) schema.Trajectory {
	row := f.lanes[id].row
	row.SessionID = f.id
	row.NumCalls, row.NumItems = 0, 0
	seen := make([]bool, len(s.Items))
	for i := range s.Calls {
		c := &s.Calls[i]
		if c.TrajectoryID != id {
			continue
		}
		row.NumCalls++
		for _, r := range c.ContextRanges {
			row.NumItems += see(seen, r.StartItem, r.EndItem)
		}
		if start := c.OutputStartItem; start != nil {
			row.NumItems += see(seen, *start, *c.OutputEndItem)
		}
	}
	return row
}

// see counts the items of a range that were not seen before.
func see(seen []bool, start, end int32) int32 {
	n := int32(0)
	for item := start; item < end; item++ {
		if !seen[item] {
			seen[item] = true
			n++
		}
	}
	return n
}
