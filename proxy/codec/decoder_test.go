package codec_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/capstan-bench/capstan/proxy/codec"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

type flusher interface {
	io.WriteCloser
	Flush() error
}

// codings are tried in all tests. "Deflate" is written raw.
var codings = []string{
	"gzip", "x-gzip", "deflate", "Deflate", "br", "zstd",
	"gzip, br", "zstd ,gzip", "br,deflate", "zstd,br,x-gzip",
}

// newEncoder stacks the real encoders, the first one named on top.
func newEncoder(coding string, w io.Writer) flusher {
	var stack []flusher
	for _, c := range slices.Backward(strings.Split(coding, ",")) {
		stack = append(stack, oneEncoder(strings.TrimSpace(c), w))
		w = stack[len(stack)-1]
	}
	slices.Reverse(stack)
	return &pile{stack[0], stack[1:]}
}

func oneEncoder(coding string, w io.Writer) (f flusher) {
	var err error
	switch coding {
	case "deflate":
		f = zlib.NewWriter(w)
	case "Deflate":
		f, err = flate.NewWriter(w, 6)
	case "br":
		f = brotli.NewWriter(w)
	case "zstd":
		f, err = zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	default:
		f = gzip.NewWriter(w)
	}
	if err != nil {
		panic(err)
	}
	return f
}

// pile flushes and closes a writer and then those below it.
type pile struct {
	flusher
	below []flusher
}

func (p *pile) Flush() error {
	err := p.flusher.Flush()
	for _, b := range p.below {
		err = errors.Join(err, b.Flush())
	}
	return err
}

func (p *pile) Close() error {
	err := p.flusher.Close()
	for _, b := range p.below {
		err = errors.Join(err, b.Close())
	}
	return err
}

func encode(t testing.TB, coding string, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := newEncoder(coding, &b)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// sse is what a model answers: repetitive, but not only.
func sse(events int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	for i := range events {
		fmt.Fprintf(&b, "event: content_block_delta\ndata: {\"index\":%d,\"delta\":{\"text\":\"%x\"}}\n\n", i, rng.Uint64())
	}
	return b.Bytes()
}

// decode feeds the pieces that cut makes of wire. It spoils each piece and each
// output after use: neither side may keep them.
func decode(t testing.TB, coding string, limit codec.Limit, wire []byte, cut func(left int) int) ([]byte, error) {
	t.Helper()
	d, err := codec.NewDecoder(coding, limit)
	if err != nil {
		return nil, err
	}
	var plain []byte
	emit := func(b []byte) {
		plain = append(plain, b...)
		for i := range b {
			b[i] = '#'
		}
	}
	total := int64(len(wire))
	for len(wire) > 0 {
		n := min(len(wire), max(1, cut(len(wire))))
		piece := bytes.Clone(wire[:n])
		d.Feed(piece, emit)
		for i := range piece {
			piece[i] = '#'
		}
		wire = wire[n:]
	}
	err = d.Close(emit)
	if d.Wire() != total || d.Plain() != int64(len(plain)) {
		t.Errorf("%s: counts %d wire, %d plain, want %d, %d", coding, d.Wire(), d.Plain(), total, len(plain))
	}
	return plain, err
}

func cuts() map[string]func(int) int {
	rng := rand.New(rand.NewPCG(3, 4))
	return map[string]func(int) int{
		"whole":  func(n int) int { return n },
		"bytes":  func(int) int { return 1 },
		"random": func(int) int { return rng.IntN(700) },
	}
}

func TestDecoderCutsChangeNothing(t *testing.T) {
	for _, plain := range [][]byte{nil, []byte("x"), sse(400), bytes.Repeat([]byte("ab"), 300_000)} {
		for _, coding := range codings {
			wire := encode(t, coding, plain)
			for name, cut := range cuts() {
				got, err := decode(t, coding, codec.Limit{}, wire, cut)
				if err != nil || !bytes.Equal(got, plain) {
					t.Errorf("%q in %s: got %d bytes, %v, want %d", coding, name, len(got), err, len(plain))
				}
			}
		}
	}
}

func TestDecoderIdentity(t *testing.T) {
	for _, coding := range []string{"", "identity", " Identity , "} {
		got, err := decode(t, coding, codec.Limit{}, []byte("plain"), func(int) int { return 2 })
		if err != nil || string(got) != "plain" {
			t.Errorf("%q: got %q, %v", coding, got, err)
		}
	}
	got, err := decode(t, "", codec.Limit{Plain: 7}, []byte("plain bytes"), func(int) int { return 3 })
	if fault(err) != codec.TooLarge || string(got) != "plain b" {
		t.Errorf("over the limit: got %q, %v", got, err)
	}
}

// An event that was flushed must come out with the piece that completed it.
func TestDecoderKeepsNothingBackAtAFlush(t *testing.T) {
	for _, coding := range codings {
		var b bytes.Buffer
		w := newEncoder(coding, &b)
		d, err := codec.NewDecoder(coding, codec.Limit{})
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		emit := func(p []byte) { got = append(got, p...) }
		for i := range 50 {
			event := fmt.Appendf(nil, "data: {\"n\":%d,\"text\":\"some words of it\"}\n\n", i)
			b.Reset()
			w.Write(event)
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			got = nil
			if err := d.Feed(b.Bytes(), emit); err != nil {
				t.Fatalf("%q event %d: %v", coding, i, err)
			}
			if !bytes.Equal(got, event) {
				t.Fatalf("%q event %d: came out as %q, want %q", coding, i, got, event)
			}
		}
		b.Reset()
		w.Close()
		if err := errors.Join(d.Feed(b.Bytes(), emit), d.Close(emit)); err != nil {
			t.Errorf("%q: %v", coding, err)
		}
	}
}

// The last plain bytes must not wait for the trailer.
func TestDecoderDoesNotWaitForTrailer(t *testing.T) {
	plain := sse(10)
	for coding, trailer := range map[string]int{"gzip": 8, "deflate": 4} {
		wire := encode(t, coding, plain)
		d, _ := codec.NewDecoder(coding, codec.Limit{})
		var got []byte
		d.Feed(wire[:len(wire)-trailer], func(p []byte) { got = append(got, p...) })
		if !bytes.Equal(got, plain) {
			t.Errorf("%q without its trailer: got %d bytes, want %d", coding, len(got), len(plain))
		}
		if err := d.Close(func([]byte) {}); fault(err) != codec.Truncated {
			t.Errorf("%q without its trailer: %v, want truncated", coding, err)
		}
	}
}

func TestDecoderGzipMembers(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Extra, w.Name, w.Comment = []byte("extra"), "name", "comment"
	w.Write([]byte("one "))
	w.Close()
	wire := append(b.Bytes(), encode(t, "gzip", []byte("two"))...)
	for name, cut := range cuts() {
		if got, err := decode(t, "gzip", codec.Limit{}, wire, cut); err != nil || string(got) != "one two" {
			t.Errorf("two members in %s: got %q, %v", name, got, err)
		}
	}
}

func fault(err error) codec.Fault {
	var e *codec.DecodeError
	if errors.As(err, &e) {
		return e.Fault
	}
	return 0
}

func TestDecoderFaults(t *testing.T) {
	plain := sse(300)
	for _, coding := range codings {
		wire := encode(t, coding, plain)
		for name, cut := range cuts() {
			for _, at := range []int{1, 2, 9, len(wire) / 3, len(wire) - 1} {
				got, err := decode(t, coding, codec.Limit{}, wire[:at], cut)
				if fault(err) != codec.Truncated || !bytes.HasPrefix(plain, got) {
					t.Errorf("%q cut at %d in %s: %d bytes, %v, want truncated", coding, at, name, len(got), err)
				}
			}
			got, err := decode(t, coding, codec.Limit{}, append(bytes.Clone(wire), "garbage behind"...), cut)
			if fault(err) != codec.Trailing || !bytes.Equal(got, plain) {
				t.Errorf("%q with garbage behind in %s: %d bytes, %v", coding, name, len(got), err)
			}
			got, err = decode(t, coding, codec.Limit{}, []byte("\xff\xfe no such coding at all, just text"), cut)
			if f := fault(err); f != codec.Corrupt && f != codec.Truncated || len(got) > 0 {
				t.Errorf("%q of text in %s: %d bytes, %v", coding, name, len(got), err)
			}
		}
	}
	for _, coding := range []string{"compress", "gzip, aes128gcm", "gzip,gzip,gzip,gzip", "dcb"} {
		if _, err := codec.NewDecoder(coding, codec.Limit{}); fault(err) != codec.Unsupported {
			t.Errorf("NewDecoder(%q): %v, want unsupported", coding, err)
		}
	}
}

// Damage anywhere: a typed error or the plain bytes, in every cut alike.
func TestDecoderDamage(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	plain := sse(60)
	for _, coding := range codings {
		good := encode(t, coding, plain)
		for range 60 {
			wire := bytes.Clone(good)
			wire[rng.IntN(len(wire))] ^= 1 << rng.IntN(8)
			checkCuts(t, coding, wire)
		}
	}
}

// checkCuts decodes wire whole and byte by byte. Up to the damage both must give
// the same; how far a decoder gets into the damage differs.
func checkCuts(t *testing.T, coding string, wire []byte) {
	t.Helper()
	limit := codec.Limit{Plain: 1 << 20}
	a, errA := decode(t, coding, limit, wire, func(n int) int { return n })
	b, errB := decode(t, coding, limit, wire, func(int) int { return 1 })
	if fault(errA) == codec.TooLarge || fault(errB) == codec.TooLarge {
		return
	}
	if (errA == nil) != (errB == nil) || errA != nil && fault(errA) == 0 {
		t.Errorf("%q of %x: whole %v, in bytes %v", coding, wire, errA, errB)
	}
	if short := min(len(a), len(b)); !bytes.Equal(a[:short], b[:short]) || errA == nil && len(a) != len(b) {
		t.Errorf("%q of %x: whole gives %d bytes, in bytes %d, and they differ", coding, wire, len(a), len(b))
	}
}

func TestDecoderBomb(t *testing.T) {
	zeros := make([]byte, 8<<20)
	for _, coding := range codings {
		wire := encode(t, coding, zeros)
		for name, limit := range map[string]codec.Limit{"plain": {Plain: 1 << 20, Ratio: 1 << 40}, "ratio": {Ratio: 20}} {
			d, err := codec.NewDecoder(coding, limit)
			if err != nil {
				t.Fatal(err)
			}
			var most, total int
			count := func(b []byte) { most, total = max(most, len(b)), total+len(b) }
			err = d.Feed(wire, count)
			if fault(err) != codec.TooLarge || total > 1<<20+20*len(wire) || most > 64<<10 {
				t.Errorf("%q over %s: %d bytes out of %d, at most %d at once, %v", coding, name, total, len(wire), most, err)
			}
			d.Feed([]byte("more"), count)
			if again := d.Close(count); !errors.Is(again, err) || d.Wire() != int64(len(wire))+4 {
				t.Errorf("%q over %s: then %v and %d wire bytes", coding, name, again, d.Wire())
			}
		}
	}
}

// A frame that asks for more memory than a content coding may is refused.
func TestDecoderZstdWindow(t *testing.T) {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithWindowSize(64<<20), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	w.Write(sse(100))
	w.Flush()
	w.Close()
	if _, err := decode(t, "zstd", codec.Limit{}, b.Bytes(), func(n int) int { return n }); fault(err) != codec.Corrupt {
		t.Errorf("a window of 64 MiB: %v", err)
	}
}

// Neither an ended, nor a broken, nor a forgotten decoder leaves its goroutine.
func TestDecoderLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	wire := encode(t, "gzip", sse(50))
	none := func([]byte) {}
	for i := range 40 {
		d, _ := codec.NewDecoder("gzip", codec.Limit{Plain: 3000 + int64(i%2)<<20})
		switch i % 4 {
		case 0:
			d.Feed(wire, none)
			d.Close(none)
		case 1:
			d.Feed(wire[:len(wire)/2], none)
			d.Close(none)
		case 2:
			d.Feed(wire, none) // too large
		case 3:
			d.Feed(wire[:len(wire)/2], none) // forgotten
		}
	}
	for range 500 {
		runtime.GC()
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

func FuzzDecoder(f *testing.F) {
	for _, coding := range codings {
		f.Add(strings.TrimSpace(coding), encode(f, coding, sse(3)))
	}
	f.Fuzz(func(t *testing.T, coding string, wire []byte) {
		if len(wire) > 1<<12 {
			return
		}
		checkCuts(t, coding, wire)
	})
}
