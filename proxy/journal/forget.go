package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// ForgetConfig says how encrypted segments are opened and sealed again. It may
// be zero for a journal that is not encrypted.
type ForgetConfig struct {
	Identities []string // see ReadConfig
	Recipients []string // see Config; required where a segment is encrypted
}

// Forgotten says what Forget did.
type Forgotten struct {
	Exchanges int      // parts of exchanges that were removed: one for each segment that held some
	Segments  int      // that were written anew
	Unread    []string // files that Repair set aside, in which the session may still be
}

// Forget removes every exchange whose Flow.Session is session from the journal
// in dir. Each segment that holds one is written anew without it, and takes the
// place of the old at once; when Forget returns an error, some segments may be
// done and the rest are untouched. The journal must not be open for writing.
// What the disk keeps in blocks that are free is beyond its reach.
func Forget(dir, session string, cfg ForgetConfig) (Forgotten, error) {
	var done Forgotten
	keys, err := parseKeyring(cfg.Recipients, cfg.Identities)
	if err != nil {
		return done, fmt.Errorf("forget session: %w", err)
	}
	l, err := lock(dir)
	if err != nil {
		return done, err
	}
	defer l.Close()
	files, err := list(dir)
	if err == nil {
		err = sweep(osDisk{}, dir, files)
	}
	if err != nil {
		return done, fmt.Errorf("forget session: %w", err)
	}
	r := &Reader{dir: dir, keys: keys}
	for i, f := range files {
		h, _ := peek(filepath.Join(dir, f.name))
		n, err := r.forget(f, session, runEnds(dir, h.run, files[i+1:]))
		if err != nil {
			return done, fmt.Errorf("forget session: %w", err)
		}
		if n > 0 {
			done.Exchanges, done.Segments = done.Exchanges+n, done.Segments+1
		}
	}
	done.Unread, err = setAside(dir)
	return done, err
}

// forget writes one segment anew if it holds a part of the session, and returns
// how many parts it held.
func (r *Reader) forget(f segmentFile, session string, last bool) (int, error) {
	n := 0
	head, err := r.each(f, last, func(e event, _ *store) {
		if (e.kind == frameBegin || e.kind == frameContinued) && e.flow.Session == session {
			n++
		}
	})
	if err != nil || n == 0 {
		return 0, err
	}
	if head.flags&flagSealed != 0 && len(r.keys.recipients) == 0 {
		return 0, fmt.Errorf("segment %s is encrypted: name the recipients it is to be encrypted for again", f.name)
	}
	var d osDisk
	path := filepath.Join(r.dir, f.name)
	closed := strings.TrimSuffix(path, rawSuffix)
	if f.raw {
		closed += closedSuffix
	}
	err = replace(d, closed, func(dst io.Writer) error {
		return closedForm(dst, head, r.keys, func(z io.Writer) error { return r.without(f, session, last, z) })
	})
	if err != nil {
		return 0, err
	}
	if f.raw {
		if err := d.Remove(path); err != nil {
			return 0, err
		}
		return n, d.SyncDir(r.dir)
	}
	return n, nil
}

// without writes the frames of a segment except those of the session. Bodies
// are encoded anew: those that stay may have been copies of those that go.
func (r *Reader) without(f segmentFile, session string, last bool, dst io.Writer) error {
	enc := newEncoder(nil)
	kept := map[uint64]*thread{}
	var werr error
	var buf []byte
	_, err := r.each(f, last, func(e event, s *store) {
		if werr != nil {
			return
		}
		buf = again(enc, kept, e, s, session, buf)
		if len(enc.out) >= outBytes {
			_, werr = dst.Write(enc.out)
			enc.out = enc.out[:0]
		}
	})
	if err == nil {
		err = werr
	}
	if err == nil {
		_, err = dst.Write(enc.out)
	}
	return err
}

// again encodes an event, unless it is of the session.
func again(enc *encoder, kept map[uint64]*thread, e event, s *store, session string, buf []byte) []byte {
	t := kept[e.number]
	switch e.kind {
	case frameGap:
		enc.gap(e.gap)
		return buf
	case frameBegin, frameContinued:
		if e.flow.Session == session {
			return buf
		}
		t = &thread{number: e.number}
		kept[e.number] = t
	}
	if t == nil {
		return buf
	}
	switch e.kind {
	case frameBegin:
		enc.begin(t, e.flow.At, appendFlow(nil, e.flow))
	case frameContinued:
		enc.continued(t, e.flow.At, e.plain, appendFlow(nil, e.flow))
	case frameHeadOf:
		enc.head(t, e.dir, e.at, appendHead(nil, e.head))
	case frameFeed:
		buf = s.append(buf[:0], e.body, e.from, e.to)
		enc.feed(t, e.dir, e.reads, buf)
	case frameLost:
		enc.lost(t, e.loss)
	case frameEnd:
		enc.end(t, e.at, appendEnd(nil, e.end))
		delete(kept, e.number)
	}
	return buf
}

// each calls fn with every event of a segment.
func (r *Reader) each(f segmentFile, last bool, fn func(event, *store)) (header, error) {
	s, err := r.open(f)
	if errors.Is(err, errShort) && f.raw {
		return header{}, nil
	}
	if err != nil {
		return header{}, err
	}
	defer s.close()
	for {
		e, closed, err := s.next()
		if err != nil {
			return s.head, s.judge(err, closed, last)
		}
		fn(e, &s.dec.store)
	}
}

// setAside lists the files that Repair renamed.
func setAside(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("forget session: %w", err)
	}
	var names []string
	for _, e := range entries {
		if strings.Contains(e.Name(), badSuffix) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
