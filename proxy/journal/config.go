package journal

import (
	"errors"
	"fmt"
	"time"
)

// Config says where and how a journal is written. Zero fields mean the default.
type Config struct {
	Dir string // required; made if it is missing

	// Budget bounds the memory for what is fed and not written yet: what does
	// not fit is lost, and counted. It counts bytes in use; buffers that grow
	// take up to twice as much. Default 64 MiB.
	Budget int64
	// SyncEvery is the least time from one fsync to the next. The default, 40
	// ms, leaves 10 ms of the 50 that may be lost to the fsync itself.
	SyncEvery time.Duration
	// SegmentBytes, SegmentAge and MatchBytes end a segment: its size on disk,
	// its age when something is written, and the memory in which its bodies are
	// held to find repetitions. Defaults 32 MiB, one hour, 64 MiB.
	SegmentBytes int64
	SegmentAge   time.Duration
	MatchBytes   int64
	// KeepBytes and KeepAge bound what is kept: the oldest segments are removed
	// beyond them, but none that holds a part of an open exchange. Default: all
	// is kept.
	KeepBytes int64
	KeepAge   time.Duration
	// Recipients, in the text form of age ("age1…"), turn on encryption at rest.
	Recipients []string
	// Notify is told of trouble: when it begins, at most once a second while it
	// grows, and when it is over. It is called from one goroutine.
	Notify func(Trouble)
	// Grace bounds the time in which Run, once cancelled, tries to write what
	// waits to a disk that refuses it. Default 10 s.
	Grace time.Duration

	disk disk // nil: the operating system's
}

func (c *Config) fill() error {
	if c.Dir == "" {
		return errors.New("open journal: Dir is required")
	}
	for _, f := range []struct {
		name     string
		v        *int64
		standard int64
		least    int64
	}{
		{"Budget", &c.Budget, 64 << 20, 64 << 10},
		{"SyncEvery", (*int64)(&c.SyncEvery), int64(40 * time.Millisecond), 1},
		{"SegmentBytes", &c.SegmentBytes, 32 << 20, 4 << 10},
		{"SegmentAge", (*int64)(&c.SegmentAge), int64(time.Hour), 1},
		{"MatchBytes", &c.MatchBytes, 64 << 20, chunkBytes},
		{"Grace", (*int64)(&c.Grace), int64(10 * time.Second), 1},
		{"KeepBytes", &c.KeepBytes, 0, 0},
		{"KeepAge", (*int64)(&c.KeepAge), 0, 0},
	} {
		if *f.v == 0 {
			*f.v = f.standard
		}
		if *f.v < f.least {
			return fmt.Errorf("open journal: got %s %d, want at least %d", f.name, *f.v, f.least)
		}
	}
	if c.SegmentBytes > maxStore/2 || c.MatchBytes > maxStore/2 {
		return fmt.Errorf("open journal: SegmentBytes and MatchBytes may be at most %d", maxStore/2)
	}
	if c.disk == nil {
		c.disk = osDisk{}
	}
	return nil
}

var (
	// ErrBehind says that the disk takes less than what comes in, or nothing for
	// a while.
	ErrBehind = errors.New("the disk is slower than the traffic")
	// ErrClosed says that the writer has ended.
	ErrClosed = errors.New("the journal is closed")
	// ErrLocked says that another process, or another writer of this one, uses
	// the journal.
	ErrLocked = errors.New("the journal is in use: end the recording that writes it first")
	// ErrStuck says that the disk did not answer, so that the writer was left
	// behind in the middle of an operation.
	ErrStuck = errors.New("the disk does not answer")
)

// LossError says that a writer ended and could not keep everything.
type LossError struct {
	Exchanges int64 // that lost something or all
	Bytes     int64 // plain bytes, as far as they could be counted
	Cause     error // of the latest trouble
}

func (e *LossError) Error() string {
	return fmt.Sprintf("write journal: %d exchanges lost %d bytes: %v", e.Exchanges, e.Bytes, e.Cause)
}

// Unwrap returns the cause.
func (e *LossError) Unwrap() error { return e.Cause }
