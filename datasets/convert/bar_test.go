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
// context, ours has everything that is known of the session.
//
// The page size decides. With one context to a page, a context can be read
// without the others, as it can from ours, and nothing is shared between them. A
// page of many contexts compresses well, since each repeats the one before it,
// and has to be decompressed up to the one that is wanted. The figures for pages
// of 64 contexts are reported beside; they are no part of the bar. Sizes do not
// vary from round to round, which the range shows.
//
// Other writers, on this session (pyarrow 26, no dictionary, no statistics): one
// context to a page at level 3 takes 28.4 MB. Its default of one page for all 453
// takes 11.6 MB at level 1, and 0.2 MB at level 3, less than our tables do: the
// price is to decompress 170 MB for any one context.
func BenchmarkBarPackedSize(b *testing.B) {
	const bar, rounds = 80.0, 5
	path := samples(b, piSample)
	var ours, whole, ratio []float64
	var paged float64
	for b.Loop() {
		for round := range rounds {
			session, packed := pack(b, filepath.Join(b.TempDir(), fmt.Sprint("dataset", round)), path)
			w := wholeSize(b, session, 1)
			ours, whole, ratio = append(ours, packed), append(whole, w), append(ratio, w/packed)
			if round == 0 {
				paged = wholeSize(b, session, 64)
			}
		}
	}
	mid := spread(b, ratio, "times-smaller")
	b.ReportMetric(bar/mid, "x-of-bar")
	b.ReportMetric(median(ours), "packed-B")
	b.ReportMetric(median(whole), "whole-B")
	b.ReportMetric(paged, "whole-64-a-page-B")
	b.ReportMetric(paged/median(ours), "times-smaller-than-64-a-page")
}

// pack imports a session into a dataset and returns it with the size of the
// tables.
func pack(b *testing.B, dir, path string) (*schema.Session, float64) {
	importTo(b, dir, "pi", path)
	d, err := datasets.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	if n := len(d.Manifest().Files); n != 5 {
		b.Fatalf("the dataset has %d files, want five tables", n)
	}
	for s, err := range d.Sessions() {
		if err != nil {
			b.Fatal(err)
		}
		return s, float64(d.StoredBytes())
	}
	b.Fatal("the dataset holds no session")
	return nil, 0
}

// spread reports the median and the range of figures, and returns the median. It
// sorts them.
func spread(b *testing.B, figures []float64, unit string) float64 {
	mid := median(figures)
	b.ReportMetric(mid, unit)
	b.ReportMetric(figures[0], unit+"-min")
	b.ReportMetric(figures[len(figures)-1], unit+"-max")
	return mid
}

func median(figures []float64) float64 {
	slices.Sort(figures)
	return figures[len(figures)/2]
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

// BenchmarkBarImportVerify imports a real pi session and verifies the dataset. The
// bar is 100 MB/s of a core, of logical context, which is the sum of all request
// bodies, through both together. Each runs in turn in every round.
//
// Time is the processor's, of the whole process, so that whatever else the
// machine does counts as little as it can and nothing runs beside for free. What
// the clock on the wall says is reported beside it.
func BenchmarkBarImportVerify(b *testing.B) {
	const bar, rounds = 100.0, 7
	path := samples(b, piSample)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var imports, verifies, both, walls []float64
	for b.Loop() {
		for round := range rounds {
			dir := filepath.Join(b.TempDir(), fmt.Sprint("dataset", round))
			runtime.GC()
			start, from := time.Now(), cpu(b)
			importTo(b, dir, "pi", path)
			imported := cpu(b) - from
			r, err := datasets.Verify(dir)
			used, wall := cpu(b)-from, time.Since(start)
			if err != nil || !r.OK() || r.Bodies != 453 {
				b.Fatalf("Verify = %+v, %v", r, err)
			}
			mb := float64(r.LogicalBytes) / 1e6
			imports = append(imports, mb/imported.Seconds())
			verifies = append(verifies, mb/(used-imported).Seconds())
			both = append(both, mb/used.Seconds())
			walls = append(walls, mb/wall.Seconds())
			os.RemoveAll(dir)
		}
	}
	mid := spread(b, both, "MB/cpu-s")
	b.ReportMetric(bar/mid, "x-of-bar")
	b.ReportMetric(median(imports), "import-MB/cpu-s")
	b.ReportMetric(median(verifies), "verify-MB/cpu-s")
	b.ReportMetric(median(walls), "wall-MB/s")
}
