package codec

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime"
	"sync"
)

// layer is one coding of a chain. free gives its memory to the next body; it is
// not called after a panic, which leaves a decoder in an unknown state.
type layer interface {
	io.Reader
	free()
}

// stream runs a chain of layers over fed bytes.
type stream struct {
	*routine
	next    func() ([]byte, bool)
	stop    func()
	cleanup runtime.Cleanup
}

// routine is what the coroutine itself may refer to. It must not hold the
// stream: an unreachable stream is how a forgotten one is found and stopped.
type routine struct {
	src feed
	err error // why the chain ended; nil at its proper end
}

// feed is the reader at the bottom of a chain.
type feed struct {
	b     []byte // borrowed from the caller of stream.feed
	end   bool   // nothing follows b
	used  int64
	yield func([]byte) bool
}

var errStopped = errors.New("stopped")

func (f *feed) Read(p []byte) (int, error) {
	for len(f.b) == 0 {
		if f.end {
			return 0, io.EOF
		}
		if !f.yield(nil) {
			return 0, errStopped
		}
	}
	n := copy(p, f.b)
	f.b = f.b[n:]
	f.used += int64(n)
	return n, nil
}

func newStream(open func(io.Reader) layer) *stream {
	r := &routine{}
	next, stop := iter.Pull(func(yield func([]byte) bool) { r.run(open, yield) })
	s := &stream{routine: r, next: next, stop: stop}
	s.cleanup = runtime.AddCleanup(s, func(stop func()) { stop() }, stop)
	return s
}

// plainBuffers are small: a switch to the coroutine and back for each costs
// little beside decoding it, and every open stream holds one.
var plainBuffers = sync.Pool{New: func() any { return new([8 << 10]byte) }}

// run yields plain bytes as they become known, and nil where it needs more
// input. It is the body of the coroutine.
func (r *routine) run(open func(io.Reader) layer, yield func([]byte) bool) {
	defer func() {
		if p := recover(); p != nil {
			r.err = fmt.Errorf("decoder panicked: %v", p)
		}
	}()
	r.src.yield = yield
	top := open(&r.src)
	buf := plainBuffers.Get().(*[8 << 10]byte)
	r.err = r.pump(top, buf[:], yield)
	plainBuffers.Put(buf)
	top.free()
}

func (r *routine) pump(top io.Reader, buf []byte, yield func([]byte) bool) error {
	for idle := 0; idle < 100; idle++ {
		n, err := top.Read(buf)
		if n > 0 {
			idle = 0
			if !yield(buf[:n]) {
				return errStopped
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// feed decodes b as far as it goes. It returns false once the chain has ended;
// err says how. Bytes of emit are valid until it returns; when emit returns
// false, the chain is stopped.
func (s *stream) feed(b []byte, emit func([]byte) bool) bool {
	s.src.b = b
	defer func() { s.src.b = nil }()
	for {
		plain, more := s.next()
		if !more {
			s.cleanup.Stop()
			return false
		}
		if plain == nil {
			return true
		}
		if !emit(plain) {
			s.close()
			return false
		}
	}
}

// finish says that nothing follows, and decodes what was waiting for that.
func (s *stream) finish(emit func([]byte) bool) {
	s.src.end = true
	for s.feed(nil, emit) {
	}
}

// close ends the coroutine wherever it stands.
func (s *stream) close() {
	s.cleanup.Stop()
	s.stop()
}
