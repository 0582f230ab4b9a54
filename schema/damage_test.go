package schema_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/capstan-bench/capstan/schema"
	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/compress/brotli"
	"github.com/parquet-go/parquet-go/compress/gzip"
	"github.com/parquet-go/parquet-go/compress/lz4"
	"github.com/parquet-go/parquet-go/compress/snappy"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// refused checks that err is a CorruptError of one line that names the file and
// holds want.
func refused(t *testing.T, what, path string, err error, want string) {
	t.Helper()
	var c *schema.CorruptError
	if !errors.As(err, &c) || c.File != path {
		t.Errorf("%s: got error %v, want a CorruptError for %s", what, err, path)
		return
	}
	if msg := err.Error(); !strings.Contains(msg, path) || !strings.Contains(msg, want) || strings.Contains(msg, "\n") {
		t.Errorf("%s: got error %q, want %q in one line that names the file", what, msg, want)
	}
}

func contentOf(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// overwrite gives the file at path new content and returns path.
func overwrite(t testing.TB, path string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadRefusesWhatIsNoTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.parquet")
	f := func(content, want string) {
		t.Helper()
		_, err := read[schema.Item](overwrite(t, path, []byte(content)))
		refused(t, fmt.Sprintf("%.20q", content), path, err, want)
	}
	f("", "the file is empty")
	f("PAR1", "not a Parquet file: 4 bytes")
	f("PAR1PAR1", "not a Parquet file: 8 bytes")
	f(strings.Repeat("{}", 50), "not a Parquet file: it does not begin with PAR1")
	f("PAR1"+strings.Repeat("x", 50), "cut off or never closed")
	f("PAR1\x00\x00\x00\x00PAR1", "footer")
	f("PAR1\xff\xff\xff\x7fPAR1", "footer of 2147483647 bytes in a file of 12")
	// A list of 2^31 structs, and one that nests without end.
	f("PAR1"+frame("\x29\xfc\xff\xff\xff\xff\x07"), "unexpected EOF")
	f("PAR1"+frame("\x29"+strings.Repeat("\x19", 1000)), "nest deeper")

	if _, err := read[schema.Item](filepath.Join(t.TempDir(), "absent.parquet")); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "absent.parquet") {
		t.Errorf("absent file: got error %v", err)
	}
	if _, err := read[schema.Item](t.TempDir()); err == nil {
		t.Error("a folder: got no error")
	}
}

// frame puts a footer between its length and the magic.
func frame(footer string) string {
	return footer + string(binary.LittleEndian.AppendUint32(nil, uint32(len(footer)))) + "PAR1"
}

// The footer comes last, so no file that was cut off can be read.
func TestReadRefusesCutFiles(t *testing.T) {
	path := write(t, fullCall(0), fullCall(1))
	whole := contentOf(t, path)
	for n := 0; n < len(whole); n += 1 + n/200 {
		_, err := read[schema.Call](overwrite(t, path, whole[:n]))
		refused(t, fmt.Sprintf("the first %d of %d bytes", n, len(whole)), path, err, "")
	}
	_, err := read[schema.Call](overwrite(t, path, append(whole, 'x')))
	refused(t, "a byte too many", path, err, "")
}

// A file whose writer was never closed is not there at all; its temporary file
// cannot be read.
func TestUnclosedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blobs.parquet")
	w, err := schema.NewWriter[schema.Blob](path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	// Enough for a whole row group to be on disk.
	text := strings.Repeat(noise(rand.New(rand.NewPCG(11, 12)), 100_000), 700)
	if err := w.Write([]schema.Blob{blobOf(text)}); err != nil {
		t.Fatal(err)
	}
	if err := w.EndSession(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("before Close: Stat gives %v, want no such file", err)
	}
	_, err = read[schema.Blob](path + ".tmp")
	refused(t, "unclosed", path+".tmp", err, "cut off or never closed")
}

// rewriteFooter decodes a file's footer, changes it and puts it back, behind
// pages if they are given.
func rewriteFooter(t testing.TB, content []byte, change func(*format.FileMetaData), pages ...*[]byte) []byte {
	t.Helper()
	size := int(binary.LittleEndian.Uint32(content[len(content)-8:]))
	footer := content[len(content)-8-size : len(content)-8]
	var compact thrift.CompactProtocol
	var meta format.FileMetaData
	if err := thrift.NewDecoder(compact.NewReaderFromBytes(footer)).Decode(&meta); err != nil {
		t.Fatal(err)
	}
	change(&meta)
	var b bytes.Buffer
	if err := thrift.NewEncoder(compact.NewWriter(&b)).Encode(&meta); err != nil {
		t.Fatal(err)
	}
	if len(pages) > 0 {
		return append(*pages[0], frame(b.String())...)
	}
	return append(bytes.Clone(content[:len(content)-8-size]), frame(b.String())...)
}

// Codecs are refused from the footer: here the pages are destroyed, so an error
// that speaks of the codec came before any page was looked at.
func TestReadRefusesCodecsWithoutReading(t *testing.T) {
	path := write(t, fullItem(0), fullItem(1))
	whole := contentOf(t, path)
	groups := openParquet(t, path).Metadata().RowGroups[0]
	clear(whole[4 : 4+groups.TotalCompressedSize])
	for codec := format.CompressionCodec(-3); codec < 20; codec++ {
		broken := rewriteFooter(t, whole, func(m *format.FileMetaData) {
			m.RowGroups[0].Columns[3].MetaData.Codec = codec
		})
		_, err := read[schema.Item](overwrite(t, path, broken))
		want := fmt.Sprintf("column role: codec %v is not allowed", codec)
		if codec == format.Zstd || codec == format.Uncompressed {
			want = "page at" // gets as far as the first header
		}
		refused(t, codec.String(), path, err, want)
	}
}

func TestReadRefusesFilesOfOtherCodecs(t *testing.T) {
	for _, codec := range []compress.Codec{&lz4.Codec{}, &snappy.Codec{}, &gzip.Codec{}, &brotli.Codec{}} {
		path := filepath.Join(t.TempDir(), "other.parquet")
		writePlain(t, path, []schema.Item{fullItem(0)}, parquet.Compression(codec))
		_, err := read[schema.Item](path)
		refused(t, codec.String(), path, err, "is not allowed")
	}
}

// The footer lies, one field at a time.
func TestReadRefusesLyingFooters(t *testing.T) {
	path := write(t, fullItem(0), fullItem(1))
	whole := contentOf(t, path)
	f := func(want string, change func(m *format.FileMetaData, c *format.ColumnMetaData)) {
		t.Helper()
		broken := rewriteFooter(t, whole, func(m *format.FileMetaData) { change(m, &m.RowGroups[0].Columns[1].MetaData) })
		_, err := read[schema.Item](overwrite(t, path, broken))
		refused(t, want, path, err, want)
	}
	f("row groups have 2 rows, the file has 3", func(m *format.FileMetaData, _ *format.ColumnMetaData) { m.NumRows++ })
	f("pages have 2 rows, the row group has 1", func(m *format.FileMetaData, _ *format.ColumnMetaData) {
		m.NumRows--
		m.RowGroups[0].NumRows--
	})
	f("pages have 2 values, the footer says 3", func(_ *format.FileMetaData, c *format.ColumnMetaData) { c.NumValues++ })
	f("pages have 0 nulls, the footer says 1", func(_ *format.FileMetaData, c *format.ColumnMetaData) { c.Statistics.NullCount++ })
	f("bytes, the footer says", func(_ *format.FileMetaData, c *format.ColumnMetaData) { c.TotalUncompressedSize-- })
	f("its chunk cannot lie at", func(_ *format.FileMetaData, c *format.ColumnMetaData) { c.TotalCompressedSize = 1 << 40 })
	f("its chunk cannot lie at", func(_ *format.FileMetaData, c *format.ColumnMetaData) { c.TotalCompressedSize = -1 })
	f("its chunk cannot lie at", func(_ *format.FileMetaData, c *format.ColumnMetaData) { c.DataPageOffset = -8 })
	f("page at", func(_ *format.FileMetaData, c *format.ColumnMetaData) {
		c.DataPageOffset++
		c.TotalCompressedSize--
	})
	f("the first, the footer says", func(m *format.FileMetaData, _ *format.ColumnMetaData) {
		m.RowGroups[0].Columns[0].MetaData.DataPageOffset += 3 // behind a dictionary
	})
	f("its chunk cannot lie at", func(m *format.FileMetaData, _ *format.ColumnMetaData) {
		m.RowGroups[0].Columns[8].MetaData = m.RowGroups[0].Columns[2].MetaData
		m.RowGroups[0].Columns[8].MetaData.PathInSchema = []string{"tool_call_id"}
	})
	f("calls itself", func(_ *format.FileMetaData, c *format.ColumnMetaData) { c.PathInSchema[0] = "item_indey" })
	f(`column "rol\xff\n\x1b[2J": its chunk`, func(m *format.FileMetaData, _ *format.ColumnMetaData) {
		m.Schema[4].Name = "rol\xff\n\x1b[2J" // a nullable column
	})
	f("lies in another file", func(m *format.FileMetaData, _ *format.ColumnMetaData) {
		m.RowGroups[0].Columns[0].FilePath = "/etc/passwd"
	})
	f("encoding", func(_ *format.FileMetaData, c *format.ColumnMetaData) { c.Encoding[0] = format.DeltaByteArray })
	f("not have enough columns", func(m *format.FileMetaData, _ *format.ColumnMetaData) {
		m.RowGroups[0].Columns = m.RowGroups[0].Columns[:10]
	})
}

// flips reads a file with one bit changed at a time. None of it may panic, take
// much memory, or change a row unseen.
func flips[T any](t *testing.T, seed uint64, count int, rows ...T) {
	t.Helper()
	path := write(t, rows...)
	whole := contentOf(t, path)
	footer := int(binary.LittleEndian.Uint32(whole[len(whole)-8:])) + 8
	r := rand.New(rand.NewPCG(seed, 99))
	var errs, changed int
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range count {
		bit := r.IntN(len(whole) * 8)
		if i%2 == 0 { // half of them in the footer, which has no checksum
			bit = (len(whole)-footer)*8 + r.IntN(footer*8)
		}
		whole[bit/8] ^= 1 << (bit % 8)
		got, err := read[T](overwrite(t, path, whole))
		whole[bit/8] ^= 1 << (bit % 8)
		if err != nil {
			errs++
			if msg := err.Error(); !strings.Contains(msg, path) || strings.Contains(msg, "\n") {
				t.Errorf("bit %d: error %q", bit, msg)
			}
			continue
		}
		if diff := cmp.Diff(rows, got); diff != "" {
			changed++
			t.Errorf("bit %d of %d: the rows changed without an error:\n%s", bit, len(whole)*8, diff)
		}
	}
	runtime.ReadMemStats(&after)
	each := (after.TotalAlloc - before.TotalAlloc) / uint64(count)
	t.Logf("%T: %d flips in %d bytes: %d errors, %d without effect, %d unseen, %d KB allocated each",
		rows[0], count, len(whole), errs, count-errs-changed, changed, each>>10)
	if each > 4<<20 {
		t.Errorf("%d MB allocated for each flip, want 4 at most", each>>20)
	}
}

func TestBitFlips(t *testing.T) {
	flips(t, 1, 500, fullCall(0), bareCall(1), fullCall(2))
	flips(t, 2, 300, fullItem(0), fullItem(1), fullItem(2))
	flips(t, 3, 300, fullBlob("some content"), blobOf(strings.Repeat("more ", 100)))
	flips(t, 4, 300, fullTrajectory())
	flips(t, 5, 300, fullToolCall(), fullToolCall())
	flips(t, 6, 300, fullBlocks(), fullBlocks())
	flips(t, 7, 300, fullSample(), fullSample())
}
