//go:build unix

package main

import (
	"os"
	"os/exec"
	"syscall"
)

// passedSignals are those that a child is to get in capstan's place.
var passedSignals = []os.Signal{
	syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2,
}

// ownGroup makes a child lead a process group.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// pass passes a signal on. In a shared group the terminal sends interrupts and
// quits to the child itself; a second one would mean something else to it.
func pass(cmd *exec.Cmd, s os.Signal, shared bool) {
	sig, ok := s.(syscall.Signal)
	switch {
	case !ok:
	case !shared:
		syscall.Kill(-cmd.Process.Pid, sig)
	case sig != syscall.SIGINT && sig != syscall.SIGQUIT:
		cmd.Process.Signal(sig)
	}
}

// endingSignal is the number of the signal that ended a process.
func endingSignal(p *os.ProcessState) int {
	if w, ok := p.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return int(w.Signal())
	}
	return 0
}
