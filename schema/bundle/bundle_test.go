package bundle_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/bundle"
)

// build writes a bundle of kind "test" with the given files and returns its
// directory.
func build(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "b")
	w, err := bundle.Create(dir, "test")
	if err != nil {
		t.Fatal(err)
	}
	for _, rel := range slices.Sorted(maps.Keys(files)) {
		if err := w.Put(rel, []byte(files[rel])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(bundle.Manifest{Producer: "test 1", Attributes: map[string]string{"a": "1"}}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func sample(t testing.TB) string {
	t.Helper()
	return build(t, map[string]string{"data/a/x.txt": "xx", "data/b/y.txt": "", "system.yaml": "s: 1"})
}

// wants checks that err holds want, on one line.
func wants(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got error %v, want %q on one line", err, want)
	}
}

func write(t testing.TB, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestWriteAndOpen(t *testing.T) {
	dir := sample(t)
	b, err := bundle.Open(dir, "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Verify(); err != nil {
		t.Error(err)
	}
	m := b.Manifest()
	if m.Kind != "test" || m.SchemaVersion != schema.Version || m.Producer != "test 1" || m.Attributes["a"] != "1" {
		t.Errorf("manifest is %+v", m)
	}
	var paths []string
	for _, f := range b.Files("") {
		paths = append(paths, f.Path)
	}
	if want := []string{"data/a/x.txt", "data/b/y.txt", "system.yaml"}; !slices.Equal(paths, want) {
		t.Errorf("Files = %q, want %q", paths, want)
	}
	if files := b.Files("data/a"); len(files) != 1 || files[0].Bytes != 2 {
		t.Errorf("Files(data/a) = %v, want x.txt", files)
	}
	if files := b.Files("dat"); len(files) != 0 {
		t.Errorf("Files(dat) = %v, want none: it is no folder", files)
	}
	if got, err := b.Read("system.yaml"); err != nil || string(got) != "s: 1" {
		t.Errorf("Read = %q, %v", got, err)
	}
	_, err = b.Read("manifest.json")
	wants(t, err, `"manifest.json" is not in the manifest`)
	if b.Dir() != dir || b.Path("data/a/x.txt") != filepath.Join(dir, "data", "a", "x.txt") {
		t.Errorf("Dir = %s, Path = %s", b.Dir(), b.Path("data/a/x.txt"))
	}
}

func TestAddCountsRows(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "b")
	w, err := bundle.Create(dir, "test")
	if err != nil {
		t.Fatal(err)
	}
	file, err := w.Path("data/t/part.txt")
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, "rows")
	if err := w.Add("data/t/part.txt", 7); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(bundle.Manifest{}); err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Open(dir, "test")
	if err != nil {
		t.Fatal(err)
	}
	if f := b.Files("")[0]; f.Rows != 7 || f.Bytes != 4 {
		t.Errorf("file is %+v, want 7 rows in 4 bytes", f)
	}
}

func TestHash(t *testing.T) {
	hash := func(files map[string]string) string {
		t.Helper()
		b, err := bundle.Open(build(t, files), "test")
		if err != nil {
			t.Fatal(err)
		}
		return b.Hash()
	}
	base := hash(map[string]string{"a": "1", "b": "2"})
	if again := hash(map[string]string{"b": "2", "a": "1"}); again != base {
		t.Error("the hash depends on the order of writing")
	}
	for _, other := range []map[string]string{{"a": "2", "b": "1"}, {"a": "1"}, {"a": "1", "c": "2"}, {"a": "1", "b": "2", "c": ""}} {
		if hash(other) == base {
			t.Errorf("files %q have the hash of other files", other)
		}
	}
	// As FORMAT.md defines it: what sha256sum says of these two lines.
	m := bundle.Manifest{Files: []bundle.File{{Path: "b", Bytes: 2, SHA256: "bb"}, {Path: "a", Bytes: 1, SHA256: "aa", Rows: 9}}}
	if got, want := m.Hash(), "801480a909476ef4737fb252e0a905d72e18c0facea11c42a1a6960358922e7a"; got != want {
		t.Errorf("Hash = %s, want %s", got, want)
	}
}

// The manifest is the same for the same files, so bundles can be compared.
func TestManifestIsDeterministic(t *testing.T) {
	read := func() string {
		b, err := os.ReadFile(filepath.Join(sample(t), bundle.ManifestName))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	first := read()
	if read() != first {
		t.Error("two manifests of the same files differ")
	}
	if !json.Valid([]byte(first)) || !strings.HasSuffix(first, "}\n") {
		t.Errorf("manifest is %q", first)
	}
}

func TestCreateRefuses(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "precious"), "x")
	_, err := bundle.Create(dir, "test")
	wants(t, err, "is not empty: it holds precious")
	_, err = bundle.Create(filepath.Join(dir, "precious"), "test")
	wants(t, err, "not a directory")
	_, err = bundle.Create(filepath.Join(dir, "no", "b"), "test")
	wants(t, err, "no such file")
	_, err = bundle.Create(filepath.Join(t.TempDir(), "b"), "")
	wants(t, err, "kind is required")
}

func TestWriterRefuses(t *testing.T) {
	w, err := bundle.Create(filepath.Join(t.TempDir(), "b"), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, rel := range []string{
		"", ".", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "a/", "./a", "a/./b", `a\b`, `..\x`, "C:x", "a\x00", "a\nb", "manifest.json",
	} {
		if _, err := w.Path(rel); err == nil {
			t.Errorf("Path(%q): got no error", rel)
		}
		if err := w.Put(rel, nil); err == nil {
			t.Errorf("Put(%q): got no error", rel)
		}
	}
	if err := w.Put("a", nil); err != nil {
		t.Fatal(err)
	}
	wants(t, w.Put("a", nil), `file "a" comes twice`)
	wants(t, w.Add("a", 0), `file "a" comes twice`)
	wants(t, w.Add("b", 0), `file "b" was not asked for`)
	if _, err := w.Path("c"); err != nil {
		t.Fatal(err)
	}
	wants(t, w.Add("c", 0), `file "c"`)
}

func TestCloseRefusesWhatWasNotAdded(t *testing.T) {
	f := func(want string, change func(dir string, w *bundle.Writer)) {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "b")
		w, err := bundle.Create(dir, "test")
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Put("data/x", []byte("x")); err != nil {
			t.Fatal(err)
		}
		change(dir, w)
		wants(t, w.Close(bundle.Manifest{}), want)
		_, err = bundle.Open(dir, "test")
		wants(t, err, "manifest.json is missing")
	}
	f(`file "y" was written but not added`, func(_ string, w *bundle.Writer) {
		file, err := w.Path("y")
		if err != nil {
			t.Fatal(err)
		}
		write(t, file, "y")
	})
	f(`file "data/y.tmp" is not in manifest.json`, func(dir string, _ *bundle.Writer) { write(t, filepath.Join(dir, "data", "y.tmp"), "y") })
	f(`file "data/x": got 2 bytes, want 1`, func(dir string, _ *bundle.Writer) { write(t, filepath.Join(dir, "data", "x"), "xx") })
	f(`file "data/x" is missing`, func(dir string, _ *bundle.Writer) { os.Remove(filepath.Join(dir, "data", "x")) })
}

func TestClosedWriter(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "b")
	w, err := bundle.Create(dir, "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(bundle.Manifest{}); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	wants(t, w.Close(bundle.Manifest{}), "the writer is closed")
	wants(t, w.Put("a", nil), "the writer is closed")
	wants(t, w.Add("a", 0), "the writer is closed")
	if _, err := bundle.Open(dir, "test"); err != nil {
		t.Errorf("an empty bundle: %v", err)
	}
}

func TestAbort(t *testing.T) {
	fresh := filepath.Join(t.TempDir(), "b")
	old := t.TempDir()
	for _, dir := range []string{fresh, old} {
		w, err := bundle.Create(dir, "test")
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Put("data/x", []byte("x")); err != nil {
			t.Fatal(err)
		}
		w.Abort()
		w.Abort()
	}
	if _, err := os.Stat(fresh); !os.IsNotExist(err) {
		t.Errorf("the directory that Create made is still there: %v", err)
	}
	if entries, err := os.ReadDir(old); err != nil || len(entries) > 0 {
		t.Errorf("the directory that was there holds %v, %v", entries, err)
	}
}
