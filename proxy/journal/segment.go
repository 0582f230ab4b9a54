package journal

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A segment's file begins with a header:
//
//	"capstanj" | uint16 version | uint16 flags | 16 bytes journal | 8 bytes run | uint64 number |
//	int64 created, Unix ns | uint16 length of the wrapped key | wrapped key | uint32 CRC-32C of all before
const (
	magic       = "capstanj"
	version     = 1
	headerFixed = 54
	maxWrapped  = 16 << 10

	flagSealed     = 1 // frames are encrypted; the key is wrapped in the header
	flagCompressed = 2 // frames are blocks of a zstd stream of frames
	flagAfterLoss  = 4 // the disk failed, and the segment before was given up: it may end anywhere
)

// Names of files: the number, then what it is.
const (
	rawSuffix    = ".seg"  // being written, or left by a crash
	closedSuffix = ".zseg" // compressed, never written again
	tempSuffix   = ".tmp"
	badSuffix    = ".corrupt"
)

// ErrVersion says that a file was written by a version that this one does not
// know. It is not damaged, so repair leaves it alone.
var ErrVersion = errors.New("written by a later version: use that one to read it")

type header struct {
	flags   uint16
	journal [16]byte
	run     [8]byte // tells apart the writers of one journal
	seq     uint64
	created time.Time
	wrapped []byte
}

func appendHeader(b []byte, h header) []byte {
	start := len(b)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint16(b, version)
	b = binary.LittleEndian.AppendUint16(b, h.flags)
	b = append(b, h.journal[:]...)
	b = append(b, h.run[:]...)
	b = binary.LittleEndian.AppendUint64(b, h.seq)
	b = binary.LittleEndian.AppendUint64(b, uint64(wall(h.created)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(h.wrapped)))
	b = append(b, h.wrapped...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// readHeader returns the header and its length.
func readHeader(r io.Reader) (header, int64, error) {
	var h header
	b := make([]byte, headerFixed)
	if n, err := io.ReadFull(r, b); err != nil {
		if n >= len(magic) && string(b[:len(magic)]) != magic {
			return h, 0, frameErr("this is no segment")
		}
		return h, 0, shortOr(err, errShort)
	}
	if string(b[:len(magic)]) != magic {
		if len(bytes.Trim(b, "\x00")) == 0 {
			return h, 0, errShort // a file that got its length before its bytes
		}
		return h, 0, frameErr("this is no segment")
	}
	if v := binary.LittleEndian.Uint16(b[8:]); v != version {
		return h, 0, fmt.Errorf("got version %d, want %d: %w", v, version, ErrVersion)
	}
	size := int(binary.LittleEndian.Uint16(b[52:]))
	if size > maxWrapped {
		return h, 0, frameErr(fmt.Sprintf("got %d bytes of wrapped key, at most %d fit", size, maxWrapped))
	}
	b = append(b, make([]byte, size+4)...)
	if _, err := io.ReadFull(r, b[headerFixed:]); err != nil {
		return h, 0, shortOr(err, errShort)
	}
	end := headerFixed + size
	if crc32.Checksum(b[:end], castagnoli) != binary.LittleEndian.Uint32(b[end:]) {
		return h, 0, frameErr("the checksum of the header is wrong")
	}
	h.flags = binary.LittleEndian.Uint16(b[10:])
	copy(h.journal[:], b[12:])
	copy(h.run[:], b[28:])
	h.seq = binary.LittleEndian.Uint64(b[36:])
	h.created = fromWall(int64(binary.LittleEndian.Uint64(b[44:])))
	h.wrapped = b[headerFixed:end]
	return h, int64(end + 4), nil
}

// segmentFile is a segment's file in the directory.
type segmentFile struct {
	seq  uint64
	name string // without directory
	raw  bool
	size int64
}

func segmentName(seq uint64, suffix string) string { return fmt.Sprintf("%08d%s", seq, suffix) }

// list returns the segments of dir in their order. Where a crash left both
// forms of one segment, the compressed one counts: it was made durable before
// it got its name. A segment that is being compressed can escape one look at
// the directory, so a number that is missing is looked for again.
func list(dir string) ([]segmentFile, error) {
	found := map[uint64]segmentFile{}
	if err := look(dir, found); err != nil {
		return nil, err
	}
	files := ordered(found)
	if n := len(files); n > 0 && files[n-1].seq-files[0].seq >= uint64(n) {
		if err := look(dir, found); err != nil {
			return nil, err
		}
		files = ordered(found)
	}
	return files, nil
}

func ordered(found map[uint64]segmentFile) []segmentFile {
	return slices.SortedFunc(maps.Values(found), func(a, b segmentFile) int { return cmp.Compare(a.seq, b.seq) })
}

// look adds the segments in dir to found.
func look(dir string, found map[uint64]segmentFile) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list segments: %w", err)
	}
	for _, e := range entries {
		f, ok := parseName(e.Name())
		if !ok || !e.Type().IsRegular() {
			continue
		}
		if info, err := e.Info(); err == nil {
			f.size = info.Size() // otherwise it was compressed just now
		}
		if old, twice := found[f.seq]; !twice || old.raw {
			found[f.seq] = f
		}
	}
	return nil
}

func parseName(name string) (segmentFile, bool) {
	ext := filepath.Ext(name)
	if ext != rawSuffix && ext != closedSuffix {
		return segmentFile{}, false
	}
	seq, err := strconv.ParseUint(strings.TrimSuffix(name, ext), 10, 64)
	if err != nil || segmentName(seq, ext) != name {
		return segmentFile{}, false
	}
	return segmentFile{seq: seq, name: name, raw: ext == rawSuffix}, true
}
