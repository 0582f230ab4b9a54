package convert_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/capstan-bench/capstan/datasets"
	"github.com/capstan-bench/capstan/datasets/convert"
	"github.com/capstan-bench/capstan/schema/tokens"
)

// fuzz imports arbitrary bytes. Either that is an error, or the dataset that came
// of it verifies.
func fuzz(f *testing.F, format convert.Format, name string) {
	seeds, err := filepath.Glob(filepath.Join("testdata", format.Name, "*.json*"))
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, seed := range seeds {
		b, err := os.ReadFile(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		dir := t.TempDir()
		path, out := filepath.Join(dir, name), filepath.Join(dir, "out")
		if err := os.WriteFile(path, source, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := convert.Dataset(out, datasets.Card{}, format, []string{path}, nil); err != nil {
			if _, err := os.Stat(out); err == nil {
				t.Error("a failed import leaves a folder")
			}
			return
		}
		r, err := datasets.Verify(out)
		if err != nil || !r.OK() {
			t.Errorf("Verify = %+v, %v", r, err)
		}
	})
}

func FuzzPi(f *testing.F) {
	fuzz(f, convert.Format{Name: "pi", Import: convert.PiCounting(tokens.Bytes4)}, "s.jsonl")
}

func FuzzWeka(f *testing.F) {
	f.Add([]byte(`{"id":"s","requests":[{"t":1e999,"in":-1,"hash_ids":[9223372036854775807,-5]},null,{"type":"subagent","requests":[null,{}]}]}`))
	fuzz(f, convert.Format{Name: "weka", Import: convert.Weka}, "s.jsonl")
}
