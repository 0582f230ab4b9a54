//go:build !unix

package main

import (
	"os"
	"os/exec"
)

// passedSignals are those that must not end capstan before its child: the
// console sends them to both.
var passedSignals = []os.Signal{os.Interrupt}

func ownGroup(*exec.Cmd) {}

func pass(*exec.Cmd, os.Signal, bool) {}

func endingSignal(*os.ProcessState) int { return 0 }
