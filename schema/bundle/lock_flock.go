//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package bundle

import (
	"errors"
	"os"
	"syscall"
)

// lock takes the lock of a folder, which the system frees when the process ends,
// however it ends. It returns errBusy where another writer holds it, and nil where
// the file system has no locks.
func lock(dir string) (*os.File, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	switch err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case err == nil:
		return d, nil
	case errors.Is(err, syscall.EWOULDBLOCK):
		d.Close()
		return nil, errBusy
	}
	d.Close()
	return nil, nil
}
