package secrets_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/schema/secrets"
)

func BenchmarkRedactor(b *testing.B) {
	text := body(1 << 20)
	for _, n := range []int{0, 1, 10, 100, 500} {
		b.Run(fmt.Sprintf("secrets=%d", n), func(b *testing.B) {
			l := secrets.NewLearned(key)
			for i := range n {
				l.Add("test", token(uint64(i), wordies, 100), false)
			}
			r := secrets.NewRedactor(l, func(time.Duration, int, []byte) {})
			r.Feed(0, 0, []byte("x")) // builds
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				for at := 0; at < len(text); at += 16 << 10 {
					r.Feed(0, 1, text[at:min(at+16<<10, len(text))])
				}
			}
		})
	}
}

// BenchmarkLearn is what a new secret costs: the next read builds the automaton.
func BenchmarkLearn(b *testing.B) {
	for _, n := range []int{1, 10, 100, 500} {
		b.Run(fmt.Sprintf("secrets=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				l := secrets.NewLearned(key)
				for i := range n {
					l.Add("test", token(uint64(i), wordies, 100), false)
				}
				l.Redact([]byte("x"))
			}
		})
	}
}
