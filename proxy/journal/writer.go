package journal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// flushShare is the part of Config.SyncEvery after which bytes are written, so
// that a killed process loses less than a power cut does.
const flushShare = 5

// Writer records exchanges. Begin and the methods of its tapes only put things
// into memory; Run does everything else.
type Writer struct {
	cfg     Config
	keys    keyring
	key     journalKey
	lock    *os.File
	numbers atomic.Uint64
	used    atomic.Int64 // of Config.Budget
	closed  atomic.Bool
	ran     atomic.Bool

	wake    chan struct{}   // something waits for the loop
	alarm   chan struct{}   // something waits for report
	rotated chan struct{}   // something waits for the compactor
	synced  chan syncResult // what the fsync in flight came to
	done    chan struct{}   // the loop has ended

	mu struct {
		sync.Mutex
		list     []*Tape      // with something to take
		since    time.Time    // when the first of them was listed
		busy     time.Time    // the since of what the loop is writing
		waiting  []chan error // callers of Sync
		trouble  *Trouble
		over     *Trouble // to be reported
		cause    error    // of the latest loss
		gap      Gap
		stats    Stats
		firsts   map[uint64]int // open exchanges by the segment they begin in
		current  uint64         // segment being written
		compress []*segment     // closed and durable
	}
	own state
}

// state belongs to the loop.
type state struct {
	run      [8]byte
	seq      uint64
	seg      *segment
	enc      *encoder
	open     map[*Tape]bool
	list     []*Tape // memory for the next list
	reads    []Read
	held     int64 // of the budget, for what enc.out holds
	ends     int64 // exchanges that ended since the last fsync
	written  int64 // bytes in all segments
	started  int64 // of which the latest fsync covers
	durable  int64
	lastSync time.Time
	lastMark time.Time
	syncing  bool
	waiting  []chan error // for the next fsync
	old      []*segment   // rotated away, not yet durable
	until    time.Time    // when to give up; zero while running
	ctx      context.Context
}

// NewWriter opens the journal in cfg.Dir for writing and locks it. It cuts what
// a crash left at the end of the last segment and starts a segment of its own;
// older ones it does not touch. Run must be called, if only to unlock it.
func NewWriter(cfg Config) (*Writer, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	keys, err := parseKeyring(cfg.Recipients, nil)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if _, _, _, err := keys.wrap(); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	l, err := lock(cfg.Dir)
	if err != nil {
		return nil, err
	}
	w := &Writer{
		cfg: cfg, keys: keys, lock: l,
		wake: make(chan struct{}, 1), alarm: make(chan struct{}, 1), rotated: make(chan struct{}, 1),
		synced: make(chan syncResult, 1), done: make(chan struct{}),
	}
	if err := w.begin(); err != nil {
		l.Close()
		return nil, err
	}
	return w, nil
}

func (w *Writer) begin() error {
	var err error
	if w.key, err = loadKey(w.cfg.disk, w.cfg.Dir); err != nil {
		return err
	}
	rand.Read(w.own.run[:])
	w.own.open = map[*Tape]bool{}
	w.mu.firsts = map[uint64]int{}
	if w.own.seq, err = lastNumber(w.cfg.Dir); err != nil {
		return err
	}
	if err := w.adopt(); err != nil {
		return err
	}
	return w.fresh()
}

// Begin opens a tape for an exchange. The tape must be ended.
func (w *Writer) Begin(f Flow) *Tape {
	t := &Tape{w: w, number: w.numbers.Add(1)}
	if f.ID == "" {
		f.ID = fmt.Sprintf("%x-%d", w.own.run, t.number)
	}
	t.own.flow = appendFlow(nil, f)
	t.own.at = f.At
	t.own.cost = int64(tapeCost + len(t.own.flow))
	t.own.thread.number = t.number
	if w.reserve(t.own.cost) {
		t.note(op{kind: frameBegin, at: f.At}, nil, 0)
		return t
	}
	t.mu.absent = true
	t.mu.loss.Cause = w.cause().Error()
	w.lose(true, true, 0)
	return t
}

// reserve takes n bytes of the budget, if it has them.
func (w *Writer) reserve(n int64) bool {
	if w.used.Add(n) <= w.cfg.Budget && !w.closed.Load() {
		return true
	}
	w.used.Add(-n)
	return false
}

// list puts t among those that have something to take.
func (w *Writer) list(t *Tape) {
	w.mu.Lock()
	w.mu.list = append(w.mu.list, t)
	first := len(w.mu.list) == 1
	if w.mu.since.IsZero() {
		w.mu.since = time.Now()
	}
	w.mu.Unlock()
	if first {
		notify(w.wake)
	}
}

// Sync returns once everything that was fed before the call is durable. What
// was lost before is not waited for: see Stats. It may wait as long as the disk
// does, or until ctx ends.
func (w *Writer) Sync(ctx context.Context) error {
	c := make(chan error, 1)
	w.mu.Lock()
	w.mu.waiting = append(w.mu.waiting, c)
	w.mu.Unlock()
	notify(w.wake)
	select {
	case err := <-c:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-w.done:
	}
	select {
	case err := <-c:
		return err
	default:
		return ErrClosed
	}
}

// Run writes until ctx ends. Then it refuses what is fed, writes what waits,
// closes and compresses the segment, unlocks the journal and returns: nil, if
// everything that was fed to it is durable; a [LossError] if something was
// lost; or [ErrStuck]. Exchanges that are still open stay unfinished.
func (w *Writer) Run(ctx context.Context) error {
	if w.ran.Swap(true) {
		return errors.New("run journal: it was run before")
	}
	w.own.ctx = ctx
	inner, stop := context.WithCancel(context.Background())
	defer stop()
	var side, reports sync.WaitGroup
	reports.Go(func() { w.report(inner) })
	side.Go(func() { w.compact(inner) })
	go w.loop()
	select {
	case <-w.done:
	case <-ctx.Done():
		w.closed.Store(true)
		limit := time.NewTimer(w.cfg.Grace + time.Second)
		defer limit.Stop()
		select {
		case <-w.done:
		case <-limit.C: // the loop sits in a call that does not return
			return fmt.Errorf("close journal: %w", ErrStuck)
		}
	}
	close(w.rotated)
	side.Wait()
	stop()
	reports.Wait()
	w.lock.Close()
	return w.verdict()
}

// verdict is what Run returns at a regular end.
func (w *Writer) verdict() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.stats.LostExchanges == 0 && w.mu.stats.LostBytes == 0 {
		return nil
	}
	return &LossError{Exchanges: w.mu.stats.LostExchanges, Bytes: w.mu.stats.LostBytes, Cause: w.mu.cause}
}
