package journal_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/capstan-bench/capstan/proxy/journal"
)

// FuzzReader reads arbitrary bytes as a segment: it must not panic, and its
// memory is bounded whatever the bytes say.
func FuzzReader(f *testing.F) {
	dir := f.TempDir()
	path, off := recorded(f, journal.Config{Dir: dir})
	raw, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw, true)
	f.Add(raw[:off[7]+5], true)
	w, err := journal.NewWriter(journal.Config{Dir: dir})
	if err != nil {
		f.Fatal(err)
	}
	w.Shut()
	f.Add(append(bytes.Clone(raw[:off[4]]), bytes.Repeat(raw[off[1]:off[2]], 20)...), true)
	f.Add(raw[off[0]:], false)
	for name := range damages {
		if d := damages[name].do(bytes.Clone(raw), off); len(d) > int(off[0]) {
			f.Add(d, true)
		}
	}
	header := raw[:off[0]]
	f.Fuzz(func(t *testing.T, b []byte, whole bool) {
		if !whole { // frames with right checksums reach the parsers
			b = append(bytes.Clone(header), reseal(b)...)
		}
		journal.ReadSegment(bytes.NewReader(b), 8<<20)
	})
}

// reseal cuts b into frames: a type, a length of up to 255, a payload.
func reseal(b []byte) (out []byte) {
	for len(b) >= 2 {
		kind, n := b[0]%11, min(int(b[1]), len(b)-2)
		out = append(out, journal.Frame(kind, b[2:2+n])...)
		b = b[2+n:]
	}
	return out
}
