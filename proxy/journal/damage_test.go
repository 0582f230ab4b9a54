package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/proxy/journal"
)

// recorded writes a raw segment of ten exchanges, as a crash leaves it: not
// closed. It returns the segment's path and where its frames begin.
func recorded(t testing.TB, cfg journal.Config) (path string, offs []int64) {
	t.Helper()
	w, err := journal.NewWriter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		tape := w.Begin(journal.Flow{ID: fmt.Sprint("x", i), Session: fmt.Sprint("s", i%2)})
		tape.Feed(journal.Request, time.Second, 5, fmt.Appendf(nil, "exchange %d says something new", i))
		tape.End(journal.End{})
		w.Drain()
	}
	w.Unlock()
	path = glob(t, cfg.Dir, "*.seg")[0]
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return path, journal.FrameOffsets(f)
}

// damages are ways to break a segment of ten exchanges of three frames each.
// off is where the frames begin; 3*i is the begin of exchange i, 30 the end.
var damages = map[string]struct {
	do      func(b []byte, off []int64) []byte
	survive int  // finished exchanges
	partial int  // exchanges that lost their end
	corrupt bool // reported, and quarantined by Repair; otherwise it is a torn tail
}{
	"nothing":          {func(b []byte, _ []int64) []byte { return b }, 10, 0, false},
	"empty file":       {func(b []byte, _ []int64) []byte { return nil }, 0, 0, false},
	"torn header":      {func(b []byte, _ []int64) []byte { return b[:20] }, 0, 0, false},
	"zeros throughout": {func(b []byte, _ []int64) []byte { clear(b); return b }, 0, 0, false},
	"another's header": {func(b []byte, _ []int64) []byte { copy(b, "something else"); return b }, 0, 0, true},
	"damaged header":   {func(b []byte, _ []int64) []byte { b[20]++; return b }, 0, 0, true},
	"only a header":    {func(b []byte, off []int64) []byte { return b[:off[0]] }, 0, 0, false},

	"torn last frame":    {func(b []byte, off []int64) []byte { return b[:off[30]-1] }, 9, 1, false},
	"torn frame head":    {func(b []byte, off []int64) []byte { return b[:off[29]+3] }, 9, 1, false},
	"torn between":       {func(b []byte, off []int64) []byte { return b[:off[28]] }, 9, 1, false},
	"zeros at the end":   {func(b []byte, off []int64) []byte { return append(b, make([]byte, 5000)...) }, 10, 0, false},
	"last frame zeroed":  {func(b []byte, off []int64) []byte { clear(b[off[29]:]); return b }, 9, 1, false},
	"noise at the end":   {func(b []byte, off []int64) []byte { return append(b, bytes.Repeat([]byte("noise"), 99)...) }, 10, 0, false},
	"hole before frames": {func(b []byte, off []int64) []byte { clear(b[off[15]:off[16]]); return b }, 5, 0, false},
	"bad checksum":       {func(b []byte, off []int64) []byte { b[off[29]+4]++; return b }, 9, 1, false},
	"bad length":         {func(b []byte, off []int64) []byte { b[off[29]]++; return b }, 9, 1, false},
	"enormous length":    {func(b []byte, off []int64) []byte { copy(b[off[29]:], "\xff\xff\xff\x7f"); return b }, 9, 1, false},
	"bad type":           {func(b []byte, off []int64) []byte { b[off[29]+8] = 99; return b }, 9, 1, false},
	"bad payload":        {func(b []byte, off []int64) []byte { b[off[29]+9]++; return b }, 9, 1, false},

	"damage that was durable": {func(b []byte, off []int64) []byte {
		b = append(b, journal.MarkDurable(off[30])...)
		b[off[16]+9]++
		return b
	}, 5, 1, true},
	"damage after what was durable": {func(b []byte, off []int64) []byte {
		b = append(b, journal.MarkDurable(off[15])...)
		b[off[16]+9]++
		return b
	}, 5, 1, false},
	"a block among the frames": {func(b []byte, off []int64) []byte { return append(b[:off[15]], journal.Frame(10, []byte("x"))...) }, 5, 0, true},
	"a frame twice":            {func(b []byte, off []int64) []byte { return append(b[:off[1]], b[off[0]:off[1]]...) }, 0, 1, true},
	"an end without beginning": {func(b []byte, off []int64) []byte { return append(b[:off[0]], b[off[2]:]...) }, 0, 0, true},
}

func TestDamage(t *testing.T) {
	for name, c := range damages {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path, off := recorded(t, journal.Config{Dir: dir})
			spoil(t, path, func(b []byte) []byte { return c.do(b, off) })
			all, errs := readAll(t, dir)
			checkLeft(t, all, c.survive, c.partial)
			if corrupt := new(journal.CorruptError); (len(errs) == 1 && errors.As(errs[0], &corrupt)) != c.corrupt || len(errs) > 1 {
				t.Errorf("read: got errors %v, want a CorruptError: %v", errs, c.corrupt)
			}
		})
	}
}

// TestDamageRepair repairs the same damage, apart from frames that are whole
// and make no sense: those no disk makes.
func TestDamageRepair(t *testing.T) {
	for name, c := range damages {
		if strings.HasPrefix(name, "a ") || strings.HasPrefix(name, "an ") && name != "another's header" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path, off := recorded(t, journal.Config{Dir: dir})
			spoil(t, path, func(b []byte) []byte { return c.do(b, off) })
			was, _ := os.ReadFile(path)
			done, err := journal.Repair(dir)
			if err != nil {
				t.Fatal(err)
			}
			checkLeft(t, reading(t, dir), c.survive, c.partial)
			aside := glob(t, dir, "*.corrupt")
			if c.corrupt && len(aside) != 1 {
				t.Errorf("Repair() = %v and set aside %v, want the segment set aside", done, aside)
			}
			if len(aside) == 1 {
				if kept, _ := os.ReadFile(aside[0]); !bytes.Equal(kept, was) {
					t.Error("the file set aside is not as it was")
				}
			}
			if again, err := journal.Repair(dir); err != nil || len(again) != 0 {
				t.Errorf("Repair a second time = %v, %v, want nothing to do", again, err)
			}
		})
	}
}

// TestDamageAdopted opens a writer on the same damage: it must not make it
// worse, and what it records must be read.
func TestDamageAdopted(t *testing.T) {
	for name, c := range damages {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path, off := recorded(t, journal.Config{Dir: dir})
			spoil(t, path, func(b []byte) []byte { return c.do(b, off) })
			w, stop := running(t, journal.Config{Dir: dir})
			tape := w.Begin(journal.Flow{ID: "later"})
			tape.End(journal.End{})
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			all, errs := readAll(t, dir)
			if n := len(all); n == 0 || all[n-1].Flow.ID != "later" {
				t.Fatalf("got %d exchanges, want the later one last", n)
			}
			checkLeft(t, all[:len(all)-1], c.survive, c.partial)
			if (len(errs) > 0) != c.corrupt {
				t.Errorf("read: got errors %v, want some: %v", errs, c.corrupt)
			}
		})
	}
}

// TestCompressedDamage breaks a compressed segment between two others.
func TestCompressedDamage(t *testing.T) {
	id, recipient, _ := journal.NewIdentity()
	for name, recipients := range map[string][]string{"plain": nil, "sealed": {recipient}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var players [3]*player
			for i := range players {
				w, stop := running(t, journal.Config{Dir: dir, Recipients: recipients})
				players[i] = newPlayer(w, uint64(i))
				players[i].n = 1000 * i
				for range 800 {
					players[i].step("s")
				}
				players[i].finish()
				if err := stop(); err != nil {
					t.Fatal(err)
				}
			}
			path := filepath.Join(dir, "00000002.zseg")
			spoil(t, path, func(b []byte) []byte { b[len(b)-len(b)/8]++; return b })
			all, errs := readAll(t, dir, id)
			c := new(journal.CorruptError)
			if len(errs) != 1 || !errors.As(errs[0], &c) || c.Segment != "00000002.zseg" || c.Offset == 0 {
				t.Fatalf("read: got errors %v, want one for the second segment", errs)
			}
			if done, err := journal.Repair(dir); err != nil || len(done) != 1 || done[0].Quarantined != "00000002.zseg.corrupt" {
				t.Fatalf("Repair() = %v, %v, want the second segment set aside", done, err)
			}
			again := reading(t, dir, id)
			if len(again) != len(all) {
				t.Errorf("got %d exchanges after the repair, want %d as before", len(again), len(all))
			}
			count := [3]int{}
			for _, x := range again {
				var n int
				fmt.Sscanf(x.Flow.ID, "x%d", &n)
				count[(n-1)/1000]++
			}
			if count[0] != len(players[0].want) || count[2] != len(players[2].want) || count[1] == 0 {
				t.Errorf("got %v exchanges by segment, want all of the first (%d) and the last (%d) and some of the second",
					count, len(players[0].want), len(players[2].want))
			}
		})
	}
}

func TestSealedTail(t *testing.T) {
	id, recipient, _ := journal.NewIdentity()
	other, _, _ := journal.NewIdentity()
	dir := t.TempDir()
	path, off := recorded(t, journal.Config{Dir: dir, Recipients: []string{recipient}})
	raw, _ := os.ReadFile(path)
	if bytes.Contains(raw, []byte("something new")) {
		t.Error("the segment holds plain text")
	}
	spoil(t, path, func(b []byte) []byte { return b[:off[30]-1] })
	for _, identities := range [][]string{nil, {other}} {
		r, err := journal.Open(dir, journal.ReadConfig{Identities: identities})
		if err != nil {
			t.Fatal(err)
		}
		for x, err := range r.Exchanges() {
			if !errors.Is(err, journal.ErrSealed) {
				t.Errorf("read without the identity = %v, %v, want %v", x, err, journal.ErrSealed)
			}
		}
	}
	done, err := journal.Repair(dir)
	if err != nil || len(done) != 1 || done[0].Quarantined != "" || done[0].Kept != off[29] {
		t.Fatalf("Repair() = %v, %v, want the tail cut at %d", done, err, off[29])
	}
	checkLeft(t, reading(t, dir, id), 9, 1)
	spoil(t, path, func(b []byte) []byte { // exchange two frames of equal length
		a, c := bytes.Clone(b[off[4]:off[5]]), b[off[7]:off[8]]
		copy(b[off[4]:], c)
		copy(b[off[7]:], a)
		return b
	})
	if _, errs := readAll(t, dir, id); len(errs) != 1 || !strings.Contains(errs[0].Error(), "altered or moved") {
		t.Errorf("read after frames changed places: got errors %v, want one that says so", errs)
	}
}

func TestLaterVersion(t *testing.T) {
	dir := t.TempDir()
	path, _ := recorded(t, journal.Config{Dir: dir})
	spoil(t, path, func(b []byte) []byte { b[8]++; return b })
	if _, errs := readAll(t, dir); len(errs) != 1 || !errors.Is(errs[0], journal.ErrVersion) {
		t.Errorf("read: got errors %v, want %v", errs, journal.ErrVersion)
	}
	if done, err := journal.Repair(dir); err != nil || len(done) != 0 {
		t.Errorf("Repair() = %v, %v, want it to leave a later version alone", done, err)
	}
}

func spoil(t testing.TB, path string, do func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, do(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

// checkLeft checks what is left of the exchanges of recorded.
func checkLeft(t testing.TB, all []kept, survive, partial int) {
	t.Helper()
	finished, cut := 0, 0
	for i, x := range all {
		if x.Flow.ID != fmt.Sprint("x", i) {
			t.Errorf("exchange %d has id %s, want x%d", i, x.Flow.ID, i)
		}
		want := fmt.Sprintf("exchange %d says something new", i)
		if x.Finished {
			finished++
			if string(x.Request.Body) != want {
				t.Errorf("exchange %d says %q, want %q", i, x.Request.Body, want)
			}
			continue
		}
		cut++
		if !strings.HasPrefix(want, string(x.Request.Body)) {
			t.Errorf("exchange %d says %q, want a part of %q", i, x.Request.Body, want)
		}
	}
	if finished != survive || cut != partial {
		t.Errorf("got %d finished exchanges and %d others, want %d and %d", finished, cut, survive, partial)
	}
}
