//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package launch

import "os"

// holdLock does nothing where a file that is open cannot be removed: that is a
// lock.
func holdLock(*os.File) error { return nil }
