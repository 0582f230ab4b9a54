package schema_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/capstan-bench/capstan/schema"
)

// page is a page taken apart: levels are never compressed, body is what is
// compressed in the file.
type page struct {
	format.PageHeader
	levels, body []byte
}

// repack takes every page of a file apart, has change alter it and gives a file
// whose checksums, sizes and offsets are true again: what an attacker makes, who
// needs no luck to get past a checksum. A body that change leaves alone or sets is
// compressed; raw, if it returns one, goes into the file in its place.
func repack(t testing.TB, content []byte, change func(column string, p *page) (raw []byte)) []byte {
	t.Helper()
	enc, _ := zstd.NewWriter(nil, zstd.WithZeroFrames(true))
	dec, _ := zstd.NewReader(nil)
	defer dec.Close()
	var compact thrift.CompactProtocol
	out := []byte("PAR1")
	return rewriteFooter(t, content, func(m *format.FileMetaData) {
		for g := range m.RowGroups {
			for c := range m.RowGroups[g].Columns {
				meta := &m.RowGroups[g].Columns[c].MetaData
				at := meta.DataPageOffset
				if meta.DictionaryPageOffset != 0 {
					at = meta.DictionaryPageOffset
					meta.DictionaryPageOffset = int64(len(out))
				}
				end := at + meta.TotalCompressedSize
				start := len(out)
				meta.TotalUncompressedSize = 0
				for first := true; at < end; {
					in := bytes.NewReader(content[at:end])
					var p page
					if err := thrift.NewDecoder(compact.NewReader(in)).Decode(&p.PageHeader); err != nil {
						t.Fatal(err)
					}
					body := content[end-int64(in.Len()):][:p.CompressedPageSize]
					at = end - int64(in.Len()) + int64(p.CompressedPageSize)
					d := &p.DataPageHeaderV2.V
					n := d.RepetitionLevelsByteLength + d.DefinitionLevelsByteLength
					p.levels = bytes.Clone(body[:n])
					var err error
					if p.body, err = dec.DecodeAll(body[n:], nil); err != nil {
						t.Fatal(err)
					}
					raw := change(strings.Join(meta.PathInSchema, "."), &p)
					if raw == nil {
						raw = enc.EncodeAll(p.body, nil)
					}
					whole := append(p.levels, raw...)
					if p.UncompressedPageSize >= 0 {
						p.UncompressedPageSize = int32(len(p.levels) + len(p.body))
					} else {
						p.UncompressedPageSize = -p.UncompressedPageSize
					}
					p.CompressedPageSize = int32(len(whole))
					p.CRC = int32(crc32.ChecksumIEEE(whole))
					if first && p.Type == format.DataPageV2 {
						meta.DataPageOffset, first = int64(len(out)), false
					}
					var head bytes.Buffer
					if err := thrift.NewEncoder(compact.NewWriter(&head)).Encode(&p.PageHeader); err != nil {
						t.Fatal(err)
					}
					meta.TotalUncompressedSize += int64(head.Len()) + int64(p.UncompressedPageSize)
					out = append(append(out, head.Bytes()...), whole...)
				}
				meta.TotalCompressedSize = int64(len(out) - start)
			}
		}
	}, &out)
}

// allocated is how many bytes do allocates.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// hostile reads a file and wants it refused, at the cost of few bytes.
func hostile[T any](t *testing.T, want string, content []byte) {
	t.Helper()
	path := t.TempDir() + "/hostile.parquet"
	overwrite(t, path, content)
	var err error
	if n := allocated(func() { _, err = read[T](path) }); n > 64<<20 {
		t.Errorf("%s: %d MB allocated for a file of %d bytes", want, n>>20, len(content))
	}
	refused(t, want, path, err, want)
}

// A file that was only taken apart and put together is sound.
func TestRepackIsSound(t *testing.T) {
	path := write(t, fullCall(0), bareCall(1), fullCall(2))
	content := repack(t, contentOf(t, path), func(string, *page) []byte { return nil })
	if rows, err := read[schema.Call](overwrite(t, path, content)); err != nil || len(rows) != 3 {
		t.Fatalf("got %d rows and error %v", len(rows), err)
	}
}

// zstdFrame is a frame with a stated size and blocks of one repeated byte.
func zstdFrame(claim uint64, blocks, each int) []byte {
	b := []byte{0x28, 0xb5, 0x2f, 0xfd, 3<<6 | 1<<5}
	b = binary.LittleEndian.AppendUint64(b, claim)
	for i := range blocks {
		word := uint32(each)<<3 | 1<<1
		if i == blocks-1 {
			word |= 1
		}
		b = append(b, byte(word), byte(word>>8), byte(word>>16), 'x')
	}
	return b
}

// What compressed pages claim, or turn into, is bounded by their headers, and the
// headers by the footer.
func TestReadRefusesCompressionBombs(t *testing.T) {
	whole := contentOf(t, write(t, fullBlob("some content"), blobOf("more")))
	f := func(want string, raw func(p *page) []byte) {
		t.Helper()
		hostile[schema.Blob](t, want, repack(t, whole, func(column string, p *page) []byte {
			if column != "content" {
				return nil
			}
			return raw(p)
		}))
	}
	f("zstd: the frame claims 1099511627776 bytes", func(*page) []byte { return zstdFrame(1<<40, 1, 10) })
	f("zstd: the frame claims 68719476736 bytes", func(*page) []byte { return zstdFrame(64<<30, 1, 10) })
	f("bytes beyond the frame", func(p *page) []byte {
		return append(zstdFrame(uint64(len(p.body)), 1, len(p.body)), zstdFrame(1<<30, 1<<13, 128<<10)...)
	})
	f("bytes before compression", func(p *page) []byte {
		p.UncompressedPageSize = -math.MaxInt32
		return zstdFrame(math.MaxInt32, 1<<14, 128<<10)
	})
	f("a block of", func(p *page) []byte { return zstdFrame(uint64(len(p.body)), 1, 1<<20) })
	f("does not state its size", func(*page) []byte {
		b := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3}
		return append(b, zstdFrame(0, 1<<13, 128<<10)[13:]...)
	})
	plain := func(p *page, raw []byte) []byte {
		p.DataPageHeaderV2.V.IsCompressed = thrift.Null[bool]{V: false, Valid: true}
		return raw
	}
	f("bytes without compression, the header says", func(p *page) []byte { return plain(p, append(p.body, 'x')) })
	f("a compressed body, the header says it is not", func(p *page) []byte {
		p.body = zstdFrame(100, 1, 100)
		return plain(p, p.body)
	})
	f("zstd", func(*page) []byte { return []byte("\x28\xb5\x2f\xfd") })
	f("zstd", func(*page) []byte { return []byte{} })
	f("without content", func(*page) []byte { return []byte("\x50\x2a\x4d\x18\x00\x00\x00\x00") })
	f("zstd", func(*page) []byte { return bytes.Repeat([]byte{0xff}, 40) })
}

// One column after the other may be as large as one text, but not all of them.
func TestReadRefusesLargeRowGroups(t *testing.T) {
	whole := contentOf(t, write(t, fullCall(0)))
	hostile[schema.Call](t, "bytes before compression", rewriteFooter(t, whole, func(m *format.FileMetaData) {
		for c := range m.RowGroups[0].Columns {
			m.RowGroups[0].Columns[c].MetaData.TotalUncompressedSize = 100 << 20
		}
	}))
	for _, rows := range []int64{200_001, math.MaxInt64} {
		hostile[schema.Call](t, fmt.Sprintf("row group 0: %d rows, want at most 200000", rows), rewriteFooter(t, whole, func(m *format.FileMetaData) {
			m.RowGroups[0].NumRows, m.NumRows = rows, rows
		}))
	}
}

// Counts within a body cost memory too: those of runs and of delta encodings.
func TestReadRefusesCountsWithinPages(t *testing.T) {
	blocks := contentOf(t, write(t, fullBlocks(), fullBlocks()))
	f := func(column, want string, change func(p *page)) {
		t.Helper()
		hostile[schema.PrefixBlocks](t, want, repack(t, blocks, func(c string, p *page) []byte {
			if c == column && p.Type == format.DataPageV2 {
				change(p)
			}
			return nil
		}))
	}
	run := func(count uint64, value ...byte) []byte { return append(binary.AppendUvarint(nil, count<<1), value...) }
	delta := func(count uint64) []byte {
		return append(binary.AppendUvarint([]byte{0x80, 0x01, 0x04}, count), 0x02)
	}
	f("call_index", "it claims 2147483647 values", func(p *page) { p.body = delta(math.MaxInt32) })
	f("call_index", "it claims 3 values, the header says 2", func(p *page) { p.body = delta(3) })
	f("call_index", "unexpected EOF", func(p *page) { p.body = []byte{0x80} })
	f("new_block_ids.list.element", "it claims", func(p *page) { p.body = delta(1 << 31) })
	f("session_id", "a run of 1073741824 values", func(p *page) { p.body = append([]byte{1}, run(1<<30, 0)...) })
	f("session_id", "a run of", func(p *page) { p.body = append([]byte{1}, bytes.Repeat(run(8, 0), 10)...) })
	f("session_id", "groups", func(p *page) { p.body = append([]byte{0}, binary.AppendUvarint(nil, 1<<62|1)...) })
	f("session_id", "values of 77 bits", func(p *page) { p.body = []byte{77, 2, 0} })
	f("parent_call_index", "levels: a run of 1073741824 values", func(p *page) {
		p.levels = run(1<<30, 1)
		p.DataPageHeaderV2.V.DefinitionLevelsByteLength = int32(len(p.levels))
	})
	f("new_block_ids.list.element", "levels: a run of", func(p *page) {
		d := &p.DataPageHeaderV2.V
		levels := run(1<<40, 1)
		p.levels = append(levels, p.levels[d.RepetitionLevelsByteLength:]...)
		d.RepetitionLevelsByteLength = int32(len(levels))
	})
}

// Arrow stores a page as it is where compressing does not pay.
func TestReadTakesPlainPages(t *testing.T) {
	rows := []schema.Call{fullCall(0), bareCall(1), fullCall(2)}
	content := repack(t, contentOf(t, write(t, rows...)), func(column string, p *page) []byte {
		d := &p.DataPageHeaderV2.V
		if p.Type != format.DataPageV2 || d.Encoding != format.Plain {
			return nil
		}
		d.IsCompressed = thrift.Null[bool]{V: false, Valid: true}
		return append([]byte{}, p.body...)
	})
	path := overwrite(t, t.TempDir()+"/plain.parquet", content)
	got, err := read[schema.Call](path)
	if diff := cmp.Diff(rows, got); err != nil || diff != "" {
		t.Errorf("got error %v and other rows:\n%s", err, diff)
	}
}

// parquet-go would misread them without an error.
func TestReadRefusesTruthValuesInRuns(t *testing.T) {
	content := repack(t, contentOf(t, write(t, fullCall(0), fullCall(1))), func(column string, p *page) []byte {
		if column == "stream" {
			p.DataPageHeaderV2.V.Encoding, p.body = format.RLE, []byte{2, 0, 0, 0, 2 << 1, 1}
		}
		return nil
	})
	hostile[schema.Call](t, "truth values in runs", content)
}

// flipBodies flips bits within the levels and the decompressed bodies of pages and
// makes all checksums true again. The rows may change; nothing may panic, hang or
// fill memory, and rows that come out are valid.
func flipBodies[T any](t *testing.T, seed uint64, count int, rows ...T) {
	t.Helper()
	path := write(t, rows...)
	whole := contentOf(t, path)
	r := rand.New(rand.NewPCG(seed, 7))
	errs := 0
	total := allocated(func() {
		for range count {
			broken := repack(t, whole, func(_ string, p *page) []byte {
				for _, b := range [][]byte{p.levels, p.body} {
					if len(b) > 0 && r.IntN(8) == 0 {
						b[r.IntN(min(len(b), 32))] ^= 1 << r.IntN(8)
					}
				}
				return nil
			})
			if _, err := read[T](overwrite(t, path, broken)); err != nil {
				errs++
				if msg := err.Error(); !strings.Contains(msg, path) || strings.Contains(msg, "\n") {
					t.Errorf("error %q", msg)
				}
			}
		}
	})
	t.Logf("%T: %d of %d refused, %d KB allocated each", rows[0], errs, count, total/uint64(count)>>10)
	if each := total / uint64(count); each > 16<<20 {
		t.Errorf("%d MB allocated for each file, want 16 at most", each>>20)
	}
}

func TestBitFlipsWithTrueChecksums(t *testing.T) {
	flipBodies(t, 1, 40, fullCall(0), bareCall(1), fullCall(2))
	flipBodies(t, 2, 40, fullItem(0), fullItem(1), fullItem(2))
	flipBodies(t, 3, 40, fullBlob("some content"), blobOf(strings.Repeat("more ", 100)))
	flipBodies(t, 4, 40, fullTrajectory())
	flipBodies(t, 5, 40, fullToolCall(), fullToolCall())
	flipBodies(t, 6, 40, fullBlocks(), fullBlocks())
}

// A row that no reader would take is refused when it is written.
func TestWriteRefusesHugeRows(t *testing.T) {
	c := bareCall(0)
	c.ChunkOffsetsUS = make([]int64, 1<<25+1)
	w, err := schema.NewWriter[schema.Call](t.TempDir()+"/a.parquet", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	wants(t, w.Write([]schema.Call{c}), "want at most 268435456")
}
