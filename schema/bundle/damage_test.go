package bundle_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/capstan-bench/capstan/schema/bundle"
)

// damage changes a sound bundle and checks that Open, or Verify if Open cannot
// know, names what is wrong.
func damage(t *testing.T, want string, change func(dir string)) {
	t.Helper()
	dir := sample(t)
	change(dir)
	b, err := bundle.Open(dir, "test")
	if err != nil && !strings.Contains(err.Error(), dir) {
		t.Errorf("error %q does not name the directory", err)
	}
	if err == nil {
		err = b.Verify()
	}
	wants(t, err, want)
}

func TestDamagedFiles(t *testing.T) {
	x := func(dir string) string { return filepath.Join(dir, "data", "a", "x.txt") }
	damage(t, `file "data/a/x.txt": got 1 bytes, want 2`, func(dir string) { write(t, x(dir), "x") })
	damage(t, `file "data/a/x.txt": got 3 bytes, want 2`, func(dir string) { write(t, x(dir), "xxx") })
	damage(t, `file "data/a/x.txt" was changed`, func(dir string) { write(t, x(dir), "xy") })
	damage(t, `file "data/a/x.txt" is missing`, func(dir string) { os.Remove(x(dir)) })
	damage(t, `file "data/a/x.txt" is missing`, func(dir string) { os.RemoveAll(filepath.Join(dir, "data")) })
	damage(t, `file "data/b/y.txt" is missing`, func(dir string) { os.RemoveAll(filepath.Join(dir, "data", "b")) })
	damage(t, `file "system.yaml" is missing`, func(dir string) { os.Remove(filepath.Join(dir, "system.yaml")) })
	damage(t, `file "data/a/z.txt" is not in manifest.json`, func(dir string) { write(t, filepath.Join(dir, "data", "a", "z.txt"), "") })
	damage(t, `file "data/c/z.parquet.tmp" is not in manifest.json`, func(dir string) { write(t, filepath.Join(dir, "data", "c", "z.parquet.tmp"), "") })
	damage(t, `file "data/a/x.txt/z" is not in manifest.json`, func(dir string) {
		os.Remove(x(dir))
		write(t, filepath.Join(x(dir), "z"), "")
	})
}

// Verify names every file that was changed, not only the first.
func TestVerifyNamesAllFiles(t *testing.T) {
	dir := sample(t)
	write(t, filepath.Join(dir, "data", "a", "x.txt"), "xy")
	write(t, filepath.Join(dir, "system.yaml"), "t: 1")
	b, err := bundle.Open(dir, "test")
	if err != nil {
		t.Fatal(err)
	}
	err = b.Verify()
	for _, want := range []string{"data/a/x.txt", "system.yaml"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %s in it", err, want)
		}
	}
	_, err = b.Read("system.yaml")
	wants(t, err, `"system.yaml" was changed`)
}

// What people and tools put at the top is none of our business.
func TestStrangersAtTheTop(t *testing.T) {
	dir := sample(t)
	write(t, filepath.Join(dir, "README.md"), "# x")
	write(t, filepath.Join(dir, "report.html"), "<html>")
	write(t, filepath.Join(dir, ".git", "config"), "")
	if err := os.Symlink("/etc", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := bundle.Open(dir, "test"); err != nil {
		t.Error(err)
	}
}

func TestSymbolicLinksAreRefused(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	write(t, filepath.Join(outside, "x.txt"), "xx")
	link := func(target, name string) {
		t.Helper()
		if err := os.RemoveAll(name); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
	}
	const want = "symbolic links are not followed"
	damage(t, want, func(dir string) { link(filepath.Join(outside, "x.txt"), filepath.Join(dir, "data", "a", "x.txt")) })
	damage(t, want, func(dir string) { link(outside, filepath.Join(dir, "data", "a")) })
	damage(t, want, func(dir string) { link(outside, filepath.Join(dir, "data")) })
	damage(t, want, func(dir string) { link("/dev/null", filepath.Join(dir, "data", "b", "y.txt")) })
	damage(t, want, func(dir string) { link("manifest.json", filepath.Join(dir, "system.yaml")) })
	damage(t, want, func(dir string) {
		real := filepath.Join(outside, "manifest.json")
		if err := os.Rename(filepath.Join(dir, "manifest.json"), real); err != nil {
			t.Fatal(err)
		}
		link(real, filepath.Join(dir, "manifest.json"))
	})
}

// A named pipe would hang whoever opens it.
func TestPipesAreRefused(t *testing.T) {
	damage(t, `file "data/b/y.txt" is not a regular file`, func(dir string) {
		file := filepath.Join(dir, "data", "b", "y.txt")
		os.Remove(file)
		if err := exec.Command("mkfifo", file).Run(); err != nil {
			t.Skip("needs mkfifo:", err)
		}
	})
}

func TestDamagedManifest(t *testing.T) {
	manifest := func(want, content string) {
		t.Helper()
		damage(t, want, func(dir string) { write(t, filepath.Join(dir, bundle.ManifestName), content) })
	}
	manifest("manifest.json: it is empty or cut off", "")
	manifest("manifest.json: it is empty or cut off", `{"kind": "test"`)
	manifest("manifest.json: invalid character", "PAR1 garbage")
	manifest("manifest.json: invalid character", "\x00\x00\x00\x00")
	manifest("manifest.json: json: cannot unmarshal", `[]`)
	manifest("manifest.json: kind is missing", `null`)
	manifest("manifest.json: kind is missing", `{}`)
	manifest("schema version \"\"", `{"kind": "test", "files": []}`)
	manifest("schema version 2.0.0: this program reads version 1.x.x", `{"kind": "test", "schema_version": "2.0.0", "files": []}`)
	manifest("files is missing", `{"kind": "test", "schema_version": "1.0.0"}`)
	manifest("something follows the object", `{"kind": "test", "schema_version": "1.0.0", "files": []} {}`)
	manifest("it holds a result, want a test", `{"kind": "result", "schema_version": "1.0.0", "files": []}`)

	damage(t, "manifest.json is missing: this is no bundle, or writing it never ended", func(dir string) {
		os.Remove(filepath.Join(dir, bundle.ManifestName))
	})
	damage(t, "no such file", func(dir string) { os.RemoveAll(dir) })
}

func TestManifestCutAnywhere(t *testing.T) {
	dir := sample(t)
	file := filepath.Join(dir, bundle.ManifestName)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) - 2 { // the last two bytes are "}\n"
		write(t, file, string(whole[:n]))
		if _, err := bundle.Open(dir, "test"); err == nil {
			t.Errorf("opened with %d of %d bytes of the manifest", n, len(whole))
		}
	}
}

// A manifest from elsewhere must not make us read outside of the directory.
func TestManifestPathsAreRefused(t *testing.T) {
	hash := strings.Repeat("0", 64)
	f := func(want, path, sum string, bytes, rows int) {
		t.Helper()
		file := fmt.Sprintf(`{"path": %s, "sha256": %q, "bytes": %d, "rows": %d}`, quote(path), sum, bytes, rows)
		damage(t, want, func(dir string) {
			write(t, filepath.Join(dir, bundle.ManifestName), `{"kind": "test", "schema_version": "1.0.0", "files": [`+file+`]}`)
		})
	}
	for _, path := range []string{"", "../../etc/passwd", "..", "/etc/passwd", "data/../../x", "data//x", "data/a/", "./system.yaml"} {
		f("does not name a file inside", path, hash, 1, 0)
	}
	for _, path := range []string{`data\a`, "C:passwd", "a\nb", "a\x00b"} {
		f("a character that not every system takes", path, hash, 1, 0)
	}
	f("does not list itself", "manifest.json", hash, 1, 0)
	f("no negative number", "data/x", hash, -1, 0)
	f("no negative number", "data/x", hash, 1, -1)
	f("is no SHA-256", "data/x", hash[1:], 1, 0)
	f("is no SHA-256", "data/x", strings.Repeat("A", 64), 1, 0)
	twice := fmt.Sprintf(`{"path": "system.yaml", "sha256": %q, "bytes": 4, "rows": 0}`, hash)
	damage(t, `"system.yaml" is listed twice`, func(dir string) {
		write(t, filepath.Join(dir, bundle.ManifestName), `{"kind": "test", "schema_version": "1.0.0", "files": [`+twice+","+twice+`]}`)
	})
}

// A later minor version may add keys.
func TestUnknownKeysAreIgnored(t *testing.T) {
	dir := sample(t)
	file := filepath.Join(dir, bundle.ManifestName)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, strings.Replace(strings.Replace(string(content), "{", `{"new": [1],`, 1), `"1.0.0"`, `"1.9.0"`, 1))
	if _, err := bundle.Open(dir, "test"); err != nil {
		t.Error(err)
	}
}

// quote writes s as JSON, also where it holds what %q would escape otherwise.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// FuzzOpen: whatever the manifest holds, Open ends, and what it opens lies inside
// the directory.
func FuzzOpen(f *testing.F) {
	dir := sample(f)
	file := filepath.Join(dir, bundle.ManifestName)
	whole, err := os.ReadFile(file)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:40])
	f.Add([]byte(`{"kind":"test","schema_version":"1.0.0","files":[{"path":"../x"}]}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(file, content, 0o666); err != nil {
			t.Fatal(err)
		}
		b, err := bundle.Open(dir, "test")
		if err != nil {
			return
		}
		for _, m := range b.Files("") {
			if rel, err := filepath.Rel(dir, b.Path(m.Path)); err != nil || !filepath.IsLocal(rel) {
				t.Errorf("file %q lies outside", m.Path)
			}
		}
	})
}
