package journal_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/capstan-bench/capstan/proxy/journal"
)

// soakEnv turns on the long versions of tests.
const soakEnv = "CAPSTAN_SOAK"

// crashDisk is a disk that can tell what it would hold after a power cut: what
// was synced, and of the rest as much as chance leaves.
type crashDisk struct {
	journal.OSDisk
	delay func() time.Duration // of an fsync
	mu    sync.Mutex
	names map[string]*inode // as they are
	kept  map[string]*inode // as the last SyncDir left them
	ops   []func(map[string]*inode)
}

type inode struct{ data, kept []byte }

func newCrashDisk() *crashDisk {
	return &crashDisk{delay: func() time.Duration { return 0 }, names: map[string]*inode{}, kept: map[string]*inode{}}
}

// note does op to the names, and remembers that it is not durable.
func (d *crashDisk) note(op func(map[string]*inode)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	op(d.names)
	d.ops = append(d.ops, op)
}

func (d *crashDisk) Create(path string) (journal.File, error) {
	f, err := d.OSDisk.Create(path)
	if err != nil {
		return nil, err
	}
	n := &inode{}
	d.note(func(m map[string]*inode) { m[filepath.Base(path)] = n })
	return &crashFile{File: f, disk: d, node: n}, nil
}

func (d *crashDisk) Rename(from, to string) error {
	if err := d.OSDisk.Rename(from, to); err != nil {
		return err
	}
	d.note(func(m map[string]*inode) {
		m[filepath.Base(to)] = m[filepath.Base(from)]
		delete(m, filepath.Base(from))
	})
	return nil
}

func (d *crashDisk) Remove(path string) error {
	if err := d.OSDisk.Remove(path); err != nil {
		return err
	}
	d.note(func(m map[string]*inode) { delete(m, filepath.Base(path)) })
	return nil
}

func (d *crashDisk) SyncDir(string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept, d.ops = maps.Clone(d.names), nil
	return nil
}

type crashFile struct {
	journal.File
	disk *crashDisk
	node *inode
}

func (f *crashFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.node.data = append(f.node.data, p[:n]...)
	return n, err
}

func (f *crashFile) Sync() error {
	f.disk.mu.Lock()
	data := bytes.Clone(f.node.data)
	f.disk.mu.Unlock()
	time.Sleep(f.disk.delay())
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.node.kept = data
	return nil
}

// cut writes to dir what a power cut at this moment would leave.
func (d *crashDisk) cut(t testing.TB, rng *rand.Rand, dir string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	names := maps.Clone(d.kept)
	for _, op := range d.ops[:rng.IntN(len(d.ops)+1)] {
		op(names)
	}
	for name, n := range names {
		if err := os.WriteFile(filepath.Join(dir, name), n.left(rng), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// left is what remains of a file: nothing that was not synced, a part of it, or
// all of its length with pages that never came.
func (n *inode) left(rng *rand.Rand) []byte {
	b := bytes.Clone(n.kept)
	rest := n.data[len(b):]
	switch rng.IntN(3) {
	case 0:
		b = append(b, rest[:rng.IntN(len(rest)+1)]...)
	case 1:
		b = append(b, rest...)
		for at := len(n.kept); at < len(b); at += 512 {
			if rng.IntN(2) == 0 {
				clear(b[at:min(at+512, len(b))])
			}
		}
	}
	return b
}

// ledger holds when what was fed to which exchange.
type ledger struct {
	*player
	log map[string][]entry
}

type entry struct {
	at    time.Time
	size  [2]int
	ended bool
}

// do takes one step and notes for every exchange how far it is.
func (l *ledger) do() {
	l.step("s")
	for id, x := range l.want {
		e := entry{at: time.Now(), size: [2]int{len(x.Request.Body), len(x.Response.Body)}, ended: x.Finished}
		log := l.log[id]
		if n := len(log); n == 0 || log[n-1].size != e.size || log[n-1].ended != e.ended {
			l.log[id] = append(log, e)
		}
	}
}

// owed returns what of an exchange was fed up to limit.
func (l *ledger) owed(id string, limit time.Time) (e entry, ok bool) {
	for _, v := range l.log[id] {
		if v.at.After(limit) {
			break
		}
		e, ok = v, true
	}
	return e, ok
}

// audit compares what was read with what was fed up to limit: that must be
// there, and nothing that was never fed.
func (l *ledger) audit(t testing.TB, got []kept, limit time.Time) {
	t.Helper()
	byID := map[string]kept{}
	for _, x := range got {
		if _, twice := byID[x.Flow.ID]; twice {
			t.Errorf("exchange %s was read twice", x.Flow.ID)
		}
		byID[x.Flow.ID] = x
	}
	for id, want := range l.want {
		owed, ok := l.owed(id, limit)
		x, found := byID[id]
		if ok && !found {
			t.Errorf("exchange %s is lost; it was fed %v bytes before the limit", id, owed.size)
			continue
		}
		if owed.ended && !x.Finished {
			t.Errorf("exchange %s lost its end", id)
		}
		for i, pair := range [][2][]byte{{x.Request.Body, want.Request.Body}, {x.Response.Body, want.Response.Body}} {
			if len(pair[0]) < owed.size[i] {
				t.Errorf("exchange %s has %d bytes of its %v, want at least %d", id, len(pair[0]), journal.Dir(i), owed.size[i])
			}
			if !bytes.HasPrefix(pair[1], pair[0]) {
				t.Errorf("exchange %s has bytes in its %v that were not fed", id, journal.Dir(i))
			}
		}
	}
}

// TestPowerCuts cuts the power of a disk that drops what was not synced, at
// random moments of a recording that rotates and compresses. What a Sync
// acknowledged must be there, and everything that is older than 50 ms.
func TestPowerCuts(t *testing.T) {
	runs, cuts := 2, 15
	if os.Getenv(soakEnv) != "" {
		runs, cuts = 20, 10 // 200 in all
	}
	for seed := range uint64(runs) {
		synctest.Test(t, func(t *testing.T) { powerCuts(t, seed, cuts) })
	}
}

func powerCuts(t *testing.T, seed uint64, cuts int) {
	rng := rand.New(rand.NewPCG(seed, 9))
	d := newCrashDisk()
	d.delay = func() time.Duration { return time.Duration(rand.IntN(8000)) * time.Microsecond }
	w, err := journal.NewWriter(journal.WithDisk(journal.Config{Dir: t.TempDir(), SegmentBytes: 48 << 10}, d))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	l := &ledger{player: newPlayer(w, seed), log: map[string][]entry{}}
	var acked time.Time
	for range cuts {
		for range 10 + rng.IntN(60) {
			l.do()
			time.Sleep(time.Duration(rng.IntN(6000)) * time.Microsecond)
		}
		if rng.IntN(3) == 0 {
			before := time.Now()
			if err := w.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			acked = before
		}
		limit := time.Now().Add(-50 * time.Millisecond)
		if acked.After(limit) {
			limit = acked
		}
		afterCut(t, d, rng, l, limit)
	}
}

// afterCut reads what a cut leaves, as it is and repaired.
func afterCut(t *testing.T, d *crashDisk, rng *rand.Rand, l *ledger, limit time.Time) {
	t.Helper()
	dir := t.TempDir()
	d.cut(t, rng, dir)
	all, errs := readAll(t, dir)
	l.audit(t, all, limit)
	for _, err := range errs {
		if c := new(journal.CorruptError); !errors.As(err, &c) {
			t.Errorf("read after a cut: %v, want a CorruptError", err)
		}
	}
	if _, err := journal.Repair(dir); err != nil {
		t.Fatal(err)
	}
	l.audit(t, reading(t, dir), limit)
	if t.Failed() {
		entries, _ := fs.Glob(os.DirFS(dir), "*")
		t.Fatalf("the cut left %v", entries)
	}
}
