package journal

import (
	"context"
	"io"
)

// The tests' disks stand in for the operating system's.
type (
	Disk     = disk
	File     = file
	OSDisk   = osDisk
	FrameErr = frameErr
)

const FeedBytes = feedBytes

// WithDisk returns cfg with its files on d.
func WithDisk(cfg Config, d Disk) Config {
	cfg.disk = d
	return cfg
}

// ReadSegment reads one segment of arbitrary bytes, in little memory.
func ReadSegment(src io.Reader, limit int64) (events int, err error) {
	s, err := newSegmentReader(src, keyring{})
	if err != nil {
		return 0, err
	}
	if s.z != nil {
		defer s.z.Close()
	}
	s.dec.limit = limit
	a := newAssembler()
	a.limit = limit
	for {
		e, _, err := s.next()
		if err != nil {
			a.turn(&s.dec.store)
			a.rest(true)
			return events, err
		}
		events++
		if len(e.reads) > 0 {
			s.dec.store.append(nil, e.body, e.from, e.to)
		}
		if x := a.take(e, &s.dec.store); x != nil {
			a.spare = [2][]byte{}
		}
	}
}

// FrameOffsets returns where the frames of a raw segment begin, and its end.
func FrameOffsets(r io.Reader) []int64 {
	_, n, err := readHeader(r)
	if err != nil {
		return nil
	}
	in := &frames{r: r, off: n}
	offs := []int64{n}
	for {
		if _, _, err := in.next(); err != nil {
			return offs
		}
		offs = append(offs, in.off)
	}
}

// Frame encodes a frame as it stands in a file.
func Frame(t byte, payload []byte) []byte {
	return endFrame(append(beginFrame(nil), payload...), 0, frameType(t), nil)
}

// MarkDurable is the payload-bearing frame that says how much is durable.
func MarkDurable(n int64) []byte {
	e := newEncoder(nil)
	e.mark(frameMark, n, fromWall(1))
	return e.out
}

// Drain writes what was fed, as the loop of Run does when it is due. It is for
// writers that are not run.
func (w *Writer) Drain() { w.drain() }

// Shut ends a writer that is not run.
func (w *Writer) Shut() {
	w.own.ctx = context.Background()
	w.shut()
	w.lock.Close()
}

// Unlock drops a writer that is not run as a crash would: what it wrote stays
// as it is.
func (w *Writer) Unlock() {
	if w.own.seg.file != nil {
		w.own.seg.file.Close()
	}
	w.lock.Close()
}
