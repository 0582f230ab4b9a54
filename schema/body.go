package schema

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
)

// maxBlock is the most that one block of a zstd frame decodes to.
const maxBlock = 128 << 10

// zstdMagic is what a frame of zstd begins with.
var zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}

// checkBody looks into the body of a page, which begins at offset at, for claims
// of more values or bytes than the header makes. Headers and checksums can be
// true of such a body, and decoders allocate by its claims before they compare.
func (p *pages) checkBody(r io.ReaderAt, h *format.PageHeader, at int64) error {
	size, plain := int64(h.CompressedPageSize), int64(h.UncompressedPageSize)
	d := &h.DataPageHeaderV2.V // zero for a dictionary
	for _, levels := range []struct {
		bytes int32
		top   int
	}{{d.RepetitionLevelsByteLength, p.maxRepetition}, {d.DefinitionLevelsByteLength, p.maxDefinition}} {
		b := make([]byte, levels.bytes)
		if _, err := r.ReadAt(b, at); err != nil {
			return err
		}
		if err := checkRuns(b, uint(bits.Len(uint(levels.top))), uint64(d.NumValues)); err != nil {
			return fmt.Errorf("levels: %w", err)
		}
		at, size, plain = at+int64(levels.bytes), size-int64(levels.bytes), plain-int64(levels.bytes)
	}
	values := uint64(d.NumValues - d.NumNulls)
	if p.meta.Codec == format.Zstd && !(d.IsCompressed.Valid && !d.IsCompressed.V) {
		return checkZstd(r, at, size, plain, d.Encoding, values)
	}
	if size != plain {
		return fmt.Errorf("%d bytes without compression, the header says %d", size, plain)
	}
	b := make([]byte, size)
	if _, err := r.ReadAt(b, at); err != nil {
		return err
	}
	if bytes.HasPrefix(b, zstdMagic) {
		return errors.New("a compressed body, the header says it is not") // no value begins so
	}
	return checkEncoded(b, d.Encoding, values)
}

// checkZstd checks the frame at [at, at+size), and what the values in it claim.
func checkZstd(r io.ReaderAt, at, size, plain int64, e format.Encoding, values uint64) error {
	if size == 0 && plain == 0 && values == 0 {
		return nil
	}
	first, err := frame(r, at, size, plain)
	if err != nil {
		return fmt.Errorf("zstd: %w", err)
	}
	var b []byte
	switch e {
	case format.Plain:
		return nil
	case format.RLEDictionary: // runs stand up to the end
		b = make([]byte, size)
		if _, err := r.ReadAt(b, at); err != nil {
			return err
		}
	default: // the count stands at the start
		b = first
	}
	if b, err = inflater().DecodeAll(b, nil); err != nil {
		return fmt.Errorf("zstd: %w", err)
	}
	return checkEncoded(b, e, values)
}

// inflater decodes frames that were checked. It is for any number of goroutines.
var inflater = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0))
	if err != nil {
		panic("schema: internal error: " + err.Error()) // the options are constant
	}
	return d
})

// frame checks that [at, at+size) is one zstd frame that decodes to plain bytes
// at most: that it says so, or is one block. The decoder allocates what a frame
// claims, and decodes frames that follow as well. first is a frame of the first
// block only.
//
// The format: RFC 8878, section 3.1.1.
func frame(r io.ReaderAt, at, size, plain int64) (first []byte, err error) {
	head := make([]byte, min(size, zstd.HeaderMaxSize))
	if _, err := r.ReadAt(head, at); err != nil {
		return nil, err
	}
	var h zstd.Header
	if err := h.Decode(head); err != nil {
		return nil, err
	}
	switch {
	case h.Skippable || h.DictionaryID != 0:
		return nil, errors.New("a frame without content, or with a dictionary of its own")
	case h.HasFCS && h.FrameContentSize != uint64(plain):
		return nil, fmt.Errorf("the frame claims %d bytes, the page has %d", h.FrameContentSize, plain)
	}
	end := at + size
	at += int64(h.HeaderSize)
	for blocks := 1; ; blocks++ {
		var b [3]byte
		if end-at < int64(len(b)) {
			return nil, io.ErrUnexpectedEOF
		}
		if _, err := r.ReadAt(b[:], at); err != nil {
			return nil, err
		}
		word := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
		last, kind, length := word&1 == 1, word>>1&3, int64(word>>3)
		stored := length
		if kind == 1 { // one byte, repeated
			stored = 1
		}
		if kind == 3 || length > maxBlock || stored > end-at-int64(len(b)) {
			return nil, fmt.Errorf("a block of %d bytes", length)
		}
		if !h.HasFCS && (blocks > 1 || !last) {
			return nil, errors.New("a frame of several blocks that does not state its size")
		}
		if blocks == 1 {
			if first, err = oneBlock(r, at, int64(len(b))+stored); err != nil {
				return nil, err
			}
		}
		if at += int64(len(b)) + stored; last {
			break
		}
	}
	if h.HasCheckSum {
		at += 4
	}
	if at != end {
		return nil, fmt.Errorf("%d bytes beyond the frame", end-at)
	}
	return first, nil
}

// oneBlock puts the block at [at, at+size) into a frame of its own, with a window
// of maxBlock and no stated size.
func oneBlock(r io.ReaderAt, at, size int64) ([]byte, error) {
	head := append(bytes.Clone(zstdMagic), 0, 7<<3)
	b := append(head, make([]byte, size)...)
	if _, err := r.ReadAt(b[len(head):], at); err != nil {
		return nil, err
	}
	b[len(head)] |= 1 // the last one
	return b, nil
}

// checkEncoded checks how many values encoded bytes claim to hold.
func checkEncoded(b []byte, e format.Encoding, values uint64) error {
	if len(b) == 0 && values == 0 {
		return nil
	}
	switch e {
	case format.RLEDictionary:
		if len(b) == 0 {
			return io.ErrUnexpectedEOF
		}
		return checkRuns(b[1:], uint(b[0]), values)
	case format.DeltaBinaryPacked, format.DeltaLengthByteArray:
		return checkDelta(b, values)
	}
	return nil
}

// checkRuns walks over runs of values of the given width in bits, in Parquet's
// hybrid of run lengths and bit packing, and refuses more than values, but for
// what fills up the last group of 8.
func checkRuns(b []byte, width uint, values uint64) error {
	if width > 32 {
		return fmt.Errorf("values of %d bits", width)
	}
	room := values + 7
	for len(b) > 0 {
		u, n := binary.Uvarint(b)
		if n <= 0 {
			return io.ErrUnexpectedEOF
		}
		b = b[n:]
		count, bytes := u>>1, uint64(width+7)/8
		if u&1 == 1 { // groups of 8, packed
			if count > room/8 {
				return fmt.Errorf("a run of %d groups where %d values are left", count, room)
			}
			bytes = count * uint64(width)
			count *= 8
		}
		if count > room {
			return fmt.Errorf("a run of %d values where %d are left", count, room)
		}
		if bytes > uint64(len(b)) {
			return io.ErrUnexpectedEOF
		}
		room -= count
		b = b[bytes:]
	}
	return nil
}

// checkDelta reads the header with which delta encodings begin: the sizes of
// blocks and of miniblocks, then the number of values.
func checkDelta(b []byte, values uint64) error {
	for range 2 {
		_, n := binary.Uvarint(b)
		if n <= 0 {
			return io.ErrUnexpectedEOF
		}
		b = b[n:]
	}
	count, n := binary.Uvarint(b)
	if n <= 0 {
		return io.ErrUnexpectedEOF
	}
	if count != values {
		return fmt.Errorf("it claims %d values, the header says %d", count, values)
	}
	return nil
}
