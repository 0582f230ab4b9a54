package bundle_test

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/capstan-bench/capstan/schema/bundle"
)

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("BUNDLE_TEST_WRITE"); dir != "" {
		writeAndHang(dir)
	}
	os.Exit(m.Run())
}

// writeAndHang writes the files of a bundle, says so, and waits to be killed
// before it writes the manifest.
func writeAndHang(dir string) {
	w, err := bundle.Create(dir, "test")
	if err == nil {
		err = w.Put("data/a", []byte("x"))
	}
	if err != nil {
		os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
	os.Stdout.WriteString("written\n")
	select {}
}

// A process that is killed between the files and the manifest leaves nothing
// that can be taken for a bundle.
func TestKilledBeforeTheManifest(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "b")
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "BUNDLE_TEST_WRITE="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if killErr := cmd.Process.Kill(); killErr != nil {
		t.Fatal(killErr)
	}
	cmd.Wait()
	if err != nil || line != "written\n" {
		t.Fatalf("the writing process said %q, %v", line, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "data", "a")); err != nil {
		t.Fatalf("the file before the kill: %v", err)
	}
	_, err = bundle.Open(dir, "test")
	wants(t, err, "manifest.json is missing: this is no bundle, or writing it never ended")
	_, err = bundle.Create(dir, "test")
	wants(t, err, "is not empty")
}

// What a killed writer left can be cleared away, but only by its own rules and not
// while a writer lives.
func TestClear(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "b")
	ours := func(rel string) bool { return strings.HasPrefix(rel, "data/") }
	holds := func(want string) {
		t.Helper()
		var got []string
		filepath.WalkDir(dir, func(file string, _ fs.DirEntry, err error) error {
			rel, _ := filepath.Rel(dir, file)
			got = append(got, filepath.ToSlash(rel))
			return err
		})
		if got := strings.Join(got, " "); got != want {
			t.Errorf("the folder holds %q, want %q", got, want)
		}
	}
	put := func(rel string) {
		t.Helper()
		file := filepath.Join(dir, filepath.FromSlash(rel))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o777), os.WriteFile(file, []byte("x"), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	clear := func() {
		t.Helper()
		if err := bundle.Clear(dir, ours); err != nil {
			t.Error(err)
		}
	}
	clear() // nothing there
	put("data/c")
	clear() // a download without its manifest, say
	holds(". data data/c")
	put(".unfinished")
	put("data/a/b.tmp")
	put("data/c")
	clear()
	holds(".")

	put(".unfinished")
	put("data/a")
	put("notes.txt") // somebody's
	clear()
	holds(". .unfinished data data/a notes.txt")
	if err := os.Rename(filepath.Join(dir, "notes.txt"), filepath.Join(dir, bundle.ManifestName)); err != nil {
		t.Fatal(err)
	}
	clear()
	holds(". .unfinished data data/a manifest.json")
	if err := os.Remove(filepath.Join(dir, bundle.ManifestName)); err != nil {
		t.Fatal(err)
	}
	if os.Symlink("/", filepath.Join(dir, "data", "link")) == nil {
		clear()
		holds(". .unfinished data data/a data/link")
		os.Remove(filepath.Join(dir, "data", "link"))
	}
	clear()

	w, err := bundle.Create(dir, "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Put("data/a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	wants(t, bundle.Clear(dir, ours), "another process is writing it")
	_, err = bundle.Create(dir, "test")
	wants(t, err, "another process is writing it")
	holds(". .unfinished data data/a")
	w.Abort()
	clear()
}

// A manifest whose writing was cut short has another name.
func TestTemporaryManifestIsNone(t *testing.T) {
	dir := sample(t)
	manifest := filepath.Join(dir, bundle.ManifestName)
	if err := os.Rename(manifest, manifest+".tmp"); err != nil {
		t.Fatal(err)
	}
	_, err := bundle.Open(dir, "test")
	wants(t, err, "manifest.json is missing")
}
