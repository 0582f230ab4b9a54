package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// screen is a terminal and what was written to it.
type screen struct {
	t      *testing.T
	master *os.File
	slave  *os.File
	mu     sync.Mutex
	text   bytes.Buffer
}

func newScreen(t *testing.T) *screen {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there are no terminals here: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	var unlock, number int32
	control, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	control.Control(func(fd uintptr) {
		syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCSPTLCK, uintptr(unsafe.Pointer(&unlock)))
		syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCGPTN, uintptr(unsafe.Pointer(&number)))
	})
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	s := &screen{t: t, master: master, slave: slave}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			s.mu.Lock()
			s.text.Write(buf[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return s
}

func (s *screen) shown() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *screen) await(part string) {
	s.t.Helper()
	for late := time.Now().Add(30 * time.Second); !strings.Contains(s.shown(), part); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			s.t.Fatalf("no %q on the terminal: %q", part, s.shown())
		}
	}
}

// run starts a command in a session of its own, whose terminal is the screen.
func (s *screen) run(st *station, out, errors *os.File, args ...string) *exec.Cmd {
	s.t.Helper()
	cmd := exec.Command("capstan", args...)
	cmd.Env = st.env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.slave, out, errors
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { cmd.Process.Kill() })
	return cmd
}

// TestRecordInTerminal: a command that owns the terminal is not written over
// while it runs, and gets the terminal's keys once; what counts is said at the
// end.
func TestRecordInTerminal(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	tty := newScreen(t)
	cmd := tty.run(s, tty.slave, tty.slave, "record", "-o", s.journal, "--session", "s", "--alarm-after", "50ms", "--",
		"sh", "-c", `trap 'echo interrupted' INT; echo begun; while ! [ -e "$0" ]; do sleep 0.1; done; echo over; exit 5`, filepath.Join(s.dir, "end"))
	tty.await("begun")
	for late := time.Now().Add(30 * time.Second); time.Now().Before(late); time.Sleep(10 * time.Millisecond) {
		if text, _ := os.ReadFile(s.journal + ".log"); bytes.Contains(text, []byte("NO MODEL CALL")) {
			break
		}
	}
	if got := tty.shown(); strings.Contains(got, "NO MODEL CALL") || strings.Contains(got, "recording") {
		t.Errorf("while the command runs, the terminal shows %q", got)
	}
	if _, err := tty.master.WriteString("\x03"); err != nil {
		t.Fatal(err)
	}
	tty.await("interrupted")
	if err := os.WriteFile(filepath.Join(s.dir, "end"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	tty.await("recorded 0 calls")
	got := tty.shown()
	if code := cmd.ProcessState.ExitCode(); code != 5 || strings.Count(got, "interrupted") != 1 {
		t.Errorf("exit status %d, the terminal shows %q, want 5 and one interrupt", code, got)
	}
	if over := strings.Index(got, "over\r\n"); over < 0 || strings.Index(got, "NO MODEL CALL SEEN") < over || strings.Index(got, "recording an agent") < over {
		t.Errorf("the terminal shows %q, want what counts behind the command's last line", got)
	}
	if info, err := os.Stat(s.journal + ".log"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the log: %v, %v", info, err)
	}
}

// TestRecordLiveLine: where only the errors are a terminal, the state is one line
// that is written over.
func TestRecordLiveLine(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	tty := newScreen(t)
	out, err := os.Create(filepath.Join(s.dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := tty.run(s, out, tty.slave, "record", "-o", s.journal, "--session", "s", "--", "sh", "-c", "agent -n 2; sleep 2.2; echo done")
	tty.await("\r\x1b[K2 calls, 0 open, ")
	cmd.Wait()
	tty.await("recorded 2 calls")
	if got := tty.shown(); !strings.Contains(got, "\r\x1b[Krecorded 2 calls") {
		t.Errorf("the terminal shows %q, want the live line gone at the end", got)
	}
	if _, err := os.Stat(s.journal + ".log"); err == nil {
		t.Error("there is a log besides the live line")
	}
}
