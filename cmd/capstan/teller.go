package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// teller tells a person how a recording goes, without writing over a child that
// owns the terminal: then it writes to a file, and says the lines that count once
// the child is done.
type teller struct {
	w    io.Writer // stderr
	live bool      // one line is written over again and again
	name string    // of the log, in place of w; empty: none

	mu   sync.Mutex
	log  *os.File // guarded by mu; opened when there is something to say
	kept []string // guarded by mu; lines for the end
	open bool     // guarded by mu; the live line stands at the end of w
}

// newTeller looks at who owns the terminal: a child whose output is one draws on
// it.
func newTeller(w io.Writer, child stdio, log string) *teller {
	t := &teller{w: w}
	if child.out != nil && terminal(child.out) {
		t.name = log
		return t
	}
	f, ok := w.(*os.File)
	t.live = ok && terminal(f)
	return t
}

// terminal tells whether a file is one.
func terminal(f any) bool {
	file, ok := f.(*os.File)
	if !ok || file == nil {
		return false
	}
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// rhythm is how often the state is told.
func (t *teller) rhythm() time.Duration {
	if t.live {
		return time.Second
	}
	return 30 * time.Second
}

// line says something that counts.
func (t *teller) line(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.name != "" {
		t.kept = append(t.kept, text)
		t.logLocked(text)
		return
	}
	t.clearLocked()
	fmt.Fprintln(t.w, text)
}

// state tells how it goes.
func (t *teller) state(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.name != "":
		t.logLocked(text)
	case t.live:
		t.clearLocked()
		fmt.Fprint(t.w, text)
		t.open = true
	default:
		fmt.Fprintln(t.w, text)
	}
}

func (t *teller) clearLocked() {
	if t.open {
		fmt.Fprint(t.w, "\r\x1b[K")
		t.open = false
	}
}

func (t *teller) logLocked(text string) {
	if t.log == nil {
		f, err := os.OpenFile(t.name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return // the lines that count are kept all the same
		}
		t.log = f
	}
	fmt.Fprintf(t.log, "%s %s\n", time.Now().Format(time.DateTime), text)
}

// close ends the live line, and says what was kept.
func (t *teller) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clearLocked()
	if t.log != nil {
		t.log.Close()
		t.log = nil
	}
	for _, text := range t.kept {
		fmt.Fprintln(t.w, text)
	}
	t.kept = nil
}
