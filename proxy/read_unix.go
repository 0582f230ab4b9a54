//go:build unix

package proxy

import (
	"io"
	"net"
	"syscall"
)

// tcpSource reads a TCP connection. It takes a buffer only when there is
// something to put in it, so a connection that waits holds none.
type tcpSource struct {
	raw  syscall.RawConn
	full bool // the last read filled its buffer: there may be much more
	buffers

	// The attempt under way. It is kept here, and the function that makes it is
	// made once, so that a read costs no memory.
	try  func(fd uintptr) bool
	most int
	n    int
	err  error
}

func newTCPSource(c *net.TCPConn) source {
	s := &tcpSource{}
	s.class = recordClass
	s.try = s.attempt
	s.raw, s.err = c.SyscallConn()
	return s
}

// attempt reads once. It is false where there was nothing to read.
func (s *tcpSource) attempt(fd uintptr) bool {
	b := s.take(s.most)
	for {
		s.n, s.err = syscall.Read(int(fd), b)
		if s.err != syscall.EINTR {
			break
		}
	}
	if s.n <= 0 {
		s.give()
	}
	return s.err != syscall.EAGAIN
}

func (s *tcpSource) read(most int) (p []byte, err error) {
	if s.raw == nil {
		return nil, s.err
	}
	s.most = most
	if err := s.raw.Read(s.try); err != nil {
		return nil, err
	}
	switch {
	case s.err != nil:
		return nil, s.err
	case s.n == 0:
		return nil, io.EOF
	}
	p = (*s.buf)[:s.n]
	s.full = s.n == min(most, len(*s.buf))
	s.filled(s.n)
	return p, nil
}
