package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// CorruptError says that a segment is damaged.
type CorruptError struct {
	Segment string // name of its file
	Offset  int64  // of the first frame that is damaged; of a compressed segment: in what it unpacks to, unless a block is damaged
	Err     error
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("read journal: segment %s is damaged at byte %d: %v", e.Segment, e.Offset, e.Err)
}

// Unwrap returns the cause.
func (e *CorruptError) Unwrap() error { return e.Err }

// scanned is what a look at a segment's frames found. It needs no key.
type scanned struct {
	head   header
	size   int64 // of the file
	good   int64 // bytes up to the end of the last good frame; 0: not even the header
	damage error // what stands there; nil: the file ends
	torn   bool  // the damage can be what a crash left of bytes that were not durable
	closed bool  // the segment says that it is complete
}

// scanFile reads the frames of a segment without opening them.
func scanFile(path string) (scanned, error) {
	f, err := os.Open(path)
	if err != nil {
		return scanned{}, fmt.Errorf("scan segment: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return scanned{}, fmt.Errorf("scan segment: %w", err)
	}
	s := scanned{size: info.Size()}
	h, n, err := readHeader(f)
	if errors.Is(err, ErrVersion) {
		return s, fmt.Errorf("scan segment: %w", err)
	}
	if err != nil {
		s.damage, s.torn = err, errors.Is(err, errShort) || errors.Is(err, io.EOF)
		return s, nil
	}
	s.head, s.good = h, n
	in := &frames{r: f, off: n}
	for {
		t, _, err := in.next()
		s.good = in.off
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err != nil {
			s.damage = err
			s.torn = !durableBeyond(f, s.good)
			return s, nil
		}
		s.closed = t == frameClosed
	}
}

// durableBeyond reports whether a mark behind off says that the segment was
// durable beyond off: then the frame at off is no torn one but a damaged one.
// Marks are short, so looking for one at every byte costs little.
func durableBeyond(f io.ReaderAt, off int64) bool {
	const most = frameHead + 2*binary.MaxVarintLen64
	buf := make([]byte, chunkBytes)
	for at := off; ; {
		n, err := f.ReadAt(buf, at)
		p := buf[:n]
		for i := 0; i+frameHead <= len(p); i++ {
			t := frameType(p[i+8])
			size := binary.LittleEndian.Uint32(p[i:])
			if !t.open() || size > most-frameHead || i+frameHead+int(size) > len(p) {
				continue
			}
			frame := p[i : i+frameHead+int(size)]
			if frameSum(frame) != binary.LittleEndian.Uint32(frame[4:]) {
				continue
			}
			c := cursor{b: frame[frameHead:]}
			if c.varint() > off {
				return true
			}
		}
		if err != nil || n < len(buf) {
			return false
		}
		at += int64(n - most)
	}
}

// cut shortens the file at path and makes that durable.
func cut(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("cut segment: %w", err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		return fmt.Errorf("cut segment: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("cut segment: %w", err)
	}
	return nil
}
