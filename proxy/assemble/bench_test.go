package assemble_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/proxy/assemble"
	"github.com/capstan-bench/capstan/proxy/journal"
)

// BenchmarkAssemble packs one session that reaches 400 KB of context; bytes are
// those of its request bodies.
func BenchmarkAssemble(b *testing.B) {
	for i, name := range []string{"chat", "messages"} {
		b.Run("dialect="+name, func(b *testing.B) {
			m := &maker{t: b, style: styles[i], name: "s", truth: map[string]string{}}
			root := &agent{name: "main"}
			var list []*journal.Exchange
			total := int64(0)
			for turn := range 100 {
				m.user(root, strings.Repeat(fmt.Sprintf("words of turn %d, ", turn), 200))
				x := &journal.Exchange{Finished: true, Flow: journal.Flow{ID: m.id("x"), Started: epoch.Add(time.Duration(turn) * time.Second)}}
				x.Request.Heads = []journal.HeadAt{{Head: journal.Head{Line: "POST " + m.style.target + " HTTP/1.1", Fields: m.fields(root)}}}
				read(&x.Request, 0, m.body(root))
				total += int64(len(x.Request.Body))
				list = append(list, x)
			}
			b.SetBytes(total)
			b.ReportAllocs()
			for b.Loop() {
				spool := file(b)
				a := assemble.New(spool, assemble.Config{})
				for _, x := range list {
					if err := a.Add(x); err != nil {
						b.Fatal(err)
					}
				}
				for _, err := range a.Sessions() {
					if err != nil {
						b.Fatal(err)
					}
				}
				info, err := spool.Stat()
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(info.Size()), "spool-B")
			}
		})
	}
}
