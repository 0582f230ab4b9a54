package launch

import (
	"path/filepath"
	"slices"
	"strings"
)

// Command is a command line in which a harness was found.
type Command struct {
	Argv    []string
	Harness Harness // Unknown where none was found
	// At is the argument that names the harness; arguments for it go behind it.
	// -1: none does, or what follows is not the harness's alone.
	At int
	// Sets are variables that the command line itself gives the harness, and
	// Clears tells that it drops the others (env -i).
	Sets   []string
	Clears bool
}

// maxWrappers bounds how many programs that start another one are seen through.
const maxWrappers = 8

// Detect finds out which harness a command line starts: by the program's name,
// through env, nice, timeout and the like, package runners (npx, uvx, …),
// interpreters (node /x/cli.js, python -m) and sh -c.
func Detect(argv []string) Command {
	c := Command{Argv: argv, Harness: Unknown(), At: -1}
	at := 0
	for range maxWrappers {
		if at >= len(argv) {
			return c
		}
		word := argv[at]
		if h, ok := byWord(word); ok {
			c.Harness, c.At = h, at
			return c
		}
		next := c.through(programName(word), argv, at)
		if next <= at {
			return c
		}
		at = next
	}
	return c
}

// through returns the argument that names the program which the program at
// starts, or 0.
func (c *Command) through(program string, argv []string, at int) int {
	switch program {
	case "env":
		return c.env(argv, at+1)
	case "time", "command", "exec", "caffeinate":
		return afterFlags(argv, at+1)
	case "nice", "nohup", "stdbuf", "setsid", "ionice", "chrt", "xvfb-run", "strace", "dumb-init", "tini":
		return afterFlags(argv, at+1, "-n", "-c", "-p", "-o", "-e", "-i")
	case "timeout", "gtimeout":
		return afterFlags(argv, at+1, "-s", "-k", "--signal", "--kill-after") + 1 // the duration
	case "npx", "bunx", "uvx", "pnpx":
		return afterFlags(argv, at+1, "-p", "--package", "--from", "--with", "--python", "-c")
	case "npm", "pnpm", "yarn", "bun", "uv", "pipx", "poetry", "pdm", "rye", "mise", "volta", "corepack":
		return runner(argv, at+1)
	case "node", "nodejs", "deno", "tsx", "ts-node":
		return afterFlags(argv, at+1, "-r", "--require", "--import", "--loader", "--env-file", "-C")
	case "python", "python3", "py":
		return module(argv, at+1)
	case "sh", "bash", "zsh", "dash", "fish":
		return c.shell(argv, at+1)
	}
	return 0
}

// env reads the arguments of env: it may clear and set variables.
func (c *Command) env(argv []string, at int) int {
	for ; at < len(argv); at++ {
		a := argv[at]
		switch {
		case a == "-i" || a == "-" || a == "--ignore-environment":
			c.Clears = true
		case a == "-u" || a == "--unset" || a == "-C" || a == "--chdir":
			at++
		case strings.HasPrefix(a, "-"):
		case strings.Contains(a, "="):
			c.Sets = append(c.Sets, a)
		default:
			return at
		}
	}
	return 0
}

// shell looks for a harness among the words of sh -c. Nothing can be put behind
// it there, so At stays -1.
func (c *Command) shell(argv []string, at int) int {
	i := slices.IndexFunc(argv[at:], func(a string) bool { return strings.HasPrefix(a, "-") && strings.HasSuffix(a, "c") })
	if i < 0 || at+i+1 >= len(argv) {
		return 0
	}
	for word := range strings.FieldsSeq(argv[at+i+1]) {
		if h, ok := byWord(strings.Trim(word, `"';&|()`)); ok {
			c.Harness = h
			break
		}
	}
	return 0
}

// runner reads "npm exec [--] PACKAGE", "pnpm dlx PACKAGE", "uv tool run PROGRAM"
// and the like.
func runner(argv []string, at int) int {
	verbs := []string{"exec", "x", "dlx", "run", "tool"}
	found := false
	for ; at < len(argv); at++ {
		switch a := argv[at]; {
		case slices.Contains(verbs, a):
			found = true
		case strings.HasPrefix(a, "-"):
		case found:
			return at
		default:
			return 0
		}
	}
	return 0
}

// module finds the M of python -m M, or the script.
func module(argv []string, at int) int {
	for ; at < len(argv); at++ {
		switch a := argv[at]; {
		case a == "-m":
			return at + 1
		case a == "-X" || a == "-W":
			at++
		case !strings.HasPrefix(a, "-"):
			return at
		}
	}
	return 0
}

// afterFlags returns the first argument that is no flag and no value of one of
// those that take one.
func afterFlags(argv []string, at int, valued ...string) int {
	for ; at < len(argv); at++ {
		switch a := argv[at]; {
		case a == "--":
			return at + 1
		case slices.Contains(valued, a):
			at++
		case !strings.HasPrefix(a, "-"):
			return at
		}
	}
	return len(argv)
}

// byWord finds a harness by a word of a command line: a program, a package with
// or without a version, or a path through a package's folder.
func byWord(word string) (Harness, bool) {
	if strings.HasPrefix(word, "-") {
		return Harness{}, false
	}
	name := programName(word)
	slashed := filepath.ToSlash(word)
	for _, h := range Harnesses() {
		if slices.Contains(h.Commands, name) {
			return h, true
		}
		for _, p := range h.Packages {
			if word == p || strings.HasPrefix(word, p+"@") || strings.Contains(slashed, "/node_modules/"+p+"/") {
				return h, true
			}
		}
	}
	return Harness{}, false
}

// programName is the name of a program without its folder and its ending.
func programName(word string) string {
	name := word[strings.LastIndexAny(word, `/\`)+1:]
	for _, ending := range []string{".exe", ".cmd", ".bat", ".ps1", ".js", ".mjs", ".cjs"} {
		if rest, ok := strings.CutSuffix(strings.ToLower(name), ending); ok {
			return rest
		}
	}
	return name
}
