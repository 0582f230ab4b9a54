package bundle_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
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
