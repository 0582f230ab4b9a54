package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// A frame is length, checksum, type and payload:
//
//	uint32 length of the payload | uint32 CRC-32C of length, type and payload | uint8 type | payload
//
// Integers are little-endian. In a sealed segment the payload of every frame
// but marks and closes is AES-256-GCM of what is described here.
const (
	frameHead = 9
	// maxFrame bounds a payload, and so what a reader allocates for one.
	maxFrame = 1 << 20
)

type frameType uint8

const (
	frameBegin     frameType = 1 + iota // number, flow as runs
	frameContinued                      // number, plain bytes so far by direction, flow as runs
	frameHeadOf                         // number, direction, time, head as runs
	frameFeed                           // number, direction, reads, runs
	frameEnd                            // number, time, end
	frameLost                           // number, bytes by direction, cause
	frameGap                            // what was lost of exchanges that are not in the journal
	frameMark                           // offset up to which the segment was durable, wall time; never sealed
	frameClosed                         // as a mark, and nothing follows; never sealed
	frameBlock                          // a piece of a compressed segment
	frameTypes
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// open returns whether frames of this type are never sealed: repair reads them
// without a key.
func (t frameType) open() bool { return t == frameMark || t == frameClosed }

// frameErr says why bytes are no frame.
type frameErr string

func (e frameErr) Error() string { return string(e) }

// errShort says that the file ends within a frame.
const errShort = frameErr("the file ends within a frame")

// beginFrame makes room for a frame's head; what is appended until endFrame is
// its payload.
func beginFrame(dst []byte) []byte { return append(dst, make([]byte, frameHead)...) }

// endFrame completes the frame that begins at start.
func endFrame(dst []byte, start int, t frameType, s *sealer) []byte {
	size := len(dst) - start - frameHead
	sealed := s != nil && !t.open()
	if sealed {
		size += s.aead.Overhead()
	}
	binary.LittleEndian.PutUint32(dst[start:], uint32(size))
	dst[start+8] = byte(t)
	if s != nil {
		dst = s.seal(dst, start, sealed)
	}
	binary.LittleEndian.PutUint32(dst[start+4:], frameSum(dst[start:]))
	return dst
}

// frameSum computes the checksum of a whole frame.
func frameSum(f []byte) uint32 {
	sum := crc32.Update(0, castagnoli, f[:4])
	return crc32.Update(sum, castagnoli, f[8:])
}

// frames reads one frame after the other.
type frames struct {
	r      io.Reader
	off    int64 // where the next frame begins
	frame  []byte
	sealed *sealer
}

// next returns the next payload, which is valid until the next call. At the
// end it returns io.EOF; after an error the position is still that of the
// frame which could not be read.
func (f *frames) next() (frameType, []byte, error) {
	f.frame = append(f.frame[:0], make([]byte, frameHead)...)
	if _, err := io.ReadFull(f.r, f.frame); err != nil {
		return 0, nil, shortOr(err, io.EOF)
	}
	size := binary.LittleEndian.Uint32(f.frame)
	t := frameType(f.frame[8])
	if size > maxFrame || t == 0 || t >= frameTypes {
		return 0, nil, frameErr(fmt.Sprintf("got length %d and type %d, which no frame has", size, t))
	}
	f.frame = append(f.frame, make([]byte, size)...)
	if _, err := io.ReadFull(f.r, f.frame[frameHead:]); err != nil {
		return 0, nil, shortOr(err, errShort)
	}
	if got, want := frameSum(f.frame), binary.LittleEndian.Uint32(f.frame[4:]); got != want {
		return 0, nil, frameErr(fmt.Sprintf("got checksum %08x, want %08x", got, want))
	}
	payload, err := f.unseal(t)
	if err != nil {
		return 0, nil, err
	}
	f.off += int64(frameHead) + int64(size)
	return t, payload, nil
}

func (f *frames) unseal(t frameType) ([]byte, error) {
	if f.sealed == nil {
		return f.frame[frameHead:], nil
	}
	return f.sealed.open(f.frame, !t.open())
}

func shortOr(err, atEnd error) error {
	switch {
	case errors.Is(err, io.EOF):
		return atEnd
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errShort
	}
	return err
}
