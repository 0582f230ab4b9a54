package result

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/cost"
	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/bundle"
)

// Kind is the kind of a result's bundle.
const Kind = "result"

// Version is that of result.json. A reader refuses another major version.
const Version = "1.0.0"

// Names of the files in a result.
const (
	documentName = "result.json"
	systemName   = "system.yaml"
	readmeName   = "README.md"
	journalName  = "journal.jsonl"
)

func samplesName(probe int) string { return fmt.Sprintf("samples/probe-%03d.parquet", probe) }

// Result is a result that was opened.
type Result struct {
	Run     Run
	Search  capacity.Result
	System  cost.System
	Partial bool // the search never ended: Search holds finished probes only, and no answer

	dir string
}

// document is result.json.
type document struct {
	Format  string          `json:"format"` // "capstan result"
	Version string          `json:"version"`
	Run     Run             `json:"run"`
	Search  capacity.Result `json:"search"`
}

const format = "capstan result"

// maxDocument bounds what is read of a stranger's result.json: a probe takes a
// few kilobytes a tier.
const maxDocument = 256 << 20

// Open opens the result in dir. It checks the manifest against the files' names
// and sizes, and the hashes of the documents it reads; see Verify for the rest.
func Open(dir string) (*Result, error) {
	b, err := bundle.Open(dir, Kind)
	if err != nil {
		return nil, fmt.Errorf("open result: %w", err)
	}
	text, err := readListed(b, documentName, maxDocument)
	if err != nil {
		return nil, fmt.Errorf("open result: %w", err)
	}
	d, err := parseDocument(text)
	if err != nil {
		return nil, fmt.Errorf("open result %s: %s: %w", dir, documentName, err)
	}
	system, err := readListed(b, systemName, maxDocument)
	if err != nil {
		return nil, fmt.Errorf("open result: %w", err)
	}
	r := &Result{Run: d.Run, Search: d.Search, dir: dir}
	if r.System, err = cost.ParseSystem(systemName, system, time.Time{}); err != nil {
		return nil, fmt.Errorf("open result %s: %w", dir, err)
	}
	return r, nil
}

// readListed reads a listed file of at most limit bytes and checks its hash.
func readListed(b *bundle.Bundle, name string, limit int64) ([]byte, error) {
	for _, f := range b.Manifest().Files {
		if f.Path == name && f.Bytes > limit {
			return nil, fmt.Errorf("read %s: got %d bytes, want at most %d", name, f.Bytes, limit)
		}
	}
	return b.Read(name)
}

// parseDocument reads result.json. Unknown fields are allowed: a later minor
// version may add some.
func parseDocument(text []byte) (*document, error) {
	d := new(document)
	dec := json.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(d); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object")
	}
	if d.Format != format {
		return nil, fmt.Errorf("got format %q, want %q", d.Format, format)
	}
	if major(d.Version) != major(Version) {
		return nil, fmt.Errorf("got version %q, want %s.x: use the capstan that wrote it", d.Version, major(Version))
	}
	if err := d.Run.Validate(); err != nil {
		return nil, err
	}
	return d, checkProbes(d.Search.Probes)
}

func major(version string) string {
	m, _, _ := bytes.Cut([]byte(version), []byte("."))
	return string(m)
}

// checkProbes makes sure that probes are numbered as their samples files are.
func checkProbes(probes []capacity.ProbeRecord) error {
	for i, p := range probes {
		if p.Ask.Index != i {
			return fmt.Errorf("probes[%d]: got index %d", i, p.Ask.Index)
		}
	}
	return nil
}

// Dir is the directory the result was opened from.
func (r *Result) Dir() string { return r.dir }

// Samples reads the samples of one probe.
func (r *Result) Samples(probe int) ([]schema.Sample, error) {
	return readSamples(r.dir, probe)
}
