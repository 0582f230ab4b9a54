package convert_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/capstan-bench/capstan/datasets"
	"github.com/capstan-bench/capstan/datasets/convert"
	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/fold"
)

// samples returns a file or folder of real recordings.
func samples(t testing.TB, path string) string {
	t.Helper()
	root := os.Getenv("CAPSTAN_SAMPLES")
	if root == "" {
		t.Skip("skipped: CAPSTAN_SAMPLES is not set, there are no real recordings to import")
	}
	return filepath.Join(root, filepath.FromSlash(path))
}

const piSample = "pi-mono/large-session.jsonl"

func importTo(t testing.TB, dir, format, path string) {
	t.Helper()
	f, err := convert.Named(format)
	if err != nil {
		t.Fatal(err)
	}
	if err := convert.Dataset(dir, datasets.Card{}, f, []string{path}, nil); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkBarPackedSize compares the five tables of a real pi session on disk
// with its contexts stored whole, a row for each call. The bar is 80 times
// smaller.
//
// Both sides use zstd at the same level and pages of 256 KB, and neither keeps
// statistics of content. The other side has nothing but a call's id and its
// context, ours has everything that is known of the session. The page size
// matters: a page that holds many contexts compresses well, since each repeats
// the one before it, and cannot be read without decompressing all of them. The
// figure for pages of 64 contexts is reported beside.
func BenchmarkBarPackedSize(b *testing.B) {
	path := samples(b, piSample)
	var session *schema.Session
	for s, err := range convert.Pi(path) {
		if err != nil {
			b.Fatal(err)
		}
		session = s
	}
	dir := filepath.Join(b.TempDir(), "dataset")
	importTo(b, dir, "pi", path)
	d, err := datasets.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	if n := len(d.Manifest().Files); n != 5 {
		b.Fatalf("the dataset has %d files, want five tables", n)
	}
	for b.Loop() {
		ours, whole := float64(d.StoredBytes()), wholeSize(b, session, 1)
		b.ReportMetric(80/(whole/ours), "x-of-bar")
		b.ReportMetric(whole/ours, "times-smaller")
		b.ReportMetric(ours, "packed-B")
		b.ReportMetric(whole, "whole-B")
		b.ReportMetric(wholeSize(b, session, 64), "whole-64-a-page-B")
	}
}

// wholeSize is the size of a session's contexts stored whole, so many to a page.
func wholeSize(b *testing.B, s *schema.Session, batch int) float64 {
	type row struct {
		CallID  string `parquet:"call_id"`
		Context string `parquet:"context"`
	}
	var size counter
	w := parquet.NewGenericWriter[row](&size,
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedBetterCompression}), parquet.PageBufferSize(256<<10),
		parquet.SkipPageStatistics("context"), parquet.SkipPageBounds("context"))
	var rows []row
	for i := range s.Calls {
		body, err := fold.Body(nil, s, &s.Calls[i])
		if err != nil {
			b.Fatal(err)
		}
		if rows = append(rows, row{s.Calls[i].CallID, string(body)}); len(rows) < batch && i+1 < len(s.Calls) {
			continue
		}
		if _, err := w.Write(rows); err != nil {
			b.Fatal(err)
		}
		rows = rows[:0]
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	return float64(size)
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// BenchmarkBarImportVerify imports a real pi session and verifies the dataset, on
// one core. The bar is 100 MB/s of logical context, which is the sum of all
// request bodies, through both together. Each runs in turn in every round.
func BenchmarkBarImportVerify(b *testing.B) {
	path := samples(b, piSample)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const rounds = 7
	for b.Loop() {
		var imports, verifies, both []float64
		for round := range rounds {
			dir := filepath.Join(b.TempDir(), fmt.Sprint("dataset", round))
			runtime.GC()
			start := time.Now()
			importTo(b, dir, "pi", path)
			imported := time.Since(start)
			start = time.Now()
			r, err := datasets.Verify(dir)
			verified := time.Since(start)
			if err != nil || !r.OK() || r.Bodies != 453 {
				b.Fatalf("Verify = %+v, %v", r, err)
			}
			mb := float64(r.LogicalBytes) / 1e6
			imports = append(imports, mb/imported.Seconds())
			verifies = append(verifies, mb/verified.Seconds())
			both = append(both, mb/(imported+verified).Seconds())
			os.RemoveAll(dir)
		}
		for _, v := range [][]float64{imports, verifies, both} {
			slices.Sort(v)
		}
		b.ReportMetric(100/both[rounds/2], "x-of-bar")
		b.ReportMetric(both[rounds/2], "MB/s")
		b.ReportMetric(both[0], "MB/s-min")
		b.ReportMetric(both[rounds-1], "MB/s-max")
		b.ReportMetric(imports[rounds/2], "import-MB/s")
		b.ReportMetric(verifies[rounds/2], "verify-MB/s")
	}
}
