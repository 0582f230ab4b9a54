package schema_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/capstan-bench/capstan/schema"
)

// FuzzRead: whatever a file holds, reading ends with rows or an error that names
// the file; rows that come out can be written again.
func FuzzRead(f *testing.F) {
	whole := contentOf(f, write(f, fullItem(0), fullItem(1)))
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte{})
	f.Add([]byte("PAR1PAR1PAR1"))
	f.Add([]byte("PAR1" + frame("\x29\xfc\xff\xff\xff\xff\x07")))
	for _, at := range []int{10, len(whole) / 3, len(whole) - 20, len(whole) - 200} {
		broken := bytes.Clone(whole)
		broken[at] ^= 0x40
		f.Add(broken)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		path := overwrite(t, filepath.Join(t.TempDir(), "fuzz.parquet"), content)
		rows, err := read[schema.Item](path)
		if err != nil && !bytes.Contains([]byte(err.Error()), []byte(path)) {
			t.Errorf("error %q does not name the file", err)
		}
		for _, row := range rows {
			if err := row.Validate(); err != nil {
				t.Errorf("a row that does not validate came out: %v", err)
			}
		}
		// The same with lists and the other encodings.
		for _, err := range schema.Read[schema.PrefixBlocks](path) {
			if err != nil {
				break
			}
		}
	})
}

// FuzzCallRoundTrip writes what the fuzzer makes up and reads the same.
func FuzzCallRoundTrip(f *testing.F) {
	f.Add("", int64(0), int32(0), "ins")
	f.Add("{}", int64(1)<<62, int32(1)<<30, "\x00é")
	f.Fuzz(func(t *testing.T, text string, number int64, small int32, ins string) {
		c := bareCall(0)
		c.ExtraJSON, c.GapUS, c.Seed, c.TopK = &text, &number, &number, &small
		c.Patches = []schema.Patch{{Off: 1, Del: 1, Ins: ins}}
		c.ContextRanges = []schema.Range{{StartItem: 0, EndItem: 1}}
		c.NumContextItems = 1
		w, err := schema.NewWriter[schema.Call](filepath.Join(t.TempDir(), "a.parquet"), nil)
		if err != nil {
			t.Fatal(err)
		}
		err = w.Write([]schema.Call{c})
		w.Abort()
		if err != nil {
			return // not UTF-8
		}
		roundTrip(t, c)
	})
}
