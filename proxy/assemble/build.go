package assemble

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/fold"
	"github.com/capstan-bench/capstan/schema/wire"
)

// builder makes the rows of one session.
type builder struct {
	a       *Assembler
	g       *group
	tree    *tree
	records map[*call]*record
	folder  *fold.Folder
	chain   map[*call]*chained
	wanted  map[*call]bool // others go on from its answer
	notes   map[string]int
	from    int64 // the session's first instant
}

var errSpool = errors.New("the spool gave other bytes than it was given")

func (a *Assembler) build(g *group) (*schema.Session, error) {
	b := &builder{
		a: a, g: g, tree: a.tree, records: map[*call]*record{}, folder: fold.New(g.id),
		chain: map[*call]*chained{}, wanted: map[*call]bool{}, notes: map[string]int{}, from: g.calls[0].start,
	}
	for _, c := range g.calls {
		r, err := a.shelf.record(c.at)
		if err != nil {
			return nil, err
		}
		b.records[c] = r
		b.wanted[c.before] = c.before != nil
	}
	for _, l := range g.lanes {
		b.folder.Trajectory(b.lane(l))
	}
	names := map[string]bool{}
	for _, c := range b.sequence() {
		if err := b.call(c, names); err != nil {
			return nil, fmt.Errorf("exchange %s: %w", c.name, err)
		}
	}
	s := b.folder.Session()
	b.tools(s)
	b.tokens(s)
	totals(s)
	b.spans(s)
	b.root(&s.Trajectories[0])
	return s, nil
}

func (b *builder) note(what string) { b.notes[what]++ }

// sequence is the calls in the order in which they are folded: by time, attempts
// at the same call one after another.
func (b *builder) sequence() []*call {
	first := func(c *call) int32 {
		for c.retry != nil {
			c = c.retry
		}
		return c.order
	}
	out := slices.Clone(b.g.calls)
	slices.SortStableFunc(out, func(x, y *call) int {
		return cmp.Or(cmp.Compare(first(x), first(y)), cmp.Compare(x.attempt, y.attempt))
	})
	return out
}

// call folds one call.
func (b *builder) call(c *call, names map[string]bool) error {
	r := b.records[c]
	row := r.Row
	b.a.report.Roles[c.role.String()]++
	for _, n := range r.Notes {
		b.note(n)
	}
	row.CallID = cmp.Or(c.name, fmt.Sprintf("%s/%d/%d", c.lane.id, c.index, c.attempt))
	for n := 2; names[row.CallID]; n++ {
		row.CallID = fmt.Sprintf("%s~%d", cmp.Or(c.name, c.lane.id), n)
	}
	names[row.CallID] = true
	row.CallIndex, row.Attempt, row.Purpose = c.index, c.attempt, c.purpose()
	row.Trigger = b.trigger(c)
	row.After = b.causes(c)
	row.StartedAt = ptr(time.UnixMicro(c.start).UTC())
	b.neighbours(c, &row)
	l, body, err := b.body(c, r)
	if err != nil {
		return err
	}
	output, err := b.output(r)
	if err != nil {
		return err
	}
	row.ExtraJSON = b.extra(c, r, body)
	if err := b.folder.Call(c.lane.id, row, l, body, output); err != nil {
		b.note("calls whose context could not be folded, kept without")
		if err := b.folder.Call(c.lane.id, row, wire.Layout{}, nil, nil); err != nil {
			return err
		}
	}
	b.leave(c, &l, output)
	return nil
}

// body makes the request body of a call, and its layout.
func (b *builder) body(c *call, r *record) (l wire.Layout, body []byte, err error) {
	if r.Envelope < 0 {
		return wire.Layout{}, nil, nil
	}
	if body, err = b.join(r); err != nil {
		return l, nil, err
	}
	if r.Chain {
		body, _ = b.whole(c, body)
	}
	if !r.Opaque {
		if l, err = wire.Split(c.format, body); err == nil {
			return l, body, nil
		}
		if r.Chain { // made whole, it is no request any more
			return l, nil, fmt.Errorf("split the whole request: %w", err)
		}
	}
	return wire.Layout{Envelope: body}, body, nil
}

// join puts a body together from its pieces.
func (b *builder) join(r *record) ([]byte, error) {
	shelf := b.a.shelf
	envelope, err := shelf.get(nil, shelf.pieces[r.Envelope].span)
	if err != nil || r.Opaque {
		return envelope, err
	}
	body, err := wire.Join(make([]byte, 0, r.SentSize), envelope, func(slot int) iter.Seq[[]byte] {
		return func(yield func([]byte) bool) {
			if slot >= len(r.Slots) {
				return
			}
			for _, n := range r.Slots[slot] {
				p, e := shelf.get(nil, shelf.pieces[n].span)
				if e != nil && err == nil {
					err = e
				}
				if !yield(p) {
					return
				}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	if hexSum(body) != r.Sent {
		return nil, errSpool
	}
	return body, nil
}

func (b *builder) output(r *record) (out [][]byte, err error) {
	for _, n := range r.Output {
		p, err := b.a.shelf.get(nil, b.a.shelf.pieces[n].span)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// neighbours sets what a row says about the calls before it.
func (b *builder) neighbours(c *call, row *schema.Call) {
	calls := c.lane.calls
	i := slices.Index(calls, c)
	if i == 0 {
		return
	}
	before := calls[i-1]
	if before.end >= 0 {
		row.GapUS = ptr(c.start - before.end)
	}
	if p := c.pred; p != nil && p.lane == c.lane && p.index < c.index && p.index != before.index && c.retry == nil {
		row.ParentCallIndex = ptr(p.index)
	}
}

// extra is what the columns of a call do not say.
func (b *builder) extra(c *call, r *record, body []byte) *string {
	m := r.Extra
	if c.role != roleTurn && c.role != roleUnknown {
		m["role"] = c.role.String()
	}
	if c.rewrote {
		m["context"] = "rewritten"
	}
	if r.Chain && hexSum(body) != r.Sent {
		m["sent_sha256"], m["sent_bytes"] = r.Sent, r.SentSize
	}
	if c.wanted != "" {
		m["previous_response_id"] = short(valid(c.wanted), maxText)
	}
	if ran := c.who.ran; ran != "" {
		m["tool_durations"] = ran
	}
	return asJSON(m)
}

// asJSON returns nil for an empty map.
func asJSON(m map[string]any) *string {
	if len(m) == 0 {
		return nil
	}
	text, err := json.Marshal(m)
	if err != nil {
		panic("assemble: internal error: " + err.Error()) // texts, numbers and maps of them always marshal
	}
	return ptr(strings.ToValidUTF8(string(text), ""))
}
