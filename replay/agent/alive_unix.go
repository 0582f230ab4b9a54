//go:build linux || darwin || freebsd || netbsd || openbsd

package agent

import (
	"crypto/tls"
	"net"
	"syscall"
	"time"
)

// alive reports whether an idle connection can still be used: nothing is to be
// read from it, neither an end nor bytes that no one asked for. Connections of
// a kind that can't tell are taken for alive.
func alive(c net.Conn) bool {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	s, ok := c.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return false
	}
	c.SetReadDeadline(time.Time{})
	idle := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		idle = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK || err == syscall.EINTR
		return true
	})
	return err == nil && idle
}
