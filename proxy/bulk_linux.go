package proxy

import (
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// pipeSize is the capacity asked for in a pipe, and the most that is moved at a
// time.
const pipeSize = 1 << 20

// pipe is a pipe of the kernel's that never blocks.
type pipe struct{ r, w int }

// idlePipes are kept for the next ones; their number bounds the descriptors that
// they take.
var idlePipes = make(chan *pipe, 16)

func takePipe() (*pipe, error) {
	select {
	case p := <-idlePipes:
		return p, nil
	default:
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize) // a smaller pipe works too
	return &pipe{fds[0], fds[1]}, nil
}

// give puts an empty pipe back.
func (p *pipe) give() {
	select {
	case idlePipes <- p:
	default:
		p.close()
	}
}

func (p *pipe) close() {
	unix.Close(p.r)
	unix.Close(p.w)
}

// read fills b from what is in the pipe.
func (p *pipe) read(b []byte) error {
	for len(b) > 0 {
		n, err := unix.Read(p.r, b)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return fmt.Errorf("read pipe: %w", err)
		case n == 0:
			return io.ErrUnexpectedEOF
		default:
			b = b[n:]
		}
	}
	return nil
}

// write puts a few bytes into an empty pipe.
func (p *pipe) write(b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(p.w, b)
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("write pipe: %w", err)
		}
		b = b[max(n, 0):]
	}
	return nil
}

// await waits until something has come and says how much; 0 is the end.
func (s *tcpSource) await() (n int, err error) {
	asked := false
	err = s.raw.Read(func(fd uintptr) bool {
		n = waiting(fd)
		ready := n > 0 || asked
		asked = true
		return ready
	})
	return n, err
}

// waiting is how many bytes have come that were not read, 0 where that is not
// known.
func waiting(fd uintptr) int {
	n, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ)
	if err != nil {
		return 0
	}
	return n
}

// move passes on what has come, at most most bytes, inside the kernel, and first
// before it. A second reference to the same pages stays in kept, which must be
// empty. n counts what came, without first.
func (s *tcpSource) move(to *tcpSource, kept *pipe, first []byte, most int) (n int, at time.Time, err error) {
	through, err := takePipe()
	if err != nil {
		return 0, at, err
	}
	if err = through.write(first); err == nil {
		n, err = s.moveIn(through, most)
	}
	at = time.Now()
	for left := len(first) + n; err == nil && left > 0; {
		var k int64
		if k, err = unix.Tee(through.r, kept.w, left, unix.SPLICE_F_NONBLOCK); err == nil {
			err = to.moveOut(through, int(k))
			left -= int(k)
		}
	}
	if err != nil {
		through.close() // something may be left in it
		return 0, at, err
	}
	through.give()
	return n, at, nil
}

func (s *tcpSource) moveIn(through *pipe, most int) (n int, err error) {
	var got int64
	waited := s.raw.Read(func(fd uintptr) bool {
		got, err = unix.Splice(int(fd), nil, through.w, nil, most, unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
		return err != unix.EAGAIN && err != unix.EINTR
	})
	switch {
	case waited != nil:
		return 0, waited
	case err == nil && got == 0:
		return 0, io.EOF
	}
	return int(got), err
}

func (s *tcpSource) moveOut(through *pipe, left int) (err error) {
	for left > 0 {
		var n int64
		waited := s.raw.Write(func(fd uintptr) bool {
			n, err = unix.Splice(through.r, nil, int(fd), nil, left, unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
			return err != unix.EAGAIN && err != unix.EINTR
		})
		if waited != nil {
			return waited
		}
		if err != nil {
			return err
		}
		left -= int(n)
	}
	return nil
}
