package datasets

import (
	"fmt"
	"iter"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/bundle"
)

// uses yields the hashes that a session names: those of its items in order,
// then those of its envelopes. A hash may come more than once.
func uses(s *schema.Session) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range s.Items {
			if !yield(s.Items[i].ContentSHA256) {
				return
			}
		}
		for i := range s.Calls {
			if sum := s.Calls[i].EnvelopeSHA256; sum != nil && !yield(*sum) {
				return
			}
		}
	}
}

// Columns that tell which session uses which blob.
type (
	sessionRow struct {
		SessionID string `parquet:"session_id,dict"`
	}
	itemRow struct {
		SessionID     string `parquet:"session_id,dict"`
		ContentSHA256 string `parquet:"content_sha256"`
	}
	callRow struct {
		SessionID      string  `parquet:"session_id,dict"`
		EnvelopeSHA256 *string `parquet:"envelope_sha256,optional,dict"`
	}
)

// sharing is what a first, cheap pass over a dataset finds out: the order of
// its sessions, and until which of them each blob is needed.
type sharing struct {
	order []string
	ids   map[string]bool    // asked for; nil means all
	final int                // number of the last session that is asked for
	last  map[[32]byte]int32 // number of the last wanted session that uses a blob
}

func newSharing(b *bundle.Bundle, ids []string) (*sharing, error) {
	p := &sharing{last: make(map[[32]byte]int32)}
	number := make(map[string]int32)
	for row, err := range rowsOf[sessionRow](b, schema.TableTrajectories) {
		if err != nil {
			return nil, err
		}
		if n := len(p.order); n > 0 && p.order[n-1] == row.SessionID {
			continue
		}
		if _, ok := number[row.SessionID]; ok {
			return nil, fmt.Errorf("table %s: the rows of session %q do not stand together", schema.TableTrajectories.Name, row.SessionID)
		}
		number[row.SessionID] = int32(len(p.order))
		p.order = append(p.order, row.SessionID)
	}
	if err := p.want(number, ids); err != nil {
		return nil, err
	}
	return p, p.scan(b, number)
}

// want notes which sessions are asked for.
func (p *sharing) want(number map[string]int32, ids []string) error {
	if len(ids) == 0 {
		p.final = len(p.order) - 1
		return nil
	}
	p.ids = make(map[string]bool, len(ids))
	for _, id := range ids {
		if _, ok := number[id]; !ok {
			return fmt.Errorf("session %q is not in the dataset", id)
		}
		p.ids[id] = true
		p.final = max(p.final, int(number[id]))
	}
	return nil
}

func (p *sharing) wants(id string) bool { return p.ids == nil || p.ids[id] }

// scan reads which session uses which blob.
func (p *sharing) scan(b *bundle.Bundle, number map[string]int32) error {
	for row, err := range rowsOf[itemRow](b, schema.TableItems) {
		if err != nil {
			return err
		}
		p.use(number, row.SessionID, row.ContentSHA256)
	}
	for row, err := range rowsOf[callRow](b, schema.TableCalls) {
		if err != nil {
			return err
		}
		if row.EnvelopeSHA256 != nil {
			p.use(number, row.SessionID, *row.EnvelopeSHA256)
		}
	}
	return nil
}

// use notes one use. A session that does not exist is found when the tables are
// merged.
func (p *sharing) use(number map[string]int32, session, sum string) {
	n, ok := number[session]
	if !ok || !p.wants(session) {
		return
	}
	k := keyOf(sum)
	if last, ok := p.last[k]; !ok || last < n {
		p.last[k] = n
	}
}

// maxContent bounds the bytes of blobs that a reader holds at a time. Tests lower
// it.
var maxContent int64 = 4 << 30

// blobs hands out blobs while it reads their table once. It keeps what a later
// session needs.
type blobs struct {
	plan *sharing
	rows *cursor[schema.Blob]
	kept map[[32]byte]schema.Blob
	size int64 // bytes of kept
}

func newBlobs(b *bundle.Bundle, plan *sharing) *blobs {
	none := func(*schema.Blob) string { return "" }
	return &blobs{plan: plan, rows: newCursor(b, schema.TableBlobs, none), kept: make(map[[32]byte]schema.Blob)}
}

// fill sets the blobs of s, which is session number n. One that the table does
// not have stays away.
func (b *blobs) fill(s *schema.Session, n int32) error {
	s.Blobs = make(map[string]schema.Blob)
	missing := make(map[[32]byte]bool)
	for sum := range uses(s) {
		k := keyOf(sum)
		if blob, ok := b.kept[k]; ok {
			s.Blobs[sum] = blob
		} else {
			missing[k] = true
		}
	}
	held := b.size // beyond what a session before it needed, this one's
	for len(missing) > 0 {
		blob, err := b.rows.peek()
		if err != nil {
			return err
		}
		if blob == nil {
			break
		}
		b.rows.held = false
		if held += size(*blob); held > maxContent {
			return fmt.Errorf("session %q: more than %d bytes of content at a time", s.ID, maxContent)
		}
		b.place(s, *blob, n, missing)
	}
	for sum := range uses(s) {
		if k := keyOf(sum); b.plan.last[k] <= n {
			b.size -= size(b.kept[k])
			delete(b.kept, k)
		}
	}
	return nil
}

// size is what a blob takes: nothing where the content was withheld.
func size(b schema.Blob) int64 {
	if b.Content == nil {
		return 0
	}
	return int64(len(*b.Content))
}

// place gives a blob to the session, keeps it for a later one, or drops it.
func (b *blobs) place(s *schema.Session, blob schema.Blob, n int32, missing map[[32]byte]bool) {
	k := keyOf(blob.ContentSHA256)
	if missing[k] {
		s.Blobs[blob.ContentSHA256] = blob
		delete(missing, k)
	}
	if last, ok := b.plan.last[k]; ok && last > n {
		b.size += size(blob) - size(b.kept[k])
		b.kept[k] = blob
	}
}
