//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package launch

import (
	"os"
	"syscall"
)

// holdLock locks f, or fails where another process holds it. The lock ends with
// the file or the process.
func holdLock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
