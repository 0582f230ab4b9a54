package main

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// commands are what transcripts use besides the commands of testscript.
var commands = map[string]func(*testscript.TestScript, bool, []string){
	"status":  scriptStatus,
	"copy":    scriptCopy,
	"replace": scriptReplace,
	"shorten": scriptShorten,
	"flip":    scriptFlip,
}

// scriptStatus runs a program and holds its exit status: status 2 capstan …. A
// status other than 0 comes with one error line, the last of stderr; wrong usage
// has no other line and nothing on stdout.
func scriptStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status CODE PROGRAM ARGS…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
	if want == 0 {
		return
	}
	lines := strings.Split(strings.TrimSuffix(ts.ReadFile("stderr"), "\n"), "\n")
	last := len(lines) - 1
	if !strings.HasPrefix(lines[last], "capstan: ") || strings.HasSuffix(lines[last], ".") {
		ts.Fatalf("the last line of stderr is no error: %q", lines[last])
	}
	for _, line := range lines[:last] {
		if strings.HasPrefix(line, "capstan: ") {
			ts.Fatalf("a second error line: %q", line)
		}
	}
	if want == 2 && (last > 0 || ts.ReadFile("stdout") != "") {
		ts.Fatalf("wrong usage wrote more than its error line")
	}
}

// scriptCopy copies a folder to one that does not exist: copy FROM TO.
func scriptCopy(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: copy FROM TO")
	}
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), os.DirFS(ts.MkAbs(args[0]))))
}

// scriptReplace changes the first OLD of a file into NEW: replace FILE OLD NEW.
func scriptReplace(ts *testscript.TestScript, _ bool, args []string) {
	change(ts, args, 3, func(text string) string {
		if !strings.Contains(text, args[1]) {
			ts.Fatalf("%s does not hold %q", args[0], args[1])
		}
		return strings.Replace(text, args[1], args[2], 1)
	})
}

// scriptShorten cuts a file off: shorten FILE BYTES.
func scriptShorten(ts *testscript.TestScript, _ bool, args []string) {
	change(ts, args, 2, func(text string) string { return text[:offset(ts, args[1], text)] })
}

// scriptFlip flips one bit of a file: flip FILE OFFSET.
func scriptFlip(ts *testscript.TestScript, _ bool, args []string) {
	change(ts, args, 2, func(text string) string {
		b := []byte(text)
		b[offset(ts, args[1], text)] ^= 1
		return string(b)
	})
}

func change(ts *testscript.TestScript, args []string, n int, do func(string) string) {
	if len(args) != n {
		ts.Fatalf("got %d arguments, want %d", len(args), n)
	}
	file := ts.MkAbs(args[0])
	ts.Check(os.WriteFile(file, []byte(do(ts.ReadFile(args[0]))), 0o666))
}

func offset(ts *testscript.TestScript, arg, text string) int {
	n, err := strconv.Atoi(arg)
	ts.Check(err)
	if n < 0 || n >= len(text) {
		ts.Fatalf("offset %d lies outside the file's %d bytes", n, len(text))
	}
	return n
}
