package fold

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/wire"
)

// Folder collects the calls of one session. Its methods are for one goroutine.
//
// It numbers items as they come. Session numbers them anew, and settles in which
// form each is stored, once it is known how the calls use them.
type Folder struct {
	id        string
	envelopes map[string]schema.Blob
	store     store
	items     []schema.Item // rows of the store's items, less what Session fills in
	calls     []folded
	lanes     map[string]*lane
	order     []string // trajectories in order of appearance
	bodies    int32    // folded so far; stamps the store's items
	next      []int32  // context of the call at hand, by item
	buf       []schema.Range
}

// folded is a call whose ranges go by the folder's own numbers.
type folded struct {
	row           schema.Call
	marks         []mark
	output        []int32
	system, tools *part // nil for a call without a body
}

// mark is what turns an item into the element that a call sent: flat, where it is
// not nil and the item is flat in the end, else edits.
type mark struct {
	item        int32
	edits, flat []wire.Edit
}

// lane is what is remembered of a trajectory's latest call.
type lane struct {
	row           schema.Trajectory
	prompt        []int32 // items in template order
	system, tools *part
	called        bool
}

// part is the items of one kind in a context. Calls in a row share it.
type part struct{ items []int32 }

// New returns a folder for the session with that id.
func New(sessionID string) *Folder {
	return &Folder{id: sessionID, envelopes: map[string]schema.Blob{}, store: newStore(), lanes: map[string]*lane{}}
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
// context; the folder fills in the session, the trajectory, ContextRanges, Patches,
// the counts and hashes of the request, and the output's items:
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
// answer as the next request is expected to carry them; a context that does carry
// them goes on with the same items. An error leaves the folder as it was.
func (f *Folder) Call(trajectory string, c schema.Call, l wire.Layout, body []byte, output [][]byte) error {
	if err := check(l, body); err != nil {
		return fmt.Errorf("fold call %s: %w", c.CallID, err)
	}
	outputs, err := outputElements(c.APIFormat, output)
	if err != nil {
		return fmt.Errorf("fold call %s: %w", c.CallID, err)
	}
	c.SessionID, c.TrajectoryID = f.id, trajectory
	lane := f.lane(trajectory)
	call := folded{row: c}
	if body != nil {
		f.bodies++
		f.context(&call, l)
		f.request(&call.row, l.Envelope, body)
		f.compare(lane, &call)
	}
	for i := range outputs {
		call.output = append(call.output, f.answer(&outputs[i], c.CallIndex))
	}
	f.calls = append(f.calls, call)
	return nil
}

// request sets what is known of the body as a whole.
func (f *Folder) request(c *schema.Call, envelope, body []byte) {
	sum := putBlob(f.envelopes, string(envelope), schema.MediaEnvelope)
	c.EnvelopeSHA256 = &sum
	whole := hexSum(body)
	length := int64(len(body))
	c.RequestBodySHA256, c.RequestBodyBytes = &whole, &length
}

// context assigns items to the elements of a layout.
func (f *Folder) context(c *folded, l wire.Layout) {
	known := len(f.items)
	f.next, f.buf = f.next[:0], f.buf[:0]
	for slot, elements := range l.Slots {
		before := int32(-1)
		for i := range elements {
			before = f.place(&elements[i], before, c)
			f.next = append(f.next, before)
			f.buf = extend(f.buf, before, int32(slot))
		}
	}
	c.row.Patches = nil
	c.row.ContextRanges = append([]schema.Range(nil), f.buf...)
	c.row.NumContextItems = int32(len(f.next))
	c.row.NewItems = ptr(int32(len(f.items) - known))
}

// extend adds an item to ranges.
func extend(ranges []schema.Range, item, slot int32) []schema.Range {
	if n := len(ranges); n > 0 && ranges[n-1].EndItem == item && ranges[n-1].Slot == slot {
		ranges[n-1].EndItem++
		return ranges
	}
	return append(ranges, schema.Range{StartItem: item, EndItem: item + 1, Slot: slot})
}

// place finds the item for the element behind the item before, or makes it, and
// notes its marks.
func (f *Folder) place(e *wire.Element, before int32, c *folded) int32 {
	item, how := f.store.find(e, before, f.bodies)
	if item < 0 {
		item, how = f.add(e, c.row.CallIndex), inBoth
	}
	f.store.settle(item, e, how)
	if f.store.items[item].call == 0 && len(e.Edits) > 0 {
		f.items[item].CacheBreakpoint = ptr(true)
	}
	if !f.store.use(item, before, f.bodies, e) {
		return item
	}
	m := mark{item: item, edits: e.Edits}
	switch how {
	case inFlat:
		m.edits = e.Flat.Edits
	case inBoth:
		m.flat = flatEdits(e)
	}
	if len(m.edits)+len(m.flat) > 0 {
		c.marks = append(c.marks, m)
	}
	return item
}

// answer finds the item for an element of an answer, or makes it.
func (f *Folder) answer(e *wire.Element, call int32) int32 {
	item, how := f.store.find(e, -1, -1)
	if item < 0 {
		item = f.add(e, call)
		f.store.items[item].answer = true
		return item
	}
	f.store.settle(item, e, how)
	return item
}

// add makes an item of an element.
func (f *Folder) add(e *wire.Element, call int32) int32 {
	f.items = append(f.items, schema.Item{
		SessionID: f.id, Kind: e.Kind, Role: text(e.Role), FirstCallIndex: ptr(call), ToolCallID: text(e.ToolCallID), Name: text(e.Name),
	})
	f.store.add(e)
	return int32(len(f.items) - 1)
}

// putBlob keeps a content once and returns its hash.
func putBlob(blobs map[string]schema.Blob, content, media string) string {
	sum := hexSum([]byte(content))
	if _, ok := blobs[sum]; !ok {
		blobs[sum] = schema.Blob{ContentSHA256: sum, MediaType: media, Content: &content, ContentBytes: int64(len(content))}
	}
	return sum
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
