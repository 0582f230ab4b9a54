package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/capstan-bench/capstan/proxy/launch"
)

func recordCommand() *cli.Command {
	return &cli.Command{
		Name:      "record",
		Usage:     "record a coding agent's model calls",
		ArgsUsage: "-- COMMAND [ARGUMENTS]",
		Description: "Starts the recording proxy, runs COMMAND with the environment that makes it use the\n" +
			"proxy, and passes its exit status on (128 and the number of the signal that ended it).\n" +
			"If something could not be recorded, that is said, and the status is 1 where COMMAND's\n" +
			"is 0. Nothing is written to the agent's own configuration. A command that runs below an\n" +
			"excluded folder, or below one with a file .capstan-ignore, runs unrecorded. If capstan\n" +
			"itself is killed, COMMAND goes on without its proxy.\n\n" +
			"With --listen it is a standing proxy instead, and prints what to export; an interrupt\n" +
			"ends it.\n\n" +
			"COMMAND's proxy becomes the one through which the recording reaches the world. A base\n" +
			"URL that it has for a provider elsewhere, in a variable or in its configuration, is\n" +
			"recorded too.\n\nExamples:\n\n" +
			"  capstan record -- claude -p \"fix the failing test\"\n" +
			"  capstan record -o journal --via base-url -- codex exec \"fix the failing test\"\n" +
			"  capstan record --provider mine=http://localhost:8000/v1 -- opencode\n" +
			"  capstan record --listen 127.0.0.1:8877 > exports.sh &   # then in any shell: . ./exports.sh",
		Flags:  recordFlags(),
		Action: runRecord,
	}
}

func recordFlags() []cli.Flag {
	return []cli.Flag{
		outFlag("`DIR` of the journal; default: journals/DATE-TIME in capstan's own folder"),
		&cli.StringFlag{Name: "harness", Usage: "`NAME` of the agent tool; default: found in the command"},
		&cli.StringFlag{Name: "session", Usage: "`NAME` of the recorded session; default: made up"},
		&cli.StringFlag{Name: "via", Usage: "how the agent reaches the proxy: `WAY` is connect or base-url; default: what suits the harness"},
		&cli.StringSliceFlag{Name: "provider", Usage: "`NAME=URL` of a provider, as the agent has it for its base URL; repeat for several"},
		&cli.StringFlag{Name: "on-trouble", Value: "serve", Usage: "when the journal does not keep up: `WHAT` is serve (unrecorded) or refuse"},
		&cli.StringSliceFlag{Name: "encrypt-to", Usage: "encrypt the journal to an age `RECIPIENT` (age1…); repeat for several"},
		&cli.StringFlag{Name: "keep", Usage: "drop the oldest of the journal beyond `SIZE`, such as 10GiB"},
		&cli.DurationFlag{Name: "keep-for", Usage: "drop what is older than `D`, such as 720h"},
		&cli.StringSliceFlag{Name: "exclude-dir", Usage: "do not record commands below `DIR`; repeat for several"},
		&cli.StringFlag{Name: "upstream-proxy", Usage: "`URL` of the proxy to reach the world through; default: that of the environment"},
		&cli.StringFlag{Name: "upstream-ca", Usage: "PEM `FILE` of certificates to trust besides the system's"},
		&cli.DurationFlag{Name: "alarm-after", Value: time.Minute, Usage: "warn if no model call was seen `D` after the start; 0 for never"},
		&cli.StringFlag{Name: "listen", Usage: "be a standing proxy on `ADDR`"},
		&cli.BoolFlag{Name: "allow-remote", Usage: "let --listen take an address that other machines reach"},
		&cli.StringFlag{Name: "proxy-user-env", Usage: "`NAME` of the variable that holds USER:PASSWORD, which clients of --listen have to give"},
	}
}

func runRecord(c *cli.Context) error {
	argv := c.Args().Slice()
	standing := c.String("listen") != ""
	switch {
	case standing && len(argv) > 0:
		return usagef("record: --listen takes no command; got %q", argv[0])
	case !standing && len(argv) == 0:
		return usagef("record: name a command behind --, or an address with --listen")
	}
	cmd := launch.Detect(argv)
	s, err := recordSettings(c, cmd)
	if err != nil {
		return err
	}
	if standing {
		return s.listen(c)
	}
	return s.child(c, cmd)
}

// recordSettings reads the flags.
func recordSettings(c *cli.Context, cmd launch.Command) (*recordingConfig, error) {
	s := &recordingConfig{
		harness: cmd.Harness, way: launch.Way(c.String("via")), session: c.String("session"), dir: c.String("o"),
		mustRecord: c.String("on-trouble") == "refuse", recipients: c.StringSlice("encrypt-to"), keepFor: c.Duration("keep-for"),
		alarmAfter: c.Duration("alarm-after"), upstreamCA: c.String("upstream-ca"), environment: os.Environ(),
	}
	if err := s.names(c); err != nil {
		return nil, err
	}
	if s.keepFor < 0 || s.alarmAfter < 0 {
		return nil, usagef("--keep-for and --alarm-after: want at least 0")
	}
	var err error
	if s.keep, err = parseSize(c.String("keep")); err != nil {
		return nil, usagef("--keep: %v", err)
	}
	if text := c.String("upstream-proxy"); text != "" {
		if s.via, err = launch.ParseProxy(text); err != nil {
			return nil, usagef("--upstream-proxy: %v", err)
		}
	}
	s.excluded = c.StringSlice("exclude-dir")
	s.providers = map[string]string{}
	for _, p := range c.StringSlice("provider") {
		name, url, ok := strings.Cut(p, "=")
		if !ok || name == "" || !strings.Contains(url, "://") {
			return nil, usagef("--provider: want NAME=URL, such as mine=http://localhost:8000/v1")
		}
		s.providers[name] = strings.TrimSuffix(url, "/")
	}
	return s, nil
}

// names reads the flags that choose among names.
func (s *recordingConfig) names(c *cli.Context) error {
	if name := c.String("harness"); name != "" {
		h, ok := launch.Find(name)
		if !ok {
			return usagef("--harness: %q is not known; known are %s", name, strings.Join(harnessNames(), ", "))
		}
		s.harness = h
	}
	if s.way == "" {
		s.way = s.harness.Way
	}
	if s.way != launch.Connect && s.way != launch.BaseURL {
		return usagef("--via: got %q, want %s or %s", s.way, launch.Connect, launch.BaseURL)
	}
	if t := c.String("on-trouble"); t != "serve" && t != "refuse" {
		return usagef("--on-trouble: got %q, want serve or refuse", t)
	}
	if s.session != "" && !launch.ValidSession(s.session) {
		return usagef("--session: got %q, want letters, digits, dots, dashes and underscores, 64 at most", s.session)
	}
	if s.session == "" {
		s.session = newSession(s.harness.Name)
	}
	return nil
}

func harnessNames() (names []string) {
	for _, h := range launch.Harnesses() {
		names = append(names, h.Name)
	}
	return names
}

// newSession makes up the name of a session.
func newSession(harness string) string {
	if harness == "" {
		harness = "session"
	}
	var b [3]byte
	rand.Read(b[:])
	return fmt.Sprintf("%s-%s-%x", harness, time.Now().Format("20060102-150405"), b)
}

var sizeUnits = []struct {
	name  string
	bytes float64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}}

// parseSize reads a number of bytes with its unit; nothing is 0.
func parseSize(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	for _, u := range sizeUnits {
		number, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if b := n * u.bytes; err == nil && b >= 1 && b < math.MaxInt64 {
			return int64(b), nil
		}
		break
	}
	return 0, fmt.Errorf("got %q, want a size such as 10GiB", text)
}

// child records one command.
func (s *recordingConfig) child(c *cli.Context, cmd launch.Command) error {
	if _, err := exec.LookPath(cmd.Argv[0]); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	dir, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	s.workdir = dir
	stdio := newStdio(c)
	if why := excluded(dir, s.excluded); why != "" {
		fmt.Fprintf(c.App.ErrWriter, "not recorded: %s\n", why)
		return passOn(runChild(cmd.Argv, os.Environ(), stdio, nil))
	}
	if err := s.home(); err != nil {
		return err
	}
	tell := newTeller(c.App.ErrWriter, stdio, s.dir+".log")
	r, err := s.start("127.0.0.1:0", tell)
	if err != nil {
		return err
	}
	config := r.launchConfig()
	argv, err := launch.Arguments(cmd, config)
	if err == nil {
		err = r.run.Write(launch.Files(config))
	}
	if err != nil {
		r.stop()
		return fmt.Errorf("record: %w", err)
	}
	r.notes(cmd)
	env := launch.Environment(s.environment, config)
	launch.Learn(r.learned, env)
	status, err := runChild(argv, env, stdio, r.watch)
	lost := r.stop()
	tell.close()
	r.summary(c.App.ErrWriter)
	if lost != nil && err == nil && status == 0 {
		return lost
	}
	if lost != nil {
		fmt.Fprintf(c.App.ErrWriter, "capstan: %v\n", lost)
	}
	return passOn(status, err)
}

// passOn passes on how a child ended.
func passOn(status int, err error) error {
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	if status != 0 {
		return &childStatus{status}
	}
	return nil
}

// listen records whoever uses the proxy.
func (s *recordingConfig) listen(c *cli.Context) error {
	addr := c.String("listen")
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return usagef("--listen: got %q, want HOST:PORT", addr)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		if !c.Bool("allow-remote") {
			return usagef("--listen: other machines reach %s; --allow-remote says that they may", addr)
		}
		if c.String("proxy-user-env") == "" {
			return usagef("--listen: other machines reach %s; --proxy-user-env names the variable with the user and the password that they have to give", addr)
		}
	}
	if s.userVariable = c.String("proxy-user-env"); s.userVariable != "" {
		if err := s.readUser(); err != nil {
			return err
		}
	}
	if err := s.home(); err != nil {
		return err
	}
	s.alarmAfter = 0 // who listens does not know when somebody starts
	tell := newTeller(c.App.ErrWriter, stdio{}, "")
	r, err := s.start(addr, tell)
	if err != nil {
		return err
	}
	r.notes(launch.Command{})
	r.printExports(c.App.Writer)
	r.watch(c.Context)
	lost := r.stop()
	tell.close()
	r.summary(c.App.ErrWriter)
	return lost
}

// readUser reads what clients have to give. Its letters are those that need no
// escaping in a URL, for it is put into one by a shell.
func (s *recordingConfig) readUser() error {
	text := os.Getenv(s.userVariable)
	user, password, ok := strings.Cut(text, ":")
	if !ok || !launch.ValidSession(user) || !launch.ValidSession(password) || len(password) < 8 {
		return usagef("--proxy-user-env: want USER:PASSWORD in the variable %s, of letters, digits, dots, dashes and underscores, the password of 8 to 64", s.userVariable)
	}
	s.session, s.password = user, password
	return nil
}

// home finds capstan's own folder, and the journal's where none was named.
func (s *recordingConfig) home() (err error) {
	if s.homeDir, err = launch.Home(); err != nil {
		return err
	}
	if s.dir != "" {
		s.dir = filepath.Clean(s.dir)
		return nil
	}
	parent := filepath.Join(s.homeDir, "journals")
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return fmt.Errorf("make journal: %w", err)
	}
	name := filepath.Join(parent, time.Now().Format("20060102-150405"))
	for n := 2; ; n++ {
		s.dir = name
		if n > 2 {
			s.dir = fmt.Sprintf("%s-%d", name, n-1)
		}
		if err := os.Mkdir(s.dir, 0o700); !errors.Is(err, os.ErrExist) {
			return err
		}
	}
}

// ignoreFile marks a folder below which nothing is recorded.
const ignoreFile = ".capstan-ignore"

// excluded says why a command that runs in dir is not recorded, or nothing.
func excluded(dir string, folders []string) string {
	dir = resolved(dir)
	for _, f := range folders {
		f = resolved(f)
		if rel, err := filepath.Rel(f, dir); err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
			return fmt.Sprintf("%s lies below %s, which is excluded", dir, f)
		}
	}
	for d := dir; ; d = filepath.Dir(d) {
		if name := filepath.Join(d, ignoreFile); exists(name) {
			return "there is " + name
		}
		if d == filepath.Dir(d) {
			return ""
		}
	}
}

// resolved is a folder's path without links, as far as it exists.
func resolved(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	if path, err := filepath.EvalSymlinks(dir); err == nil {
		dir = path
	}
	return dir
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}
