package journal

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// disk is what the writer needs of a file system. The tests' other disks fail,
// stall, and drop what was not synced.
type disk interface {
	Create(path string) (file, error) // which must not exist
	Rename(from, to string) error
	Remove(path string) error
	SyncDir(dir string) error
}

// file is what the writer needs of a file.
type file interface {
	io.WriteCloser
	Sync() error
	Truncate(size int64) error
	Seek(offset int64, whence int) (int64, error)
}

type osDisk struct{}

var _ disk = osDisk{}

func (osDisk) Create(path string) (file, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}
func (osDisk) Rename(from, to string) error { return os.Rename(from, to) }
func (osDisk) Remove(path string) error     { return os.Remove(path) }

// SyncDir makes names durable. Windows has no such call and needs none.
func (osDisk) SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// replace makes the file at path hold what write writes, at once or not at
// all, durably.
func replace(d disk, path string, write func(io.Writer) error) (err error) {
	temp := path + tempSuffix
	d.Remove(temp) // left by a crash
	f, err := d.Create(temp)
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	defer func() {
		if err != nil {
			f.Close()
			d.Remove(temp)
			err = fmt.Errorf("write %s: %w", filepath.Base(path), err)
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := d.Rename(temp, path); err != nil {
		return err
	}
	return d.SyncDir(filepath.Dir(path))
}
