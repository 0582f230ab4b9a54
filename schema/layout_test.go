package schema_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/capstan-bench/capstan/schema"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
)

// openParquet opens a file with the library, so that tests see what other
// readers see.
func openParquet(t testing.TB, path string) *parquet.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	p, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// chunk returns the footer's entry of a column in a row group.
func chunk(t testing.TB, f *parquet.File, group int, column string) *format.ColumnMetaData {
	t.Helper()
	columns := f.Metadata().RowGroups[group].Columns
	for i := range columns {
		if strings.Join(columns[i].MetaData.PathInSchema, ".") == column {
			return &columns[i].MetaData
		}
	}
	t.Fatalf("no column %s", column)
	return nil
}

// framing returns how many bytes of a file are neither page bodies nor magic:
// page headers, indexes, bloom filters and footer.
func framing(t testing.TB, path string) int64 {
	t.Helper()
	f := openParquet(t, path)
	frame := f.Size()
	for _, g := range f.RowGroups() {
		for _, c := range g.ColumnChunks() {
			pages := c.Pages()
			for {
				p, err := pages.ReadPage()
				if err != nil {
					break
				}
				parquet.Release(p)
			}
			pages.Close()
		}
	}
	for g := range f.Metadata().RowGroups {
		frame -= f.Metadata().RowGroups[g].TotalCompressedSize
	}
	return frame
}

// Without the settings, the smallest and the largest text of each page and
// column go in full into page headers and footer.
func TestFatColumnsHaveNoStatistics(t *testing.T) {
	rows := make([]schema.Blob, 40)
	for i := range rows {
		rows[i] = blobOf(fmt.Sprint(i) + strings.Repeat("text that compresses well ", 4_000))
	}
	ours := write(t, rows...)
	theirs := filepath.Join(t.TempDir(), "default.parquet")
	writePlain(t, theirs, rows)

	small, large := framing(t, ours), framing(t, theirs)
	t.Logf("footer and indexes of 40 blobs of 100 KB: %d bytes, %d with default settings", small, large)
	if small > 5_000 || large < 200_000 {
		t.Errorf("footer and indexes take %d bytes (%d with default settings), want 5000 at most (at least 200000)", small, large)
	}
	// The page headers too: what is left of the file is compressed text.
	if n := openParquet(t, ours).Size(); n > 20_000 {
		t.Errorf("the file has %d bytes, want 20000 at most", n)
	}
}

// Every text column is either known to be short, or has no statistics: this
// writes 5,000 bytes into each and looks for them in the footer.
func TestLongTextNeverReachesTheFooter(t *testing.T) {
	long := strings.Repeat("long text ", 500)
	f := func(path string, columns ...string) {
		t.Helper()
		file := openParquet(t, path)
		for _, column := range columns {
			s := chunk(t, file, 0, column).Statistics
			if n := len(s.MinValue) + len(s.MaxValue) + len(s.Min) + len(s.Max); n > 0 {
				t.Errorf("%s: %d bytes of bounds in the footer", column, n)
			}
		}
		if n := framing(t, path); n > 25_000 {
			t.Errorf("%s: headers, indexes and footer take %d bytes", columns, n)
		}
	}
	call := fullCall(0)
	call.RequestParamsJSON, call.UsageJSON, call.ExtraJSON, call.ToolChoice = &long, &long, &long, &long
	call.Patches[0].Ins = long
	f(write(t, call), "request_params_json", "usage_json", "extra_json", "tool_choice", "patches.list.element.ins")
	tool := fullToolCall()
	tool.ExtraJSON = &long
	f(write(t, tool), "extra_json")
	trajectory := fullTrajectory()
	trajectory.ExtraJSON, trajectory.Title = &long, &long
	f(write(t, trajectory), "extra_json", "title")
	sample := fullSample()
	sample.ErrorText = &long
	f(write(t, sample), "error_text")
	f(write(t, blobOf(long)), "content")
}

// A new text column must be put on one side or the other.
func TestTextColumnsAreFatOrShort(t *testing.T) {
	short := strings.Fields(`call_id response_id trajectory_id spawned_by_tool_call_id task_id tool_call_id content_sha256
		request_body_sha256 response_body_sha256 models.list.element tags.list.element`)
	fat := strings.Fields(`title extra_json tool_choice request_params_json patches.list.element.ins usage_json content error_text`)
	for name, row := range rowTypes() {
		s := parquet.SchemaOf(reflect.New(row).Interface())
		for _, path := range s.Columns() {
			leaf, _ := s.Lookup(path...)
			column := strings.Join(path, ".")
			if leaf.Node.Type().Kind() != parquet.ByteArray {
				continue
			}
			e := leaf.Node.Encoding()
			isDict := e != nil && e.Encoding() == format.RLEDictionary
			if !isDict && !slices.Contains(short, column) && !slices.Contains(fat, column) {
				t.Errorf("%s.%s: text that is neither a dictionary, nor known to be short, nor without statistics", name, column)
			}
			if isDict && slices.Contains(fat, column) && column != "tool_choice" {
				t.Errorf("%s.%s: long text in a dictionary", name, column)
			}
		}
	}
}

// writePlain writes rows as the library does when told nothing.
func writePlain[T any](t testing.TB, path string, rows []T, options ...parquet.WriterOption) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	options = append([]parquet.WriterOption{parquet.Compression(&zstd.Codec{})}, options...)
	w := parquet.NewGenericWriter[T](f, options...)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// The library compares a page's size with its limit only once for each call of
// Write, so 64 rows of 20 KB would make a page of 1.3 MB.
func TestPagesStaySmall(t *testing.T) {
	const rowBytes, limit = 20_000, 256<<10 + 20_100
	r := rand.New(rand.NewPCG(9, 10))
	rows := make([]schema.Blob, 200)
	for i := range rows {
		rows[i] = blobOf(noise(r, rowBytes))
	}
	path := filepath.Join(t.TempDir(), "blobs.parquet")
	w, err := schema.NewWriter[schema.Blob](path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	largest, pages := largestPage(t, path)
	theirs := filepath.Join(t.TempDir(), "default.parquet")
	writePlain(t, theirs, rows)
	default_, _ := largestPage(t, theirs)
	t.Logf("rows of %d bytes: %d pages of at most %d bytes; %d when written at once", rowBytes, pages, largest, default_)
	if largest > limit || pages < 10 {
		t.Errorf("got %d pages of at most %d bytes, want at most %d", pages, largest, limit)
	}
	if default_ <= limit {
		t.Errorf("the library keeps to %d bytes by itself now: the rule of one row a call can go", default_)
	}
}

func largestPage(t testing.TB, path string) (largest int64, pages int) {
	t.Helper()
	f := openParquet(t, path)
	for _, g := range f.RowGroups() {
		leaf, _ := f.Schema().Lookup("content")
		r := g.ColumnChunks()[leaf.ColumnIndex].Pages()
		defer r.Close()
		for {
			p, err := r.ReadPage()
			if err != nil {
				break
			}
			largest = max(largest, p.Size())
			pages++
			parquet.Release(p)
		}
	}
	return largest, pages
}

func groupsOf(t testing.TB, path string) (rows []int64) {
	t.Helper()
	for _, g := range openParquet(t, path).Metadata().RowGroups {
		rows = append(rows, g.NumRows)
	}
	return rows
}

// The library holds a row group in memory until told to end it.
func TestRowGroupsEndAtSessionBorders(t *testing.T) {
	// f writes sessions of so many rows of so many bytes each.
	f := func(rowBytes int, sessions []int, want ...int64) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "blobs.parquet")
		w, err := schema.NewWriter[schema.Blob](path, nil)
		if err != nil {
			t.Fatal(err)
		}
		row := blobOf(strings.Repeat("a", rowBytes))
		for _, n := range sessions {
			for range n {
				if err := w.Write([]schema.Blob{row}); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.EndSession(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got := groupsOf(t, path); !slices.Equal(got, want) {
			t.Errorf("sessions %v of %d bytes a row: row groups of %v rows, want %v", sessions, rowBytes, got, want)
		}
	}
	const mb = 1 << 20
	f(8*mb, []int{5, 5, 5}, 10, 5)             // past 64 MB at the second border
	f(8*mb, []int{20, 1}, 16, 5)               // one session past 128 MB is split
	f(1, []int{60_000, 60_000, 9}, 120_000, 9) // past 100,000 rows at the second border
	f(1, []int{200_001}, 200_000, 1)           // past 200,000 rows within a session
}

// Peak memory follows the row group, not the file.
func TestMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 160 MB of text")
	}
	path := filepath.Join(t.TempDir(), "blobs.parquet")
	w, err := schema.NewWriter[schema.Blob](path, nil)
	if err != nil {
		t.Fatal(err)
	}
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	heap() // empties the pools that earlier tests filled
	base, peak := heap(), int64(0)
	look := func() { peak = max(peak, heap()-base) }
	text := strings.Repeat("some text that compresses, ", 20_000)
	for i := range 300 {
		if err := w.Write([]schema.Blob{blobOf(fmt.Sprint(i, text))}); err != nil {
			t.Fatal(err)
		}
		if err := w.EndSession(); err != nil {
			t.Fatal(err)
		}
		if i%20 == 0 {
			look()
		}
	}
	stat, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	written := peak
	peak = 0
	n := 0
	for _, err := range schema.Read[schema.Blob](path) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n%20 == 0 {
			look()
		}
	}
	t.Logf("heap: at most %d MB writing, %d MB reading %d rows in %d bytes", written>>20, peak>>20, n, stat.Bytes)
	if written > 100<<20 || peak > 100<<20 {
		t.Errorf("heap: %d MB writing, %d MB reading, want less than 100 for 160 MB of text", written>>20, peak>>20)
	}
}

func TestBloomFilters(t *testing.T) {
	f := func(path, column string, has, hasNot string) {
		t.Helper()
		file := openParquet(t, path)
		leaf, _ := file.Schema().Lookup(column)
		bloom := file.RowGroups()[0].ColumnChunks()[leaf.ColumnIndex].BloomFilter()
		if bloom == nil {
			t.Errorf("%s: no bloom filter", column)
			return
		}
		for value, want := range map[string]bool{has: true, hasNot: false} {
			if got, err := bloom.Check(parquet.ValueOf(value)); err != nil || got != want {
				t.Errorf("%s: Check(%s) = %v, %v, want %v", column, value, got, err, want)
			}
		}
	}
	blobs := write(t, blobOf("a"), blobOf("b"))
	f(blobs, "content_sha256", hashOf("b"), hashOf("c"))
	calls := write(t, fullCall(0), bareCall(1), fullCall(2))
	f(calls, "call_id", "call-2", "call-3")
	f(calls, "response_id", "r2", "r1")
}

// Codec, page kind, metadata and encodings are what FORMAT.md promises.
func TestFileSettings(t *testing.T) {
	path := write(t, fullCall(0), fullCall(1))
	f := openParquet(t, path)
	for key, want := range map[string]string{"schema_name": "calls", "schema_version": schema.Version, "producer": "capstan"} {
		if got, _ := f.Lookup(key); got != want {
			t.Errorf("metadata %s = %q, want %q", key, got, want)
		}
	}
	if got, want := f.Metadata().CreatedBy, "capstan version "+schema.Version+"(build )"; got != want {
		t.Errorf("created_by = %q, want %q", got, want)
	}
	for _, c := range f.Metadata().RowGroups[0].Columns {
		if c.MetaData.Codec != format.Zstd {
			t.Errorf("%v: codec %v, want ZSTD", c.MetaData.PathInSchema, c.MetaData.Codec)
		}
	}
	for column, want := range map[string]format.Encoding{
		"call_index": format.DeltaBinaryPacked, "chunk_offsets_us.list.element": format.DeltaBinaryPacked,
		"session_id": format.RLEDictionary, "extra_json": format.DeltaLengthByteArray,
	} {
		if got := chunk(t, f, 0, column).Encoding; !slices.Contains(got, want) {
			t.Errorf("%s: encodings %v, want %v", column, got, want)
		}
	}
}
