package fold

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/wire"
)

// Folder collects the calls of one session. Its methods are for one goroutine.
type Folder struct {
	session schema.Session
	store   store
	lanes   map[string]*lane
	order   []string // trajectories in order of appearance
	calls   int32    // folded so far; stamps the store's items
	next    []int32  // context of the call at hand, by item
	buf     []schema.Range
}

// lane is what is remembered of a trajectory's latest call.
type lane struct {
	row           schema.Trajectory
	prompt        []int32 // items in template order
	system, tools part
	called        bool
}

// part is the items of one kind in a context and the hash of their bytes.
type part struct {
	items []int32
	sum   *string
}

// New returns a folder for the session with that id.
func New(sessionID string) *Folder {
	return &Folder{
		session: schema.Session{ID: sessionID, Blobs: map[string]schema.Blob{}},
		store:   newStore(),
		lanes:   map[string]*lane{},
	}
}

// Trajectory gives the row of a trajectory, or replaces the one given before.
// Trajectories stand in the session in the order in which Trajectory or Call first
// names them, so the root must come first. Session fills in SessionID, NumCalls
// and NumItems.
func (f *Folder) Trajectory(row schema.Trajectory) {
	f.lane(row.TrajectoryID).row = row
}

func (f *Folder) lane(id string) *lane {
	l := f.lanes[id]
	if l == nil {
		l = &lane{row: schema.Trajectory{TrajectoryID: id, ContentTier: schema.TierFull}}
		f.lanes[id] = l
		f.order = append(f.order, id)
	}
	return l
}

// Call folds one call. c comes with everything that is known of it besides its
// context; Call fills in the session, the trajectory, ContextRanges, Patches, the
// counts and hashes of the request, and the output's items:
//
//   - NumContextItems counts the items of the context, each time it occurs;
//   - SharedPrefixItems counts, in template order (system prompt, tools, the rest,
//     see schema.Call.Template), the items that the context and that of the trajectory's previous
//     call begin with alike; it is null for the first call;
//   - NewItems counts the items that this context added to the session;
//   - SystemSHA256 and ToolsSHA256 are over the stored bytes of the system prompt's
//     elements, and of the tools, one after another; null where there are none.
//
// l is the layout of body. A nil body stands for a source that kept none: l must
// be empty then, and what c says of its context stays. output holds the elements of the
// answer as the next request is expected to carry them; they become items at once,
// so a context that continues with them extends its range. An error leaves the
// folder as it was.
func (f *Folder) Call(trajectory string, c schema.Call, l wire.Layout, body []byte, output [][]byte) error {
	if err := check(l, body); err != nil {
		return fmt.Errorf("fold call %s: %w", c.CallID, err)
	}
	outputs, err := outputElements(c.APIFormat, output)
	if err != nil {
		return fmt.Errorf("fold call %s: %w", c.CallID, err)
	}
	c.SessionID, c.TrajectoryID = f.session.ID, trajectory
	lane := f.lane(trajectory)
	if body != nil {
		f.calls++
		f.context(&c, l)
		f.request(&c, l.Envelope, body)
		f.compare(lane, &c)
	}
	f.output(&c, outputs)
	f.session.Calls = append(f.session.Calls, c)
	return nil
}

// request sets what is known of the body as a whole.
func (f *Folder) request(c *schema.Call, envelope, body []byte) {
	sum := f.blob(envelope, schema.MediaEnvelope)
	c.EnvelopeSHA256 = &sum
	whole := hexSum(body)
	length := int64(len(body))
	c.RequestBodySHA256, c.RequestBodyBytes = &whole, &length
}

// context assigns items to the elements of a layout.
func (f *Folder) context(c *schema.Call, l wire.Layout) {
	before := len(f.session.Items)
	f.next, f.buf = f.next[:0], f.buf[:0]
	c.Patches = nil
	want := int32(-1) // the item that would continue the range at hand
	for slot, elements := range l.Slots {
		for i := range elements {
			e := &elements[i]
			item := f.place(e, want, c)
			f.next = append(f.next, item)
			f.extend(item, int32(slot))
			want = item + 1
		}
	}
	sortPatches(c.Patches)
	c.ContextRanges = slices.Clone(f.buf)
	c.NumContextItems = int32(len(f.next))
	c.NewItems = ptr(int32(len(f.session.Items) - before))
}

// extend adds an item to the ranges.
func (f *Folder) extend(item, slot int32) {
	if n := len(f.buf); n > 0 && f.buf[n-1].EndItem == item && f.buf[n-1].Slot == slot {
		f.buf[n-1].EndItem++
		return
	}
	f.buf = append(f.buf, schema.Range{StartItem: item, EndItem: item + 1, Slot: slot})
}

// place finds the item for an element, or makes it, and notes its patches.
func (f *Folder) place(e *wire.Element, want int32, c *schema.Call) int32 {
	stored := bare(e)
	item := f.store.find(stored, want, f.calls, e.Edits)
	if item < 0 {
		item = f.add(e, stored, c.CallIndex)
		if marked(e) {
			f.session.Items[item].CacheBreakpoint = ptr(true)
		}
	}
	if f.store.use(item, f.calls, e.Edits) {
		for _, edit := range e.Edits {
			c.Patches = append(c.Patches, schema.Patch{
				Item: item, Off: int32(edit.Off), Del: int32(edit.Del), Ins: edit.Ins,
			})
		}
	}
	return item
}

// add appends an item with the given stored bytes.
func (f *Folder) add(e *wire.Element, stored []byte, call int32) int32 {
	item := int32(len(f.session.Items))
	sum := f.blob(stored, schema.MediaItem)
	f.session.Items = append(f.session.Items, schema.Item{
		SessionID: f.session.ID, ItemIndex: item, Kind: e.Kind, Role: text(e.Role),
		ContentSHA256: sum, ContentBytes: int64(len(stored)), FirstCallIndex: ptr(call),
		ToolCallID: text(e.ToolCallID), Name: text(e.Name),
	})
	f.store.add(*f.session.Blobs[sum].Content)
	return item
}

// blob stores bytes once and returns their hash.
func (f *Folder) blob(b []byte, media string) string {
	sum := hexSum(b)
	if _, ok := f.session.Blobs[sum]; !ok {
		f.session.Blobs[sum] = schema.Blob{
			ContentSHA256: sum, MediaType: media, Content: ptr(string(b)), ContentBytes: int64(len(b)),
		}
	}
	return sum
}

// output makes items of the answer's elements, where they are not items already
// in one run.
func (f *Folder) output(c *schema.Call, elements []wire.Element) {
	if len(elements) == 0 {
		return
	}
	contents := make([][]byte, len(elements))
	for i := range elements {
		contents[i] = bare(&elements[i])
	}
	start, ok := f.store.run(contents)
	if !ok {
		start = int32(len(f.session.Items))
		for i := range elements {
			f.add(&elements[i], contents[i], c.CallIndex)
		}
	}
	c.OutputStartItem, c.OutputEndItem = ptr(start), ptr(start+int32(len(elements)))
}

// Session returns the session so far, sorted as schema.Session promises. The
// folder can go on afterwards; the result shares its blobs.
func (f *Folder) Session() *schema.Session {
	s := f.session
	s.Items, s.Calls = slices.Clone(s.Items), slices.Clone(s.Calls)
	place := map[string]int{}
	for i, id := range f.order {
		place[id] = i
	}
	slices.SortStableFunc(s.Calls, func(a, b schema.Call) int {
		return cmp.Or(cmp.Compare(place[a.TrajectoryID], place[b.TrajectoryID]),
			cmp.Compare(a.CallIndex, b.CallIndex), cmp.Compare(a.Attempt, b.Attempt))
	})
	for _, id := range f.order {
		s.Trajectories = append(s.Trajectories, f.row(id, s.Calls))
	}
	return &s
}

// row is a trajectory's row with its counts. NumItems counts each item of its
// contexts and outputs once.
func (f *Folder) row(id string, calls []schema.Call) schema.Trajectory {
	row := f.lanes[id].row
	row.SessionID = f.session.ID
	row.NumCalls, row.NumItems = 0, 0
	seen := make([]bool, len(f.session.Items))
	for i := range calls {
		if calls[i].TrajectoryID != id {
			continue
		}
		row.NumCalls++
		for _, r := range calls[i].ContextRanges {
			row.NumItems += mark(seen, r.StartItem, r.EndItem)
		}
		if start := calls[i].OutputStartItem; start != nil {
			row.NumItems += mark(seen, *start, *calls[i].OutputEndItem)
		}
	}
	return row
}

// mark marks the items of a range and returns how many were not marked before.
func mark(seen []bool, start, end int32) int32 {
	n := int32(0)
	for item := start; item < end; item++ {
		if !seen[item] {
			seen[item] = true
			n++
		}
	}
	return n
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func ptr[T any](v T) *T { return &v }

func text(v string) *string {
	if v == "" {
		return nil
	}
	return &v
}
