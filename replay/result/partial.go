package result

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/cost"
	"github.com/capstan-bench/capstan/schema"
)

// OpenPartial opens what an interrupted search left in dir: the probes that the
// journal holds, with their verdicts, and no answer. A last line that was torn is
// left out. It is an error to open a finished result so.
func OpenPartial(dir string) (*Result, error) {
	text, err := readBounded(filepath.Join(dir, journalName))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open partial result: %s holds no %s", dir, journalName)
	}
	if err != nil {
		return nil, fmt.Errorf("open partial result: %w", err)
	}
	r := &Result{Partial: true, dir: dir}
	if err := r.readJournal(text); err != nil {
		return nil, fmt.Errorf("open partial result %s: %s: %w", dir, journalName, err)
	}
	system, err := readBounded(filepath.Join(dir, systemName))
	if err != nil {
		return nil, fmt.Errorf("open partial result: %w", err)
	}
	if r.System, err = cost.ParseSystem(systemName, system, time.Time{}); err != nil {
		return nil, fmt.Errorf("open partial result %s: %w", dir, err)
	}
	return r, nil
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err == nil && len(text) > maxDocument {
		err = fmt.Errorf("%s is larger than %d bytes", filepath.Base(path), maxDocument)
	}
	return text, err
}

func (r *Result) readJournal(text []byte) error {
	number := 0
	for len(text) > 0 {
		line, rest, whole := bytes.Cut(text, []byte("\n"))
		if !whole && number > 0 {
			break // torn: the probe was never vouched for
		}
		number++
		text = rest
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if err := r.take(number, e); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	if number == 0 {
		return errors.New("it is empty")
	}
	return checkProbes(r.Search.Probes)
}

func (r *Result) take(number int, e entry) error {
	if number > 1 {
		if e.Probe == nil {
			return errors.New("want a probe")
		}
		r.Search.Probes = append(r.Search.Probes, *e.Probe)
		return nil
	}
	if e.Format != format || major(e.Version) != major(Version) || e.Run == nil {
		return fmt.Errorf("got format %q version %q, want %q %s.x and a run", e.Format, e.Version, format, major(Version))
	}
	r.Run = *e.Run
	return r.Run.Validate()
}

// readSamples reads one probe's samples file.
func readSamples(dir string, probe int) ([]schema.Sample, error) {
	var samples []schema.Sample
	name := samplesName(probe)
	for s, err := range schema.Read[schema.Sample](filepath.Join(dir, filepath.FromSlash(name))) {
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		samples = append(samples, s)
	}
	return samples, nil
}

// window puts a probe's record and samples together again.
func window(rec capacity.ProbeRecord, samples []schema.Sample) capacity.Window {
	return capacity.Window{
		Ask: rec.Ask, From: rec.From, To: rec.To, Samples: samples, Duty: rec.Duty,
		Expect: rec.Expect, Sweep: rec.Sweep, Settled: rec.Settled,
		Invalid: rec.Invalid, Warnings: rec.Warnings,
	}
}
