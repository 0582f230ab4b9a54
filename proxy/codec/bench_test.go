package codec_test

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/capstan-bench/capstan/proxy/codec"
)

func BenchmarkDecoder(b *testing.B) {
	plain := sse(20_000)
	for _, coding := range []string{"identity", "gzip", "deflate", "br", "zstd"} {
		wire := plain
		if coding != "identity" {
			wire = encode(b, coding, plain)
		}
		b.Run("coding="+coding, func(b *testing.B) {
			b.SetBytes(int64(len(plain)))
			b.ReportAllocs()
			none := func([]byte) {}
			for b.Loop() {
				d, _ := codec.NewDecoder(coding, codec.Limit{})
				for w := wire; len(w) > 0; {
					n := min(len(w), 16<<10)
					d.Feed(w[:n], none)
					w = w[n:]
				}
				if err := d.Close(none); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDecoderOpen tells what one open stream holds, after a kilobyte of
// events and with nothing to do. Later rounds find used memory in the pools, so
// the largest counts.
func BenchmarkDecoderOpen(b *testing.B) {
	for _, coding := range []string{"identity", "gzip", "deflate", "br", "zstd"} {
		b.Run("coding="+coding, func(b *testing.B) {
			wire := sse(10)
			if coding != "identity" {
				var buf bytes.Buffer
				w := newEncoder(coding, &buf)
				w.Write(wire)
				w.Flush()
				wire = buf.Bytes()
			}
			var per float64
			for b.Loop() {
				per = max(per, perOpen(b, func() any {
					d, _ := codec.NewDecoder(coding, codec.Limit{})
					if err := d.Feed(wire, func([]byte) {}); err != nil {
						b.Fatal(err)
					}
					return d
				}))
			}
			b.ReportMetric(per, "B/stream")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func perOpen(b *testing.B, open func() any) float64 {
	const n = 200
	held := make([]any, n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range held {
		held[i] = open()
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(held)
	return float64(int64(after.HeapAlloc+after.StackInuse)-int64(before.HeapAlloc+before.StackInuse)) / n
}
