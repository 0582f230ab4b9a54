package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/capstan-bench/capstan/schema"
)

// Writer fills the directory of a new bundle. It is not safe for concurrent
// use, but files may be written at the same time at the paths it gave out.
type Writer struct {
	dir    string
	kind   string
	made   bool // dir did not exist before
	lock   *os.File
	files  []File
	given  map[string]bool // paths given out or added
	closed bool
}

// Create starts a bundle of the given kind in dir, which must be empty or not
// exist yet. Its parent must exist. Until Close or Abort, other writers are kept
// from dir where the system has locks.
func Create(dir, kind string) (*Writer, error) {
	if kind == "" {
		return nil, errors.New("create bundle: kind is required")
	}
	w := &Writer{dir: dir, kind: kind, given: make(map[string]bool)}
	err := os.Mkdir(dir, 0o777)
	switch {
	case err == nil:
		w.made = true
	case !errors.Is(err, fs.ErrExist):
		return nil, fmt.Errorf("create bundle: %w", err)
	}
	if w.lock, err = lock(dir); err != nil {
		return nil, fmt.Errorf("create bundle: %s: %w", dir, err)
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%s is not empty: it holds %s", dir, entries[0].Name())
	}
	if err != nil {
		w.unlock()
		return nil, fmt.Errorf("create bundle: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, unfinishedName), []byte(unfinishedText), 0o666); err != nil {
		w.Abort()
		return nil, fmt.Errorf("create bundle: %w", err)
	}
	return w, nil
}

// unlock lets other writers have the directory.
func (w *Writer) unlock() {
	if w.lock != nil {
		w.lock.Close()
		w.lock = nil
	}
}

// Path returns where on disk the file rel (slash separated) of the bundle goes,
// and makes its parent folders. The file counts only once Add names it.
func (w *Writer) Path(rel string) (string, error) {
	if err := w.claim(rel); err != nil {
		return "", err
	}
	file := filepath.Join(w.dir, filepath.FromSlash(rel))
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return "", fmt.Errorf("create bundle folder: %w", err)
	}
	return file, nil
}

func (w *Writer) claim(rel string) error {
	if w.closed {
		return fmt.Errorf("write bundle %s: the writer is closed", w.dir)
	}
	if err := checkPath(rel); err != nil {
		return fmt.Errorf("write bundle %s: %w", w.dir, err)
	}
	if w.given[rel] {
		return fmt.Errorf("write bundle %s: file %q comes twice", w.dir, rel)
	}
	w.given[rel] = true
	return nil
}

// Add lists the finished file that was written at Path(rel), with its number of
// table rows (0 for other files). It reads the file to hash it.
func (w *Writer) Add(rel string, rows int64) error {
	if w.closed {
		return fmt.Errorf("write bundle %s: the writer is closed", w.dir)
	}
	if !w.given[rel] {
		return fmt.Errorf("write bundle %s: file %q was not asked for with Path", w.dir, rel)
	}
	if slices.ContainsFunc(w.files, func(f File) bool { return f.Path == rel }) {
		return fmt.Errorf("write bundle %s: file %q comes twice", w.dir, rel)
	}
	f, err := copyFile(io.Discard, w.dir, rel)
	if err != nil {
		return fmt.Errorf("write bundle %s: %w", w.dir, err)
	}
	f.Rows = rows
	w.files = append(w.files, f)
	return nil
}

// Put writes content as the file rel, durably, and lists it.
func (w *Writer) Put(rel string, content []byte) error {
	file, err := w.Path(rel)
	if err != nil {
		return err
	}
	if err := writeFile(file, content); err != nil {
		return fmt.Errorf("write bundle %s: %w", w.dir, err)
	}
	return w.Add(rel, 0)
}

// Close writes the manifest, which makes the directory a bundle. Of m, Producer
// and Attributes are taken; the writer sets Kind, SchemaVersion and Files.
// What was written at a path that was given out must have been added, and
// nothing else may lie in the folders of added files.
func (w *Writer) Close(m Manifest) error {
	if w.closed {
		return fmt.Errorf("close bundle %s: the writer is closed", w.dir)
	}
	m.Kind, m.SchemaVersion, m.Files = w.kind, schema.Version, w.files
	m.Files = m.sorted()
	if m.Files == nil {
		m.Files = []File{}
	}
	if err := m.Validate(); err != nil {
		return fmt.Errorf("close bundle %s: %w", w.dir, err)
	}
	if err := w.forgotten(); err != nil {
		return fmt.Errorf("close bundle %s: %w", w.dir, err)
	}
	if err := compare(w.dir, &m); err != nil {
		return fmt.Errorf("close bundle %s: %w", w.dir, err)
	}
	content, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("close bundle %s: %w", w.dir, err)
	}
	// The names of the files must be durable before the manifest that vouches
	// for them is.
	if err := w.syncFolders(); err != nil {
		return fmt.Errorf("close bundle %s: %w", w.dir, err)
	}
	if err := writeFile(filepath.Join(w.dir, ManifestName), append(content, '\n')); err != nil {
		return fmt.Errorf("close bundle %s: %w", w.dir, err)
	}
	os.Remove(filepath.Join(w.dir, unfinishedName)) // means nothing beside a manifest
	w.closed = true
	w.unlock()
	return nil
}

// forgotten returns an error if a file was written but never added.
func (w *Writer) forgotten() error {
	added := make(map[string]bool, len(w.files))
	for _, f := range w.files {
		added[f.Path] = true
	}
	for rel := range w.given {
		if added[rel] {
			continue
		}
		if _, err := os.Lstat(filepath.Join(w.dir, filepath.FromSlash(rel))); err == nil {
			return fmt.Errorf("file %q was written but not added", rel)
		}
	}
	return nil
}

func (w *Writer) syncFolders() error {
	folders := map[string]bool{".": true}
	for _, f := range w.files {
		for dir := path.Dir(f.Path); dir != "."; dir = path.Dir(dir) {
			folders[dir] = true
		}
	}
	for dir := range folders {
		if err := syncDir(filepath.Join(w.dir, filepath.FromSlash(dir))); err != nil {
			return err
		}
	}
	return syncDir(filepath.Dir(w.dir))
}

// Abort removes what the writer made, unless it has been closed. A directory
// that was there before stays, empty. It is safe to call at any time, so it can
// be deferred.
func (w *Writer) Abort() {
	if w.closed {
		return
	}
	w.closed = true
	defer w.unlock()
	if w.made {
		os.RemoveAll(w.dir)
		return
	}
	entries, _ := os.ReadDir(w.dir)
	for _, e := range entries {
		os.RemoveAll(filepath.Join(w.dir, e.Name()))
	}
}

// writeFile writes a file so that after a crash it is there whole or not at all.
func writeFile(file string, content []byte) (err error) {
	temp, err := os.Create(file + ".tmp")
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
	if err := os.Rename(temp.Name(), file); err != nil {
		return err
	}
	return syncDir(filepath.Dir(file))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// copyFile copies the regular file rel of dir to w and describes it.
func copyFile(w io.Writer, dir, rel string) (File, error) {
	f, err := open(dir, rel)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(h, w), f)
	if err != nil {
		return File{}, fmt.Errorf("file %q: %w", rel, err)
	}
	return File{Path: rel, Bytes: n, SHA256: hex.EncodeToString(h.Sum(nil))}, nil
}
