package schema_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/capstan-bench/capstan/schema"
)

// wants checks that err holds want, on one line.
func wants(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got error %v, want %q on one line", err, want)
	}
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func create(t *testing.T, dir string) *schema.Writer[schema.Item] {
	t.Helper()
	w, err := schema.NewWriter[schema.Item](filepath.Join(dir, "a.parquet"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestFileAppearsWhenClosed(t *testing.T) {
	dir := t.TempDir()
	w := create(t, dir)
	if err := w.Write([]schema.Item{fullItem(0)}); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); got != "a.parquet.tmp" {
		t.Errorf("before Close: %q", got)
	}
	first, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); got != "a.parquet" {
		t.Errorf("after Close: %q", got)
	}
	w.Abort()
	if again, err := w.Close(); err != nil || again != first {
		t.Errorf("second Close = %v, %v, want %v", again, err, first)
	}
	if got := names(t, dir); got != "a.parquet" {
		t.Errorf("after Abort of a closed file: %q", got)
	}
	wants(t, w.Write([]schema.Item{fullItem(1)}), "the writer is closed")
	wants(t, w.EndSession(), "the writer is closed")
}

func TestAbortLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	w := create(t, dir)
	if err := w.Write([]schema.Item{fullItem(0)}); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	w.Abort()
	if got := names(t, dir); got != "" {
		t.Errorf("after Abort: %q", got)
	}
	wants(t, w.Write(nil), "was aborted")
	_, err := w.Close()
	wants(t, err, "was aborted")
}

// A refused row is the end of the file: what follows cannot be right either.
func TestWriteErrorSticks(t *testing.T) {
	dir := t.TempDir()
	w := create(t, dir)
	bad := fullItem(1)
	bad.Kind = "nonsense"
	err := w.Write([]schema.Item{fullItem(0), bad})
	wants(t, err, `a.parquet: row 1: kind: got "nonsense"`)
	if again := w.Write([]schema.Item{fullItem(1)}); again != err {
		t.Errorf("the next Write: got error %v, want the first", again)
	}
	if _, again := w.Close(); again != err {
		t.Errorf("Close: got error %v, want the first", again)
	}
	if got := names(t, dir); got != "" {
		t.Errorf("after the error: %q", got)
	}
}

// Readers other than ours refuse the whole file for one such text.
func TestWriteRefusesTextThatIsNotUTF8(t *testing.T) {
	f := func(column string, change func(*schema.Call)) {
		t.Helper()
		c := fullCall(0)
		change(&c)
		w, err := schema.NewWriter[schema.Call](filepath.Join(t.TempDir(), "a.parquet"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Abort()
		wants(t, w.Write([]schema.Call{c}), column+": text is not UTF-8")
	}
	f("call_id", func(c *schema.Call) { c.CallID = "\xff" })
	f("extra_json", func(c *schema.Call) { c.ExtraJSON = ptr("a\xc3") })
	f("patches: ins", func(c *schema.Call) { c.Patches[1].Ins = "\x80" })
}

func TestNewWriterRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.parquet")
	_, err := schema.NewWriter[schema.Range](path, nil)
	wants(t, err, "schema.Range is not the row type of a table")
	_, err = schema.NewWriter[schema.Item](path, map[string]string{"schema_version": "9.9.9"})
	wants(t, err, "metadata key schema_version is reserved")
	_, err = schema.NewWriter[schema.Item](filepath.Join(dir, "no", "a.parquet"), nil)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a folder: got error %v", err)
	}
	if got := names(t, dir); got != "" {
		t.Errorf("refusals left %q", got)
	}
	overwrite(t, path, []byte("precious"))
	_, err = schema.NewWriter[schema.Item](path, nil)
	wants(t, err, "exists already")
	if got := string(contentOf(t, path)); got != "precious" {
		t.Errorf("the file that was there holds %q now", got)
	}
}

// A crash leaves a temporary file; the next run must not stumble over it.
func TestNewWriterReplacesTheTemporaryFileOfACrash(t *testing.T) {
	dir := t.TempDir()
	overwrite(t, filepath.Join(dir, "a.parquet.tmp"), []byte(strings.Repeat("old", 10_000)))
	w := create(t, dir)
	if err := w.Write([]schema.Item{fullItem(0)}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if rows, err := read[schema.Item](filepath.Join(dir, "a.parquet")); err != nil || len(rows) != 1 {
		t.Errorf("got %d rows and error %v, want one row", len(rows), err)
	}
}

// A full disk shows as an error of Close or before, and no file appears.
func TestDiskFull(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("needs /dev/full")
	}
	dir := t.TempDir()
	if err := os.Symlink("/dev/full", filepath.Join(dir, "a.parquet.tmp")); err != nil {
		t.Skip(err)
	}
	w := create(t, dir)
	if err := w.Write([]schema.Item{fullItem(0)}); err != nil {
		t.Fatal(err)
	}
	_, err := w.Close()
	wants(t, err, "no space left")
	if got := names(t, dir); got != "" {
		t.Errorf("after the error: %q", got)
	}
}
