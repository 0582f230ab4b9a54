package result

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/cost"
	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/bundle"
)

// Writer writes a result: Create, AddProbe for each probe in order, then Finish.
// Between them a crash loses at most the probe that was running. It is not safe
// for concurrent use.
type Writer struct {
	dir     string
	run     Run
	bundle  *bundle.Writer
	journal *os.File // nil once finished or closed
	probes  int
}

// Create starts a result in dir, which must be empty or not exist yet; its
// parent must exist. The system manifest is checked and kept byte for byte; a
// result is never without one. The facts of run are kept in the journal at once.
func Create(dir string, run Run, system []byte) (*Writer, error) {
	run.Started = run.Started.UTC().Truncate(time.Second)
	if err := run.Validate(); err != nil {
		return nil, fmt.Errorf("create result: %w", err)
	}
	if _, err := cost.ParseSystem(systemName, system, time.Time{}); err != nil {
		return nil, fmt.Errorf("create result: %w", err)
	}
	b, err := bundle.Create(dir, Kind)
	if err != nil {
		return nil, fmt.Errorf("create result: %w", err)
	}
	w := &Writer{dir: dir, run: run, bundle: b}
	if err := w.start(system); err != nil {
		b.Abort()
		return nil, fmt.Errorf("create result: %w", err)
	}
	return w, nil
}

func (w *Writer) start(system []byte) error {
	if err := w.bundle.Put(systemName, system); err != nil {
		return err
	}
	journal, err := os.OpenFile(filepath.Join(w.dir, journalName), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	w.journal = journal
	return w.log(entry{Format: format, Version: Version, Run: &w.run})
}

// entry is a line of the journal: the first holds the run, the others a probe.
type entry struct {
	Format  string                `json:"format,omitempty"`
	Version string                `json:"version,omitempty"`
	Run     *Run                  `json:"run,omitempty"`
	Probe   *capacity.ProbeRecord `json:"probe,omitempty"`
}

// log appends a line durably.
func (w *Writer) log(e entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode journal line: %w", err)
	}
	if _, err := w.journal.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	if err := w.journal.Sync(); err != nil {
		return fmt.Errorf("sync journal: %w", err)
	}
	return nil
}

// errWriterClosed is returned by a Writer that was finished, closed or aborted.
var errWriterClosed = errors.New("the writer is closed")

// AddProbe keeps one finished probe: its samples, then a line of the journal.
// Probes come in the order of their index, from 0. The window is borrowed.
func (w *Writer) AddProbe(win capacity.Window, rec capacity.ProbeRecord) error {
	if w.journal == nil {
		return fmt.Errorf("add probe %d: %w", rec.Ask.Index, errWriterClosed)
	}
	if rec.Ask.Index != w.probes || win.Ask.Index != w.probes {
		return fmt.Errorf("add probe: got index %d with the window of %d, want %d", rec.Ask.Index, win.Ask.Index, w.probes)
	}
	if err := w.writeSamples(win.Samples); err != nil {
		return fmt.Errorf("add probe %d: %w", w.probes, err)
	}
	if err := w.log(entry{Probe: &rec}); err != nil {
		return fmt.Errorf("add probe %d: %w", w.probes, err)
	}
	w.probes++
	return nil
}

func (w *Writer) writeSamples(samples []schema.Sample) error {
	rel := samplesName(w.probes)
	path, err := w.bundle.Path(rel)
	if err != nil {
		return err
	}
	table, err := schema.NewWriter[schema.Sample](path, map[string]string{"producer": "capstan " + w.run.Tool})
	if err != nil {
		return err
	}
	defer table.Abort()
	if err := table.Write(samples); err != nil {
		return err
	}
	stat, err := table.Close()
	if err != nil {
		return err
	}
	return w.bundle.Add(rel, stat.Rows)
}

// Finish writes result.json, README.md and the manifest, and removes the journal.
// The search must hold every probe that was added; wall is how long it took.
func (w *Writer) Finish(search capacity.Result, wall time.Duration) error {
	if w.journal == nil {
		return fmt.Errorf("finish result: %w", errWriterClosed)
	}
	if err := checkProbes(search.Probes); err != nil {
		return fmt.Errorf("finish result: %w", err)
	}
	if len(search.Probes) != w.probes {
		return fmt.Errorf("finish result: got a search of %d probes, want the %d that were added", len(search.Probes), w.probes)
	}
	w.run.Wall = wall.Seconds()
	if err := w.finish(search); err != nil {
		return fmt.Errorf("finish result: %w", err)
	}
	return nil
}

func (w *Writer) finish(search capacity.Result) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(document{Format: format, Version: Version, Run: w.run, Search: search}); err != nil {
		return err
	}
	if err := w.bundle.Put(documentName, text.Bytes()); err != nil {
		return err
	}
	if err := w.bundle.Put(readmeName, readme(w.run, search)); err != nil {
		return err
	}
	if err := w.bundle.Close(bundle.Manifest{Producer: "capstan " + w.run.Tool}); err != nil {
		return err
	}
	// From here on the manifest vouches for everything the journal held.
	err := w.Close()
	return errors.Join(err, os.Remove(filepath.Join(w.dir, journalName)))
}

// Close ends writing without finishing: what was added stays readable for
// OpenPartial. It does nothing after Finish, so it can be deferred.
func (w *Writer) Close() error {
	if w.journal == nil {
		return nil
	}
	err := w.journal.Close()
	w.journal = nil
	if err != nil {
		return fmt.Errorf("close journal: %w", err)
	}
	return nil
}
