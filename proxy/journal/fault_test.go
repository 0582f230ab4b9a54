package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/capstan-bench/capstan/proxy/journal"
)

// faultDisk asks before it writes, truncates and syncs segments.
type faultDisk struct {
	journal.OSDisk
	mu       sync.Mutex
	write    func(n int) (int, error) // how many of n bytes to write
	truncate error
	sync     func() error
	create   error
}

// set changes how the disk fails.
func (d *faultDisk) set(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

func (d *faultDisk) Create(path string) (journal.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.create != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: d.create}
	}
	f, err := d.OSDisk.Create(path)
	return &faultFile{File: f, disk: d}, err
}

type faultFile struct {
	journal.File
	disk *faultDisk
}

func (f *faultFile) Write(p []byte) (int, error) {
	f.disk.mu.Lock()
	ask := f.disk.write
	f.disk.mu.Unlock()
	if ask == nil {
		return f.File.Write(p)
	}
	n, err := ask(len(p))
	m, err2 := f.File.Write(p[:n])
	return m, errors.Join(err, err2)
}

func (f *faultFile) Truncate(n int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.disk.truncate != nil {
		return f.disk.truncate
	}
	return f.File.Truncate(n)
}

func (f *faultFile) Sync() error {
	f.disk.mu.Lock()
	ask := f.disk.sync
	f.disk.mu.Unlock()
	if ask == nil {
		return nil
	}
	return ask()
}

// bubble runs a writer on a disk that can fail, in virtual time.
func bubble(t *testing.T, cfg journal.Config, f func(t *testing.T, w *journal.Writer, d *faultDisk, stop func() error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &faultDisk{}
		w, stop := running(t, journal.WithDisk(cfg, d))
		f(t, w, d, stop)
	})
}

// TestDiskFull fills the disk in the middle of a recording and makes room
// again.
func TestDiskFull(t *testing.T) {
	var told []journal.Trouble
	dir := t.TempDir()
	cfg := journal.Config{Dir: dir, Budget: 1 << 20, Notify: func(x journal.Trouble) { told = append(told, x) }}
	bubble(t, cfg, func(t *testing.T, w *journal.Writer, d *faultDisk, stop func() error) {
		long := w.Begin(journal.Flow{ID: "long"})
		long.Feed(journal.Request, 0, 5, []byte("kept "))
		whole := w.Begin(journal.Flow{ID: "whole"})
		whole.Feed(journal.Request, 0, 5, []byte("whole"))
		whole.End(journal.End{})
		if err := w.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.set(func() { d.write = func(n int) (int, error) { return min(n, 7), syscall.ENOSPC } })
		start := time.Now()
		chunk := make([]byte, 10_000)
		for range 1100 { // ten times the budget
			long.Feed(journal.Response, 0, 9, chunk)
			if q := w.Stats().Queued; q > cfg.Budget+1000 {
				t.Fatalf("%d bytes are queued, the budget is %d", q, cfg.Budget)
			}
		}
		for i := range 2000 {
			tape := w.Begin(journal.Flow{ID: fmt.Sprint("absent", i)})
			tape.Feed(journal.Request, 0, 100, make([]byte, 100))
			tape.End(journal.End{})
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("feeding waited %v for a full disk", d)
		}
		time.Sleep(5 * time.Second)
		if err := w.Err(); !errors.Is(err, syscall.ENOSPC) || w.Healthy() {
			t.Errorf("Err() on a full disk = %v, want %v", err, syscall.ENOSPC)
		}
		d.set(func() { d.write = nil })
		time.Sleep(5 * time.Second)
		if err := w.Err(); err != nil {
			t.Errorf("Err() with room again = %v, want nil", err)
		}
		long.End(journal.End{Outcome: journal.ClientCut})
		after := w.Begin(journal.Flow{ID: "after"})
		after.Feed(journal.Request, 0, 5, []byte("after"))
		after.End(journal.End{})
		err := stop()
		loss := new(journal.LossError)
		if !errors.As(err, &loss) || loss.Bytes < 9_000_000 || loss.Exchanges < 1000 {
			t.Errorf("Run() = %v, want a LossError of about 10 MB and most of 2001 exchanges", err)
		}
		if s := w.Stats(); s.Queued != 0 || s.Open != 0 {
			t.Errorf("Stats() = %+v, want nothing queued or open", s)
		}
		full(t, dir, loss)
	})
	if n := len(told); n < 2 || told[0].Over || !errors.Is(told[n-1].Cause, syscall.ENOSPC) || !told[n-1].Over || told[n-1].Bytes < 9_000_000 {
		t.Errorf("Notify was told %v, want the beginning and the end of a full disk", told)
	}
}

// full checks the journal that TestDiskFull leaves.
func full(t *testing.T, dir string, loss *journal.LossError) {
	r, err := journal.Open(dir, journal.ReadConfig{})
	if err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	got := map[string]string{}
	for x, err := range r.Exchanges() {
		if err != nil {
			t.Fatal(err)
		}
		got[x.Flow.ID] = fmt.Sprintf("%s %v %v", x.Request.Body, x.Finished, x.Loss.Any())
		if x.Loss.Any() {
			n++
		}
		if x.Flow.ID == "long" && (len(x.Response.Body) > 1<<20 || x.Loss.Bytes[journal.Response]+int64(len(x.Response.Body)) != 11_000_000) {
			t.Errorf("of the long exchange %d bytes are kept and %d lost, want 11000000 together", len(x.Response.Body), x.Loss.Bytes)
		}
	}
	for id, want := range map[string]string{"long": "kept  true true", "whole": "whole true false", "after": "after true false"} {
		if got[id] != want {
			t.Errorf("exchange %s reads %q, want %q", id, got[id], want)
		}
	}
	gaps := r.Gaps()
	if len(gaps) != 1 || gaps[0].Exchanges+n != loss.Exchanges || gaps[0].Cause == "" || !gaps[0].Until.After(gaps[0].Since) {
		t.Errorf("Gaps() = %+v, want one of the %d exchanges that %d marks do not tell of", gaps, loss.Exchanges, n)
	}
}

// TestPartialWrites fails one write at every position in turn. Nothing may be
// lost.
func TestPartialWrites(t *testing.T) {
	for at := 0; at < 400; at += 7 {
		dir := t.TempDir()
		bubble(t, journal.Config{Dir: dir}, func(t *testing.T, w *journal.Writer, d *faultDisk, stop func() error) {
			left := at
			d.set(func() {
				d.write = func(n int) (int, error) {
					if left >= n || left < 0 {
						left -= n
						return n, nil
					}
					n, left = left, -1
					return n, syscall.EIO
				}
			})
			p := newPlayer(w, 5)
			for range 12 {
				p.step("s")
				time.Sleep(11 * time.Millisecond)
			}
			p.finish()
			if err := stop(); err != nil {
				t.Fatalf("at %d: %v", at, err)
			}
			p.check(t, reading(t, dir))
		})
	}
}

// TestBrokenSegment fails writes that cannot be taken back, and fsyncs. What a
// Sync acknowledged stays; what may be missing is marked.
func TestBrokenSegment(t *testing.T) {
	for name, fail := range map[string]func(d *faultDisk){
		"truncate": func(d *faultDisk) {
			d.write = func(n int) (int, error) { return n / 2, syscall.EIO }
			d.truncate = syscall.EIO
		},
		"sync": func(d *faultDisk) { d.sync = func() error { return syscall.EIO } },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			bubble(t, journal.Config{Dir: dir}, func(t *testing.T, w *journal.Writer, d *faultDisk, stop func() error) {
				open := w.Begin(journal.Flow{ID: "open"})
				open.Feed(journal.Request, 0, 5, []byte("acked "))
				if err := w.Sync(t.Context()); err != nil {
					t.Fatal(err)
				}
				d.set(func() { fail(d) })
				open.Feed(journal.Request, 0, 5, []byte("in doubt"))
				if err := w.Sync(t.Context()); !errors.Is(err, syscall.EIO) {
					t.Errorf("Sync on a failing disk = %v, want %v", err, syscall.EIO)
				}
				d.set(func() { d.write, d.sync, d.truncate = nil, nil, nil })
				open.Feed(journal.Request, 0, 5, []byte("after"))
				open.End(journal.End{})
				later := w.Begin(journal.Flow{ID: "later"})
				later.End(journal.End{})
				if err := w.Sync(t.Context()); err != nil {
					t.Errorf("Sync on a disk that works again: %v", err)
				}
				if loss := new(journal.LossError); !errors.As(stop(), &loss) {
					t.Error("Run told of no loss")
				}
			})
			if _, err := journal.Repair(dir); err != nil {
				t.Fatal(err)
			}
			all := reading(t, dir)
			if len(all) != 2 || all[0].Flow.ID != "open" || all[1].Flow.ID != "later" {
				t.Fatalf("got %d exchanges, want two", len(all))
			}
			if x := all[0]; !x.Loss.Any() || !x.Finished || !bytes.HasPrefix(x.Request.Body, []byte("acked ")) || !bytes.HasPrefix([]byte("acked in doubt"), x.Request.Body) {
				t.Errorf("the exchange reads %q, lost %v, want what was acknowledged, and a mark", x.Request.Body, x.Loss)
			}
			if all[1].Loss.Any() {
				t.Error("an exchange that began later is marked")
			}
		})
	}
}

// TestRandomFaults lets everything fail now and then, while the writer rotates.
func TestRandomFaults(t *testing.T) {
	for seed := range uint64(12) {
		dir := t.TempDir()
		bubble(t, journal.Config{Dir: dir, SegmentBytes: 32 << 10}, func(t *testing.T, w *journal.Writer, d *faultDisk, stop func() error) {
			rng := rand.New(rand.NewPCG(seed, 4))
			rare := func(err error) error {
				d.mu.Lock()
				defer d.mu.Unlock()
				if rng.IntN(10) == 0 {
					return err
				}
				return nil
			}
			d.set(func() {
				d.write = func(n int) (int, error) {
					if err := rare(syscall.ENOSPC); err != nil {
						return n / 3, err
					}
					return n, nil
				}
				d.sync = func() error { return rare(syscall.EIO) }
			})
			l := &ledger{player: newPlayer(w, seed), log: map[string][]entry{}}
			acked := map[string]kept{}
			for i := range 300 {
				l.do()
				time.Sleep(time.Duration(i%7) * time.Millisecond)
				if before := time.Now(); i%20 == 0 && w.Sync(t.Context()) == nil {
					all, _ := readAll(t, dir)
					for _, x := range all {
						acked[x.Flow.ID] = x
					}
					l.auditUnmarked(t, acked, before)
				}
				d.set(func() {
					d.truncate = nil
					if i%50 > 45 {
						d.truncate = syscall.EIO
					}
				})
			}
			d.set(func() { d.write, d.sync, d.truncate = nil, nil, nil })
			l.finish()
			var loss *journal.LossError
			if err := stop(); err != nil && !errors.As(err, &loss) {
				t.Errorf("seed %d: Run() = %v, want a LossError", seed, err)
			}
			if _, err := journal.Repair(dir); err != nil {
				t.Fatal(err)
			}
			l.audit(t, reading(t, dir), time.Time{})
			marked := int64(0)
			seen := map[string]bool{}
			for _, x := range reading(t, dir) {
				if seen[x.Flow.ID] {
					t.Errorf("seed %d: exchange %s was read twice", seed, x.Flow.ID)
				}
				seen[x.Flow.ID] = true
				if a := acked[x.Flow.ID]; len(x.Request.Body) < len(a.Request.Body) || len(x.Response.Body) < len(a.Response.Body) || a.Finished && !x.Finished {
					t.Errorf("seed %d: exchange %s lost what was acknowledged", seed, x.Flow.ID)
				}
				delete(acked, x.Flow.ID)
				want := l.want[x.Flow.ID]
				if x.Loss.Any() {
					marked++
				} else if x.Finished && (!bytes.Equal(x.Request.Body, want.Request.Body) || !bytes.Equal(x.Response.Body, want.Response.Body)) {
					t.Errorf("seed %d: exchange %s lost something and is not marked", seed, x.Flow.ID)
				}
			}
			if len(acked) > 0 {
				t.Errorf("seed %d: %d exchanges are gone that were acknowledged", seed, len(acked))
			}
			if loss == nil && marked > 0 || loss != nil && marked > loss.Exchanges {
				t.Errorf("seed %d: %d exchanges are marked, Run() = %v", seed, marked, loss)
			}
		})
	}
}

// auditUnmarked checks that what was fed up to limit is among got, unless it is
// marked.
func (l *ledger) auditUnmarked(t *testing.T, got map[string]kept, limit time.Time) {
	t.Helper()
	for id := range l.want {
		owed, ok := l.owed(id, limit)
		x := got[id]
		if owed.ended && !x.Finished && l.w.Stats().LostExchanges > 0 {
			continue // its end was in what was given up
		}
		if ok && !x.Loss.Any() && (len(x.Request.Body) < owed.size[0] || len(x.Response.Body) < owed.size[1]) {
			t.Errorf("exchange %s was acknowledged up to %+v; %d and %d bytes of it are there, finished %v, and no mark",
				id, owed, len(x.Request.Body), len(x.Response.Body), x.Finished)
		}
	}
}

// TestStuckDisk ends a writer whose disk does not return from a write.
func TestStuckDisk(t *testing.T) {
	dir := t.TempDir()
	bubble(t, journal.Config{Dir: dir, Budget: 1 << 20, Grace: 3 * time.Second}, func(t *testing.T, w *journal.Writer, d *faultDisk, stop func() error) {
		free := make(chan struct{})
		d.set(func() {
			d.write = func(n int) (int, error) {
				<-free
				return n, nil
			}
		})
		tape := w.Begin(journal.Flow{})
		start := time.Now()
		for range 1000 {
			tape.Feed(journal.Request, 0, 9, make([]byte, 5000))
			time.Sleep(time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		if s := w.Stats(); s.LostBytes == 0 || s.Queued > 1<<20 || s.Lag < 2*time.Second {
			t.Errorf("Stats() = %+v, want a lag, a loss, and no more than the budget", s)
		}
		if err := w.Err(); !errors.Is(err, journal.ErrBehind) {
			t.Errorf("Err() = %v, want %v", err, journal.ErrBehind)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.Sync(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Sync() = %v, want it to end with its context", err)
		}
		before := time.Since(start)
		if err := stop(); !errors.Is(err, journal.ErrStuck) {
			t.Errorf("Run() = %v, want %v", err, journal.ErrStuck)
		}
		if d := time.Since(start) - before; d > 5*time.Second {
			t.Errorf("Run took %v to give up", d)
		}
		close(free)
		synctest.Wait()
	})
}

// TestFullAtTheEnd ends a writer while its disk is full, and one whose segment
// could never be made.
func TestFullAtTheEnd(t *testing.T) {
	for name, fail := range map[string]func(d *faultDisk){
		"write":  func(d *faultDisk) { d.write = func(int) (int, error) { return 0, syscall.ENOSPC } },
		"create": func(d *faultDisk) { d.create = syscall.ENOSPC },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, journal.Config{Dir: t.TempDir(), Grace: 3 * time.Second}, func(t *testing.T, w *journal.Writer, d *faultDisk, stop func() error) {
				d.set(func() { fail(d) })
				tape := w.Begin(journal.Flow{})
				tape.Feed(journal.Request, 0, 9, []byte("lost"))
				time.Sleep(time.Second)
				start := time.Now()
				if err := stop(); !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("Run() = %v, want %v", err, syscall.ENOSPC)
				}
				if d := time.Since(start); d > 5*time.Second {
					t.Errorf("Run took %v to give up", d)
				}
				if err := w.Sync(t.Context()); !errors.Is(err, journal.ErrClosed) {
					t.Errorf("Sync after the end = %v, want %v", err, journal.ErrClosed)
				}
				tape.Feed(journal.Request, 0, 9, []byte("late"))
				w.Begin(journal.Flow{}).End(journal.End{})
			})
		})
	}
}
