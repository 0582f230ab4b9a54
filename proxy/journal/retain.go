package journal

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// retain removes the oldest segments while there are too many bytes or while
// they are too old. It stops at the first that is being written or holds a part
// of an open exchange.
func (w *Writer) retain() {
	if w.cfg.KeepBytes == 0 && w.cfg.KeepAge == 0 {
		return
	}
	files, err := list(w.cfg.Dir)
	if err != nil {
		return // the next segment's end tries again
	}
	total := int64(0)
	for _, f := range files {
		total += f.size
	}
	floor := w.floor()
	for _, f := range files {
		if f.seq >= floor || !w.surplus(f, total) {
			return
		}
		if w.cfg.disk.Remove(filepath.Join(w.cfg.Dir, f.name)) != nil {
			return
		}
		total -= f.size
	}
}

func (w *Writer) surplus(f segmentFile, total int64) bool {
	if w.cfg.KeepBytes > 0 && total > w.cfg.KeepBytes {
		return true
	}
	if w.cfg.KeepAge == 0 {
		return false
	}
	info, err := os.Stat(filepath.Join(w.cfg.Dir, f.name))
	return err == nil && time.Since(info.ModTime()) > w.cfg.KeepAge
}

// floor returns the first segment that may not be removed.
func (w *Writer) floor() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	floor := w.mu.current
	for seq := range w.mu.firsts {
		floor = min(floor, seq)
	}
	return floor
}

// lastNumber returns the largest number that any file of the directory was
// named by, so that none is given twice.
func lastNumber(dir string) (uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	last := uint64(0)
	for _, e := range entries {
		digits, _, _ := strings.Cut(e.Name(), ".")
		if n, err := strconv.ParseUint(digits, 10, 63); err == nil {
			last = max(last, n)
		}
	}
	return last, nil
}

// adopt makes ready what earlier writers left: the tail that a crash tore is
// cut, segments that it left uncompressed are given to the compactor, and
// remains of unfinished work are removed. What is damaged stays as it is.
func (w *Writer) adopt() error {
	files, err := list(w.cfg.Dir)
	if err != nil {
		return err
	}
	if err := sweep(w.cfg.disk, w.cfg.Dir, files); err != nil {
		return err
	}
	for _, f := range files {
		if !f.raw {
			continue
		}
		path := filepath.Join(w.cfg.Dir, f.name)
		s, err := scanFile(path)
		if err != nil || s.good == 0 || s.damage != nil && !s.torn {
			continue
		}
		if s.torn {
			if err := cut(path, s.good); err != nil {
				return err
			}
		}
		if s.head.flags&flagSealed == 0 {
			w.mu.compress = append(w.mu.compress, &segment{path: path})
		}
	}
	notify(w.rotated)
	return nil
}

// sweep removes what has no further use: temporary files, and raw segments
// whose closed form is there.
func sweep(d disk, dir string, files []segmentFile) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	closed := map[uint64]bool{}
	for _, f := range files {
		closed[f.seq] = !f.raw
	}
	for _, e := range entries {
		f, segment := parseName(e.Name())
		if strings.HasSuffix(e.Name(), tempSuffix) || segment && f.raw && closed[f.seq] {
			if err := d.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
