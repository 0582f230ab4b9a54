package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Bundle is an opened bundle.
type Bundle struct {
	dir      string
	manifest *Manifest
}

// Open opens the bundle of the given kind in dir. It reads the manifest and
// checks that every listed file is there with its size, and that the folders
// which hold listed files hold no others. It does not read them: see Verify.
func Open(dir, kind string) (*Bundle, error) {
	m, err := readManifest(dir)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	if m.Kind != kind {
		return nil, fmt.Errorf("open %s: it holds a %s, want a %s", dir, m.Kind, kind)
	}
	if err := compare(dir, m); err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	return &Bundle{dir, m}, nil
}

// Manifest returns the bundle's manifest, which must not be changed.
func (b *Bundle) Manifest() *Manifest { return b.manifest }

// Dir returns the bundle's directory, as given to Open.
func (b *Bundle) Dir() string { return b.dir }

// Hash identifies the bundle's content: see Manifest.Hash.
func (b *Bundle) Hash() string { return b.manifest.Hash() }

// Path returns where on disk the listed file rel lies.
func (b *Bundle) Path(rel string) string { return filepath.Join(b.dir, filepath.FromSlash(rel)) }

// Files returns the listed files below folder (slash separated; "" means all)
// in the order of their paths.
func (b *Bundle) Files(folder string) []File {
	files := b.manifest.sorted()
	if folder == "" {
		return files
	}
	return slices.DeleteFunc(files, func(f File) bool { return !strings.HasPrefix(f.Path, folder+"/") })
}

// Read returns the content of the listed file rel after comparing its hash. It
// is for small files.
func (b *Bundle) Read(rel string) ([]byte, error) {
	i := slices.IndexFunc(b.manifest.Files, func(f File) bool { return f.Path == rel })
	if i < 0 {
		return nil, fmt.Errorf("read %s: file %q is not in the manifest", b.dir, rel)
	}
	var content bytes.Buffer
	if err := b.verify(b.manifest.Files[i], &content); err != nil {
		return nil, err
	}
	return content.Bytes(), nil
}

// Verify reads every file and compares its hash with the manifest. The error
// joins one error for each file that differs.
func (b *Bundle) Verify() error {
	if err := compare(b.dir, b.manifest); err != nil {
		return fmt.Errorf("verify %s: %w", b.dir, err)
	}
	var errs []error
	for _, f := range b.manifest.sorted() {
		if err := b.verify(f, io.Discard); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// verify compares a file's hash with the manifest's, and copies it to w.
func (b *Bundle) verify(want File, w io.Writer) error {
	got, err := copyFile(w, b.dir, want.Path)
	if err != nil {
		return fmt.Errorf("verify %s: %w", b.dir, err)
	}
	if got.Bytes != want.Bytes || got.SHA256 != want.SHA256 {
		return fmt.Errorf("verify %s: file %q was changed: got sha256 %s, want %s", b.dir, want.Path, got.SHA256, want.SHA256)
	}
	return nil
}

func readManifest(dir string) (*Manifest, error) {
	f, err := open(dir, ManifestName)
	if errors.Is(err, fs.ErrNotExist) {
		if _, dirErr := os.Stat(dir); dirErr != nil {
			return nil, dirErr
		}
		return nil, fmt.Errorf("%s is missing: this is no bundle, or writing it never ended", ManifestName)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxManifest {
		return nil, fmt.Errorf("%s is larger than %d bytes", ManifestName, maxManifest)
	}
	m, err := parseManifest(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ManifestName, err)
	}
	return m, nil
}

// open opens the file rel of dir without following a symbolic link anywhere
// below dir.
func open(dir, rel string) (*os.File, error) {
	at := dir
	for part := range strings.SplitSeq(rel, "/") {
		at = filepath.Join(at, part)
		info, err := os.Lstat(at)
		if err != nil {
			return nil, fmt.Errorf("file %q: %w", rel, err)
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return nil, fmt.Errorf("file %q: symbolic links are not followed", rel)
		}
	}
	f, err := os.Open(at)
	if err != nil {
		return nil, fmt.Errorf("file %q: %w", rel, err)
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, fmt.Errorf("file %q is not a regular file", rel)
	}
	return f, nil
}

// compare compares the names and sizes on disk with the manifest's. Folders
// that hold listed files must hold nothing else, so that readers who find files
// by pattern see what the manifest vouches for. What else lies at the top is
// not ours: repositories and people put things there.
func compare(dir string, m *Manifest) error {
	missing := make(map[string]int64, len(m.Files)) // sizes
	roots := make(map[string]bool)
	for _, f := range m.Files {
		missing[f.Path] = f.Bytes
		root, _, _ := strings.Cut(f.Path, "/")
		roots[root] = true
	}
	for root := range roots {
		err := filepath.WalkDir(filepath.Join(dir, root), func(file string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // reported below
			}
			if err != nil || e.IsDir() {
				return err
			}
			rel, err := filepath.Rel(dir, file)
			if err != nil {
				return err
			}
			return strike(missing, filepath.ToSlash(rel), e)
		})
		if err != nil {
			return err
		}
	}
	for _, f := range m.sorted() {
		if _, left := missing[f.Path]; left {
			return fmt.Errorf("file %q is missing", f.Path)
		}
	}
	return nil
}

// strike takes the file rel, found on disk, off the missing ones, or says why it
// should not be there.
func strike(missing map[string]int64, rel string, e fs.DirEntry) error {
	if e.Type()&fs.ModeSymlink != 0 {
		return fmt.Errorf("file %q: symbolic links are not followed", rel)
	}
	if !e.Type().IsRegular() {
		return fmt.Errorf("file %q is not a regular file", rel)
	}
	want, listed := missing[rel]
	if !listed {
		return fmt.Errorf("file %q is not in %s", rel, ManifestName)
	}
	info, err := e.Info()
	if err != nil {
		return err
	}
	if info.Size() != want {
		return fmt.Errorf("file %q: got %d bytes, want %d", rel, info.Size(), want)
	}
	delete(missing, rel)
	return nil
}
