package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Repaired is one thing that Repair did.
type Repaired struct {
	Segment     string // name of the segment's file
	Kept        int64  // bytes that remain under that name; 0: none do
	Cut         int64  // bytes that do not
	Quarantined string // name under which the file is kept as it was; empty: a torn tail was cut
	Cause       error  // what was wrong
}

func (r Repaired) String() string {
	if r.Quarantined == "" {
		return fmt.Sprintf("%s: cut a torn tail of %d bytes: %v", r.Segment, r.Cut, r.Cause)
	}
	return fmt.Sprintf("%s: kept %d bytes, %d are damaged or follow damage; moved the file as it was to %s: %v",
		r.Segment, r.Kept, r.Cut, r.Quarantined, r.Cause)
}

// Repair makes the journal in dir readable without errors, and says what it
// did. A tail that a crash tore is cut. Of a segment that is damaged elsewhere
// what stands before the damage is kept, and the file as it was is renamed,
// never removed. Frames are judged by their checksums, so no key is needed.
// Segments of later versions are left alone.
func Repair(dir string) ([]Repaired, error) {
	l, err := lock(dir)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	files, err := list(dir)
	if err != nil {
		return nil, err
	}
	var d osDisk
	if err := sweep(d, dir, files); err != nil {
		return nil, fmt.Errorf("repair journal: %w", err)
	}
	var done []Repaired
	scans := make([]scanned, len(files))
	for i, f := range files {
		if scans[i], err = scanFile(filepath.Join(dir, f.name)); err != nil && !errors.Is(err, ErrVersion) {
			return nil, fmt.Errorf("repair journal: %w", err)
		}
		if err != nil {
			scans[i].closed = true
		}
	}
	for i, f := range files {
		last := runEnds(dir, scans[i].head.run, files[i+1:])
		r, did, err := repair(d, dir, f, scans[i], last)
		if did {
			done = append(done, r)
		}
		if err != nil {
			return done, fmt.Errorf("repair journal: %w", err)
		}
	}
	return done, nil
}

func repair(d disk, dir string, f segmentFile, s scanned, last bool) (Repaired, bool, error) {
	r := Repaired{Segment: f.name, Kept: s.good, Cut: s.size - s.good, Cause: s.damage}
	path := filepath.Join(dir, f.name)
	switch {
	case s.damage == nil && (s.closed || f.raw && last):
		return r, false, nil
	case s.damage == nil:
		r.Cause = frameErr("the segment ends before it was closed")
	case s.good > 0 && f.raw && last && s.torn:
		return r, true, cut(path, s.good)
	}
	var err error
	if r.Quarantined, err = freeName(dir, f.name); err != nil {
		return r, false, err
	}
	if s.good == 0 {
		return r, true, move(d, dir, f.name, r.Quarantined)
	}
	temp := path + tempSuffix
	if err := copyPrefix(path, temp, s); err != nil {
		os.Remove(temp)
		return r, false, err
	}
	if err := d.Rename(path, filepath.Join(dir, r.Quarantined)); err != nil {
		return r, false, err
	}
	return r, true, move(d, dir, filepath.Base(temp), f.name)
}

// copyPrefix copies the good frames of a segment and closes them, so that a
// reader does not look for more.
func copyPrefix(from, to string, s scanned) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer dst.Close()
	if _, err := io.CopyN(dst, src, s.good); err != nil {
		return err
	}
	payload := []byte{0, 0}
	if s.head.flags&flagCompressed != 0 {
		payload[0] = cutForm
	}
	if !s.closed {
		if _, err := dst.Write(endFrame(append(beginFrame(nil), payload...), 0, frameClosed, nil)); err != nil {
			return err
		}
	}
	return dst.Sync()
}

// freeName returns a name for the file to be kept under.
func freeName(dir, name string) (string, error) {
	for i := 1; i < 1000; i++ {
		to := name + badSuffix
		if i > 1 {
			to = fmt.Sprintf("%s%s-%d", name, badSuffix, i)
		}
		if _, err := os.Lstat(filepath.Join(dir, to)); errors.Is(err, fs.ErrNotExist) {
			return to, nil
		}
	}
	return "", fmt.Errorf("%s: a thousand damaged files are kept already: move some away", name)
}

// move renames a file of dir durably.
func move(d disk, dir, from, to string) error {
	if err := d.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
		return err
	}
	return d.SyncDir(dir)
}
