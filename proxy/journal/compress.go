package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// compact compresses segments that are closed and durable, and removes what is
// beyond the bounds of retention, until there will be no more or ctx ends.
func (w *Writer) compact(ctx context.Context) {
	for {
		more := false
		select {
		case _, more = <-w.rotated:
		case <-ctx.Done():
			return
		}
		for {
			w.mu.Lock()
			var s *segment
			if len(w.mu.compress) > 0 {
				s = w.mu.compress[0]
				w.mu.compress = w.mu.compress[1:]
			}
			w.mu.Unlock()
			if s == nil {
				break
			}
			// A segment that could not be compressed stays as it is, and is as
			// good to read.
			compress(w.cfg.disk, s.path, s.key, w.keys)
		}
		w.retain()
		if !more {
			return
		}
	}
}

// compress writes the segment at path in its closed form and removes it. The
// closed form has a header like any segment; its frames are blocks, which
// together are one zstd stream of the frames of the segment, opened. In a
// sealed journal the blocks are sealed, under a key of their own.
func compress(d disk, path string, key []byte, keys keyring) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("compress segment: %w", err)
	}
	defer f.Close()
	h, _, err := readHeader(f)
	if err != nil {
		return fmt.Errorf("compress segment: %w", err)
	}
	in := &frames{r: f}
	if h.flags&flagSealed != 0 {
		if in.sealed, err = newSealer(key); err != nil {
			return fmt.Errorf("compress segment: %w", err)
		}
	}
	closed := strings.TrimSuffix(path, rawSuffix) + closedSuffix
	if err := replace(d, closed, func(dst io.Writer) error { return writeClosed(dst, h, in, keys) }); err != nil {
		return err
	}
	if err := d.Remove(path); err != nil {
		return fmt.Errorf("compress segment: %w", err)
	}
	return d.SyncDir(filepath.Dir(path))
}

// writeClosed writes the frames of in as a closed segment.
func writeClosed(dst io.Writer, h header, in *frames, keys keyring) error {
	return closedForm(dst, h, keys, func(z io.Writer) error {
		for {
			t, payload, err := in.next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			frame := in.frame
			if in.sealed != nil {
				frame = endFrame(append(beginFrame(nil), payload...), 0, t, nil)
			}
			if _, err := z.Write(frame); err != nil {
				return err
			}
		}
	})
}

// closedForm writes a closed segment whose frames come from write.
func closedForm(dst io.Writer, h header, keys keyring, write func(io.Writer) error) error {
	seal, wrapped, _, err := keys.wrap()
	if err != nil {
		return err
	}
	h.flags, h.wrapped = h.flags&flagAfterLoss|flagCompressed, wrapped
	if seal != nil {
		h.flags |= flagSealed
	}
	b := &blocks{dst: dst, seal: seal}
	if _, err := dst.Write(appendHeader(nil, h)); err != nil {
		return err
	}
	z, err := zstd.NewWriter(b, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(zstdWindow), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return err
	}
	if err := write(z); err != nil {
		z.Close()
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return b.close()
}

const (
	blockSize  = 256 << 10
	zstdWindow = 4 << 20
)

// blocks turns a stream into block frames.
type blocks struct {
	dst  io.Writer
	seal *sealer
	buf  []byte
	out  []byte
}

func (b *blocks) Write(p []byte) (int, error) {
	b.buf = append(b.buf, p...)
	for len(b.buf) >= blockSize {
		if err := b.frame(frameBlock, b.buf[:blockSize]); err != nil {
			return 0, err
		}
		b.buf = append(b.buf[:0], b.buf[blockSize:]...)
	}
	return len(p), nil
}

func (b *blocks) frame(t frameType, p []byte) error {
	b.out = endFrame(append(beginFrame(b.out[:0]), p...), 0, t, b.seal)
	_, err := b.dst.Write(b.out)
	return err
}

func (b *blocks) close() error {
	if len(b.buf) > 0 {
		if err := b.frame(frameBlock, b.buf); err != nil {
			return err
		}
	}
	return b.frame(frameClosed, []byte{wholeForm, 0})
}

// What the first byte of the closing frame says of the blocks before it.
const (
	wholeForm = 0 // they are the whole stream
	cutForm   = 1 // repair cut what followed: the stream ends anywhere
)

// unblocks reads the stream that blocks wrote.
type unblocks struct {
	frames *frames
	left   []byte
	ended  bool
	cut    bool
	err    error // what the frames' reader said, which zstd may reword
}

func (u *unblocks) Read(p []byte) (int, error) {
	for len(u.left) == 0 {
		if u.ended {
			return 0, io.EOF
		}
		t, payload, err := u.frames.next()
		switch {
		case errors.Is(err, io.EOF):
			u.err = errShort
		case err != nil:
			u.err = err
		case t == frameClosed:
			u.ended, u.cut = true, len(payload) > 0 && payload[0] == cutForm
		case t == frameBlock:
			u.left = payload
		default:
			u.err = frameErr("got a frame that is no block in a compressed segment")
		}
		if u.err != nil {
			return 0, u.err
		}
	}
	n := copy(p, u.left)
	u.left = u.left[n:]
	return n, nil
}
