package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/capstan-bench/capstan/schema"
)

// ManifestName is the name of a bundle's manifest within its directory.
const ManifestName = "manifest.json"

// maxManifest bounds what Open reads: a file takes about 200 bytes.
const maxManifest = 32 << 20

// Manifest is the content of manifest.json.
type Manifest struct {
	Kind          string            `json:"kind"`                 // what the directory holds, such as "dataset"
	SchemaVersion string            `json:"schema_version"`       // of FORMAT.md
	Producer      string            `json:"producer,omitempty"`   // program and version
	Files         []File            `json:"files"`                // sorted by path; the manifest is not among them
	Attributes    map[string]string `json:"attributes,omitempty"` // defined by the kind
}

// File describes one file of a bundle.
type File struct {
	Path   string `json:"path"`   // slash separated, from the bundle's directory
	Bytes  int64  `json:"bytes"`  // size
	Rows   int64  `json:"rows"`   // of a table, else 0
	SHA256 string `json:"sha256"` // of the content, lower-case hex
}

// Hash identifies the bundle's content: the SHA-256, in hex, over one line
// "sha256 bytes path\n" for each file in the order of their paths. Producer,
// attributes and row counts do not enter it.
func (m *Manifest) Hash() string {
	h := sha256.New()
	for _, f := range m.sorted() {
		fmt.Fprintf(h, "%s %d %s\n", f.SHA256, f.Bytes, f.Path)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (m *Manifest) sorted() []File {
	return slices.SortedFunc(slices.Values(m.Files), func(a, b File) int { return strings.Compare(a.Path, b.Path) })
}

// Validate returns an error if m is not a manifest that this program can trust:
// an unknown schema version, a path that leaves the directory or comes twice, a
// negative count, something that is no hash.
func (m *Manifest) Validate() error {
	if m.Kind == "" {
		return errors.New("kind is missing")
	}
	if strings.ContainsFunc(m.Kind, func(r rune) bool { return r < 'a' || r > 'z' }) {
		return fmt.Errorf("kind %.40q is no word of small letters", m.Kind)
	}
	if err := schema.CheckVersion(m.SchemaVersion); err != nil {
		return err
	}
	if m.Files == nil {
		return errors.New("files is missing")
	}
	seen := make(map[string]bool, len(m.Files))
	for _, f := range m.Files {
		if err := f.validate(); err != nil {
			return err
		}
		if seen[f.Path] {
			return fmt.Errorf("file %q is listed twice", f.Path)
		}
		seen[f.Path] = true
	}
	return nil
}

func (f File) validate() error {
	if err := checkPath(f.Path); err != nil {
		return err
	}
	if f.Bytes < 0 || f.Rows < 0 {
		return fmt.Errorf("file %q: got %d bytes and %d rows, want no negative number", f.Path, f.Bytes, f.Rows)
	}
	if b, err := hex.DecodeString(f.SHA256); err != nil || len(b) != sha256.Size || f.SHA256 != strings.ToLower(f.SHA256) {
		return fmt.Errorf("file %q: %q is no SHA-256 in lower-case hex", f.Path, f.SHA256)
	}
	return nil
}

// checkPath returns an error unless p names a file inside the directory in the
// one form that every system takes alike.
func checkPath(p string) error {
	switch {
	case p == "" || p == "." || path.IsAbs(p) || path.Clean(p) != p || p == ".." || strings.HasPrefix(p, "../"):
		return fmt.Errorf("path %q does not name a file inside the directory", p)
	case strings.ContainsAny(p, "\\:\x00\n"):
		return fmt.Errorf("path %q holds a character that not every system takes", p)
	case p == ManifestName:
		return fmt.Errorf("path %q: the manifest does not list itself", p)
	}
	return nil
}

// parseManifest decodes and validates. Unknown keys are allowed, a later minor
// version may add some; anything after the object is not.
func parseManifest(b []byte) (*Manifest, error) {
	m := new(Manifest)
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(m); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, errors.New("it is empty or cut off")
		}
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object")
	}
	return m, m.Validate()
}
