package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// ReadConfig says how a journal is read.
type ReadConfig struct {
	// Identities, in the text form of age ("AGE-SECRET-KEY-1…"), open encrypted
	// segments. They are not needed for others.
	Identities []string
}

// Reader reads a journal. It takes no lock, so a journal can be read while it
// is written, up to what is on disk when a segment is reached.
type Reader struct {
	dir  string
	keys keyring
	gaps []Gap
}

// Open opens the journal in dir for reading.
func Open(dir string, cfg ReadConfig) (*Reader, error) {
	keys, err := parseKeyring(nil, cfg.Identities)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if _, err := list(dir); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	return &Reader{dir: dir, keys: keys}, nil
}

// Gaps returns what the latest iteration over Exchanges met of losses that no
// exchange tells of.
func (r *Reader) Gaps() []Gap { return r.gaps }

// Exchanges yields every exchange once, in the order in which they ended;
// those without an end come where it is known that they have none: behind the
// segment that did not continue them, or at the end of their run. See
// [Exchange] for how long an exchange may be used.
//
// A segment that is damaged or cannot be opened yields a [CorruptError],
// [ErrSealed] or [ErrVersion] with a nil exchange, and the iteration goes on
// behind it. A torn tail, as a crash leaves, is no damage.
func (r *Reader) Exchanges() iter.Seq2[*Exchange, error] {
	return func(yield func(*Exchange, error) bool) {
		r.gaps = nil
		files, err := list(r.dir)
		if err != nil {
			yield(nil, err)
			return
		}
		w := walk{r: r, a: newAssembler(), yield: yield}
		for i, f := range files {
			if !w.segment(f, files[i+1:]) {
				return
			}
		}
		w.unfinished(true)
	}
}

// walk is one iteration over all exchanges.
type walk struct {
	r     *Reader
	a     *assembler
	run   [8]byte
	yield func(*Exchange, error) bool
}

// segment yields the exchanges that end in f, behind which later follow.
func (w *walk) segment(f segmentFile, later []segmentFile) bool {
	s, err := w.r.open(f)
	if err != nil {
		if errors.Is(err, errShort) && f.raw {
			return true // a crash came before its first write was durable
		}
		return w.yield(nil, err)
	}
	defer s.close()
	if s.head.run != w.run {
		if !w.unfinished(true) {
			return false
		}
		w.run, w.a = s.head.run, newAssembler()
	}
	last := runEnds(w.r.dir, w.run, later)
	for {
		e, closed, err := s.next()
		if err != nil {
			w.a.turn(&s.dec.store)
			defer w.a.age()
			if err = s.judge(err, closed, last); err != nil {
				return w.yield(nil, err)
			}
			// Where the end is missing, the frames that continue an exchange
			// may be missing too.
			return !s.dec.whole || w.unfinished(false)
		}
		if e.kind == frameGap {
			w.r.gaps = append(w.r.gaps, e.gap)
			continue
		}
		if x := w.a.take(e, &s.dec.store); x != nil && !w.yield(x, nil) {
			return false
		}
	}
}

// unfinished yields the exchanges that have no end.
func (w *walk) unfinished(all bool) bool {
	for _, x := range w.a.rest(all) {
		if !w.yield(x, nil) {
			return false
		}
	}
	return true
}

// segmentReader reads one segment in either form.
type segmentReader struct {
	name  string
	raw   bool
	head  header
	file  *os.File
	dec   *decoder
	outer *unblocks // of a compressed segment
	z     *zstd.Decoder
}

// open opens a segment, in the other form where it was compressed meanwhile.
func (r *Reader) open(f segmentFile) (*segmentReader, error) {
	file, err := os.Open(filepath.Join(r.dir, f.name))
	if errors.Is(err, fs.ErrNotExist) && f.raw {
		f.name = strings.TrimSuffix(f.name, rawSuffix) + closedSuffix
		file, err = os.Open(filepath.Join(r.dir, f.name))
	}
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	s, err := newSegmentReader(file, r.keys)
	if err != nil {
		file.Close()
		if e := frameErr(""); errors.As(err, &e) {
			return nil, &CorruptError{Segment: f.name, Err: err}
		}
		return nil, fmt.Errorf("read journal: segment %s: %w", f.name, err)
	}
	s.name, s.file = f.name, file
	return s, nil
}

// newSegmentReader reads a segment of either form from src.
func newSegmentReader(src io.Reader, keys keyring) (*segmentReader, error) {
	h, n, err := readHeader(src)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = errShort
		}
		return nil, err
	}
	seal, err := keys.unwrap(h)
	if err != nil {
		return nil, err
	}
	s := &segmentReader{head: h, raw: h.flags&flagCompressed == 0}
	in := &frames{r: src, off: n, sealed: seal}
	if !s.raw {
		s.outer = &unblocks{frames: in}
		s.z, err = zstd.NewReader(s.outer, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(2*zstdWindow), zstd.WithDecoderMaxMemory(maxStore))
		if err != nil {
			return nil, err
		}
		in = &frames{r: s.z}
	}
	s.dec = newDecoder(in)
	return s, nil
}

func (s *segmentReader) close() {
	if s.z != nil {
		s.z.Close()
	}
	s.file.Close()
}

func (s *segmentReader) next() (event, bool, error) { return s.dec.next() }

// judge says whether the end of a segment is one: it returns nil at a regular
// end and at a torn tail. last says that the segment is its run's last.
func (s *segmentReader) judge(err error, closed, last bool) error {
	off := s.dec.frames.off
	if !s.raw {
		if s.outer.cut || errors.Is(err, io.EOF) && (closed || s.outer.ended) {
			return nil
		}
		if s.outer.err != nil {
			err, off = s.outer.err, s.outer.frames.off
		}
		return &CorruptError{Segment: s.name, Offset: off, Err: err}
	}
	if errors.Is(err, io.EOF) {
		if closed || last {
			return nil
		}
		err = frameErr("the segment ends before it was closed")
	} else if e := frameErr(""); errors.As(err, &e) && last && !durableBeyond(s.file, off) {
		return nil
	}
	return &CorruptError{Segment: s.name, Offset: off, Err: err}
}

// runEnds reports whether a segment may end anywhere because its writer did not
// go on behind it, or because it gave the segment up: the first later segment
// that has a header tells.
func runEnds(dir string, run [8]byte, later []segmentFile) bool {
	for _, f := range later {
		if h, err := peek(filepath.Join(dir, f.name)); err == nil {
			return h.run != run || h.flags&flagAfterLoss != 0
		}
	}
	return true
}

// peek reads the header of a file.
func peek(path string) (header, error) {
	f, err := os.Open(path)
	if err != nil {
		return header{}, err
	}
	defer f.Close()
	h, _, err := readHeader(f)
	return h, err
}
