package datasets

import (
	"errors"
	"fmt"
	"iter"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/bundle"
)

// Dataset is an opened dataset. It may be read from many goroutines at once.
type Dataset struct {
	bundle *bundle.Bundle
}

// Open opens the dataset in dir. It reads the manifest and checks that its
// files are there with their sizes; it does not read them: see [Verify].
func Open(dir string) (*Dataset, error) {
	b, err := bundle.Open(dir, Kind)
	if err != nil {
		return nil, fmt.Errorf("open dataset: %w", err)
	}
	return &Dataset{b}, nil
}

// Manifest returns the dataset's manifest, which must not be changed.
func (d *Dataset) Manifest() *bundle.Manifest { return d.bundle.Manifest() }

// Hash identifies the dataset's tables: SHA-256 in hex over the hashes, sizes
// and paths of its files.
func (d *Dataset) Hash() string { return d.bundle.Hash() }

// Dir returns the dataset's directory, as given to Open.
func (d *Dataset) Dir() string { return d.bundle.Dir() }

// StoredBytes is the size of the dataset's tables on disk.
func (d *Dataset) StoredBytes() int64 {
	var n int64
	for _, f := range d.Manifest().Files {
		n += f.Bytes
	}
	return n
}

// Sessions returns the sessions in the dataset's order, or, if ids are given,
// only those. One session at a time is in memory; the caller may keep it.
// Iteration ends after the first error, which comes with a nil session: a file
// that cannot be read, a session that [Check] finds fault with, an id that the
// dataset does not have. The sequence may be ranged over again.
func (d *Dataset) Sessions(ids ...string) iter.Seq2[*schema.Session, error] {
	return func(yield func(*schema.Session, error) bool) {
		for s, err := range d.sessions(nil, ids) {
			if err == nil {
				if err = Check(s); err != nil {
					err = fmt.Errorf("session %q: %w", s.ID, err)
				}
			}
			if err != nil {
				yield(nil, fmt.Errorf("read dataset %s: %w", d.Dir(), err))
				return
			}
			if !yield(s, nil) {
				return
			}
		}
	}
}

// sessions is Sessions without the check. If count is not nil, it is told at
// the end how many rows each table had.
func (d *Dataset) sessions(count func(table string, rows int64), ids []string) iter.Seq2[*schema.Session, error] {
	return func(yield func(*schema.Session, error) bool) {
		plan, err := newSharing(d.bundle, ids)
		if err != nil {
			yield(nil, err)
			return
		}
		m := newMerge(d.bundle, plan)
		defer m.close()
		for n, id := range plan.order {
			s, err := m.session(int32(n), id)
			if err != nil {
				yield(nil, err)
				return
			}
			if s != nil && !yield(s, nil) {
				return
			}
			if n == plan.final {
				break
			}
		}
		if plan.ids != nil {
			return
		}
		if err := m.end(); err != nil {
			yield(nil, err)
			return
		}
		if count != nil {
			m.count(count)
		}
	}
}

// merge reads the tables side by side, session by session.
type merge struct {
	plan         *sharing
	trajectories *cursor[schema.Trajectory]
	calls        *cursor[schema.Call]
	toolCalls    *cursor[schema.ToolCall]
	items        *cursor[schema.Item]
	blocks       *cursor[schema.PrefixBlocks]
	blobs        *blobs
}

func newMerge(b *bundle.Bundle, plan *sharing) *merge {
	return &merge{
		plan:         plan,
		trajectories: newCursor(b, schema.TableTrajectories, func(r *schema.Trajectory) string { return r.SessionID }),
		calls:        newCursor(b, schema.TableCalls, func(r *schema.Call) string { return r.SessionID }),
		toolCalls:    newCursor(b, schema.TableToolCalls, func(r *schema.ToolCall) string { return r.SessionID }),
		items:        newCursor(b, schema.TableItems, func(r *schema.Item) string { return r.SessionID }),
		blocks:       newCursor(b, schema.TablePrefixBlocks, func(r *schema.PrefixBlocks) string { return r.SessionID }),
		blobs:        newBlobs(b, plan),
	}
}

func (m *merge) close() {
	m.trajectories.close()
	m.calls.close()
	m.toolCalls.close()
	m.items.close()
	m.blocks.close()
	m.blobs.rows.close()
}

// session reads the rows of session number n. It returns nil for a session that
// is not asked for.
func (m *merge) session(n int32, id string) (*schema.Session, error) {
	if !m.plan.wants(id) {
		return nil, m.skip(id)
	}
	s := &schema.Session{ID: id}
	var err [5]error
	s.Trajectories, err[0] = m.trajectories.take(id)
	s.Calls, err[1] = m.calls.take(id)
	s.ToolCalls, err[2] = m.toolCalls.take(id)
	s.Items, err[3] = m.items.take(id)
	s.Blocks, err[4] = m.blocks.take(id)
	if err := errors.Join(err[:]...); err != nil {
		return nil, err
	}
	return s, m.blobs.fill(s, n)
}

func (m *merge) skip(id string) error {
	return errors.Join(
		m.trajectories.each(id, func(schema.Trajectory) {}),
		m.calls.each(id, func(schema.Call) {}),
		m.toolCalls.each(id, func(schema.ToolCall) {}),
		m.items.each(id, func(schema.Item) {}),
		m.blocks.each(id, func(schema.PrefixBlocks) {}),
	)
}

// end returns an error if a table has rows of sessions that do not exist.
func (m *merge) end() error {
	return errors.Join(m.trajectories.end(), m.calls.end(), m.toolCalls.end(), m.items.end(), m.blocks.end())
}

func (m *merge) count(report func(table string, rows int64)) {
	report(schema.TableTrajectories.Name, m.trajectories.rows)
	report(schema.TableCalls.Name, m.calls.rows)
	report(schema.TableToolCalls.Name, m.toolCalls.rows)
	report(schema.TableItems.Name, m.items.rows)
	report(schema.TablePrefixBlocks.Name, m.blocks.rows)
}
