package smoke_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/capstan-bench/capstan/datasets"
	"github.com/capstan-bench/capstan/datasets/smoke"
)

// TestPromises checks what the card and the README promise of the dataset.
func TestPromises(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "smoke")
	if err := smoke.Write(dir); err != nil {
		t.Fatal(err)
	}
	report, err := datasets.Verify(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !report.OK() {
		t.Fatalf("the shipped dataset does not verify: %v", report.Problems)
	}
	ds, err := datasets.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	sessions, long, fanned := 0, false, false
	for s, err := range ds.Sessions() {
		if err != nil {
			t.Fatal(err)
		}
		sessions++
		root := s.Trajectories[0]
		long = long || root.NumCalls >= 100 && *root.MaxContextTokens >= 60_000
		fanned = fanned || len(s.Trajectories) > 2
	}
	if sessions < 12 || !long || !fanned {
		t.Errorf("got %d sessions, a long one: %v, one with sub-agents: %v; want at least 12 and both", sessions, long, fanned)
	}
}

func TestSize(t *testing.T) {
	const most = 1 << 20
	var size int64
	err := filepath.WalkDir("dataset", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := os.Stat(path)
		size += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if size > most {
		t.Errorf("the shipped dataset has %d bytes, want at most %d", size, most)
	}
}
