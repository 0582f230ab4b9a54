package datasets

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/bundle"
)

// Kind is the kind of the bundle that a dataset is.
const Kind = "dataset"

// CardName is the name of the card within a dataset.
const CardName = "README.md"

// Attributes of a dataset's manifest; all are decimal numbers.
const (
	AttributeSessions = "sessions"
	AttributeCalls    = "calls"
)

// Writer writes a dataset, session by session. It is not safe for concurrent
// use.
type Writer struct {
	dir    string
	card   Card
	bundle *bundle.Writer
	ids    map[string]bool
	blobs  map[[32]byte]bool // written
	calls  int
	err    error // of a table; sticks
	closed bool

	trajectories table[schema.Trajectory]
	callRows     table[schema.Call]
	toolCalls    table[schema.ToolCall]
	items        table[schema.Item]
	blobRows     table[schema.Blob]
	blocks       table[schema.PrefixBlocks]
}

// Create starts a dataset in dir, which must be empty or not exist yet; its
// parent must exist. What a process that was killed while it wrote a dataset left
// there is removed: it can be made again.
func Create(dir string, card Card) (*Writer, error) {
	if err := bundle.Clear(dir, unfinished); err != nil {
		return nil, fmt.Errorf("create dataset: %w", err)
	}
	b, err := bundle.Create(dir, Kind)
	if err != nil {
		return nil, fmt.Errorf("create dataset: %w", err)
	}
	return &Writer{
		dir: dir, card: card, bundle: b,
		ids: make(map[string]bool), blobs: make(map[[32]byte]bool),
	}, nil
}

// unfinished says whether a writer that was killed may have left the file rel.
func unfinished(rel string) bool {
	rel = strings.TrimSuffix(rel, ".tmp")
	return rel == CardName || rel == bundle.ManifestName ||
		slices.ContainsFunc(schema.Tables(), func(t schema.Table) bool { return rel == t.File(0) })
}

// Add appends a session. It refuses a session that [Check] finds fault with or
// that was added before; the writer can go on then. Any other error is one of
// the disk and sticks. The session is not retained.
func (w *Writer) Add(s *schema.Session) error {
	if err := w.state(); err != nil {
		return err
	}
	if w.ids[s.ID] {
		return fmt.Errorf("add session %q: it was added before", s.ID)
	}
	if err := Check(s); err != nil {
		return fmt.Errorf("add session %q: %w", s.ID, err)
	}
	w.ids[s.ID] = true
	w.calls += len(s.Calls)
	if err := w.rows(s); err != nil {
		w.err = fmt.Errorf("add session %q: %w", s.ID, err)
	}
	return w.err
}

func (w *Writer) state() error {
	if w.closed {
		return fmt.Errorf("write dataset %s: the writer is closed", w.dir)
	}
	return w.err
}

func (w *Writer) rows(s *schema.Session) error {
	if err := w.trajectories.write(w, s.Trajectories); err != nil {
		return err
	}
	if err := w.callRows.write(w, s.Calls); err != nil {
		return err
	}
	if err := w.toolCalls.write(w, s.ToolCalls); err != nil {
		return err
	}
	if err := w.items.write(w, s.Items); err != nil {
		return err
	}
	if err := w.addBlobs(s); err != nil {
		return err
	}
	if err := w.blocks.write(w, s.Blocks); err != nil {
		return err
	}
	return errors.Join(w.trajectories.endSession(), w.callRows.endSession(), w.toolCalls.endSession(),
		w.items.endSession(), w.blobRows.endSession(), w.blocks.endSession())
}

// addBlobs writes the blobs of s that no session before it had: those of its
// items in order, then those of its envelopes.
func (w *Writer) addBlobs(s *schema.Session) error {
	for sum := range uses(s) {
		k := keyOf(sum)
		if w.blobs[k] {
			continue
		}
		w.blobs[k] = true
		if err := w.blobRows.write(w, []schema.Blob{s.Blobs[sum]}); err != nil {
			return err
		}
	}
	return nil
}

// keyOf packs a hash. What is no hash, which other places report, gets some key.
func keyOf(sum string) (k [32]byte) {
	if len(sum) != hex.EncodedLen(len(k)) {
		return sha256.Sum256([]byte(sum))
	}
	hex.Decode(k[:], []byte(sum))
	return k
}

// Close ends the tables, writes the card and then the manifest, which makes the
// directory a dataset. A dataset without sessions is an error. After any error
// nothing is left.
func (w *Writer) Close() error {
	if err := w.state(); err != nil {
		w.Abort()
		return err
	}
	if err := w.finish(); err != nil {
		w.Abort()
		return fmt.Errorf("close dataset: %w", err)
	}
	w.closed = true
	return nil
}

func (w *Writer) finish() error {
	if len(w.ids) == 0 {
		return errors.New("no session was added")
	}
	parts, err := w.parts()
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(w.dir, CardName), w.card.render(len(w.ids), parts)); err != nil {
		return err
	}
	return w.bundle.Close(bundle.Manifest{
		Producer: w.card.producer(),
		Attributes: map[string]string{
			AttributeSessions: strconv.Itoa(len(w.ids)),
			AttributeCalls:    strconv.Itoa(w.calls),
		},
	})
}

// parts closes the tables in the order of the format.
func (w *Writer) parts() ([]part, error) {
	var out []part
	for _, t := range []closer{&w.trajectories, &w.callRows, &w.toolCalls, &w.items, &w.blobRows, &w.blocks} {
		p, err := t.close(w)
		if err != nil {
			return nil, err
		}
		if p.rows > 0 {
			out = append(out, p)
		}
	}
	return out, nil
}

// Abort removes what was written, unless the dataset has been closed. It is
// safe to call at any time, so it can be deferred.
func (w *Writer) Abort() {
	if w.closed {
		return
	}
	w.closed = true
	for _, t := range []closer{&w.trajectories, &w.callRows, &w.toolCalls, &w.items, &w.blobRows, &w.blocks} {
		t.abort()
	}
	w.bundle.Abort()
}

// closer is a table of any row type.
type closer interface {
	close(*Writer) (part, error)
	abort()
}

// table is one table of the dataset being written. Its file appears with the
// first row.
type table[T any] struct {
	w    *schema.Writer[T]
	path string // within the dataset
}

func (t *table[T]) write(w *Writer, rows []T) error {
	if len(rows) == 0 {
		return nil
	}
	if t.w == nil {
		spec := tableOf[T]()
		t.path = spec.File(0)
		file, err := w.bundle.Path(t.path)
		if err != nil {
			return err
		}
		if t.w, err = schema.NewWriter[T](file, map[string]string{"producer": w.card.producer()}); err != nil {
			return err
		}
	}
	return t.w.Write(rows)
}

func (t *table[T]) endSession() error {
	if t.w == nil {
		return nil
	}
	return t.w.EndSession()
}

func (t *table[T]) close(w *Writer) (part, error) {
	if t.w == nil {
		return part{}, nil
	}
	stat, err := t.w.Close()
	if err != nil {
		return part{}, err
	}
	if err := w.bundle.Add(t.path, stat.Rows); err != nil {
		return part{}, err
	}
	return part{
		spec: tableOf[T](), features: featuresOf(reflect.TypeFor[T]()),
		rows: stat.Rows, bytes: stat.Bytes,
	}, nil
}

func (t *table[T]) abort() {
	if t.w != nil {
		t.w.Abort()
	}
}

func tableOf[T any]() schema.Table {
	spec, ok := schema.TableOf[T]()
	if !ok {
		panic("datasets: internal error: not a row type")
	}
	return spec
}

// writeFile writes a file so that after a crash it is there whole or not at
// all.
func writeFile(path string, content []byte) (err error) {
	temp, err := os.Create(path + ".tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			temp.Close()
			os.Remove(temp.Name())
		}
	}()
	if _, err := temp.Write(content); err != nil {
		return err
	}
	if err := temp.Sync(); err != nil {
		return err
	}
	if err := temp.Close(); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}
