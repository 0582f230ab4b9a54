package assemble_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/capstan-bench/capstan/proxy/assemble"
)

var update = flag.Bool("update", false, "write the golden files")

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// TestRecordings assembles the recordings in testdata and compares with what
// stands in them.
func TestRecordings(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			exchanges := recording(t, a)
			sessions, report := pack(t, exchanges, assemble.Config{})
			sound(t, sessions, report)
			var got bytes.Buffer
			render(&got, sessions, report)
			golden(t, path, a, got.Bytes())

			r := rand.New(rand.NewPCG(1, 2))
			for range 5 {
				r.Shuffle(len(exchanges), func(i, j int) { exchanges[i], exchanges[j] = exchanges[j], exchanges[i] })
				again, _ := pack(t, exchanges, assemble.Config{})
				if !reflect.DeepEqual(sessions, again) {
					t.Fatalf("another order of exchanges gives other sessions (-first +now):\n%s", cmp.Diff(sessions, again))
				}
			}
		})
	}
}

func golden(t *testing.T, path string, a *txtar.Archive, got []byte) {
	t.Helper()
	for i := range a.Files {
		if a.Files[i].Name != "want" {
			continue
		}
		if *update {
			a.Files = a.Files[:i]
			break
		}
		if diff := cmp.Diff(string(a.Files[i].Data), string(got)); diff != "" {
			t.Errorf("assembled differently (-want +got):\n%s", diff)
		}
		return
	}
	if !*update {
		t.Fatal("no want in the archive; run with -update")
	}
	a.Files = append(a.Files, txtar.File{Name: "want", Data: got})
	if err := os.WriteFile(path, txtar.Format(a), 0o666); err != nil {
		t.Fatal(err)
	}
}
