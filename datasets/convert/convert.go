package convert

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/capstan-bench/capstan/datasets"
	"github.com/capstan-bench/capstan/schema"
)

// Importer reads the sessions of the file or folder at path. Iteration ends
// after the first error, which comes with a nil session. A session without model
// calls is passed over.
type Importer func(path string) iter.Seq2[*schema.Session, error]

// Format is one format of others.
type Format struct {
	Name   string
	About  string // one line
	Note   string // what an import adds that its source does not hold, a sentence; may be empty
	Import Importer
}

// Formats returns the formats that can be imported, by name.
func Formats() []Format {
	return []Format{
		{"pi", "session logs of the pi coding agent (JSONL)", piNote, Pi},
		{"weka", "kv-cache-tester traces (JSON, or JSONL with a trace a line)", "", Weka},
	}
}

// Named returns the format of that name. An unknown name is an error that lists
// the known ones.
func Named(name string) (Format, error) {
	var names []string
	for _, f := range Formats() {
		if f.Name == name {
			return f, nil
		}
		names = append(names, f.Name)
	}
	return Format{}, fmt.Errorf("import format %q: unknown, want one of %s", name, strings.Join(names, ", "))
}

// Dataset imports the files or folders at paths into a new dataset in dir. each,
// which may be nil, is told of every session once it is written. The card says
// what the format adds. After an error there is no dataset.
func Dataset(dir string, card datasets.Card, format Format, paths []string, each func(*schema.Session)) error {
	if len(paths) == 0 {
		return errors.New("import: no path given")
	}
	card.About = strings.TrimSpace(card.About + "\n\n" + format.Note)
	w, err := datasets.Create(dir, card)
	if err != nil {
		return err
	}
	defer w.Abort()
	sessions := 0
	for _, path := range paths {
		for s, err := range format.Import(path) {
			if err != nil {
				return fmt.Errorf("import %s: %w", format.Name, err)
			}
			if err := w.Add(s); err != nil {
				return fmt.Errorf("import %s from %s: %w", format.Name, path, err)
			}
			if sessions++; each != nil {
				each(s)
			}
		}
	}
	if sessions == 0 {
		return fmt.Errorf("import %s: no session with a call in %s", format.Name, strings.Join(paths, ", "))
	}
	return w.Close()
}

// PlaceError says where in a source something is wrong.
type PlaceError struct {
	Path   string
	Line   int   // from 1; 0 where the source is not made of lines
	Offset int64 // byte from 0, where there is no line
	Err    error
}

func (e *PlaceError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s:%d: %v", e.Path, e.Line, e.Err)
	}
	return fmt.Sprintf("%s: byte %d: %v", e.Path, e.Offset, e.Err)
}

// Unwrap returns the cause.
func (e *PlaceError) Unwrap() error { return e.Err }

// filesAt returns path itself if it is a file, else the files below it whose
// extension is one of exts, in the order of their paths.
func filesAt(path string, exts ...string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(path, func(file string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if file == path || slices.Contains(exts, filepath.Ext(file)) {
			files = append(files, file)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find sources: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("find sources: %s holds no %s file", path, strings.Join(exts, " or "))
	}
	return files, nil
}

// warnings counts, by what it was, what could not be taken over.
type warnings map[string]int

// extraJSON returns the extra_json of a root trajectory; nil if there is nothing
// to tell.
func (w warnings) extraJSON() *string {
	if len(w) == 0 {
		return nil
	}
	return extraJSON(map[string]any{"warnings": w})
}

func extraJSON(extra map[string]any) *string {
	b, err := json.Marshal(extra)
	if err != nil {
		panic("convert: internal error: " + err.Error()) // strings and numbers always marshal
	}
	text := string(b)
	return &text
}

// Warnings returns what an importer could not take over into the session, as
// "12 images replaced by a placeholder", sorted. Other sessions have none.
func Warnings(s *schema.Session) []string {
	if len(s.Trajectories) == 0 || s.Trajectories[0].ExtraJSON == nil {
		return nil
	}
	var extra struct{ Warnings map[string]int }
	if json.Unmarshal([]byte(*s.Trajectories[0].ExtraJSON), &extra) != nil {
		return nil
	}
	var out []string
	for what, n := range extra.Warnings {
		out = append(out, fmt.Sprintf("%d %s", n, what))
	}
	sort.Strings(out)
	return out
}

func ptr[T any](v T) *T { return &v }

// text returns nil for "".
func text(v string) *string {
	if v == "" {
		return nil
	}
	return &v
}
