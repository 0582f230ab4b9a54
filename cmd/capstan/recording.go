package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/capstan-bench/capstan/proxy"
	"github.com/capstan-bench/capstan/proxy/journal"
	"github.com/capstan-bench/capstan/proxy/launch"
	"github.com/capstan-bench/capstan/schema/secrets"
)

// recordingConfig is what was asked for.
type recordingConfig struct {
	homeDir, dir string
	harness      launch.Harness
	way          launch.Way
	session      string
	providers    map[string]string // named by flags
	mustRecord   bool
	recipients   []string
	keep         int64
	keepFor      time.Duration
	excluded     []string
	via          *url.URL
	upstreamCA   string
	alarmAfter   time.Duration
	environment  []string // of capstan itself
	workdir      string
	userVariable string // that holds the user and the password of clients
	password     string
	roots        *x509.CertPool // given by a probe; nil: the system's and the user's
}

// recording is a proxy with its journal, at work.
type recording struct {
	*recordingConfig
	inherited launch.Inherited
	settings  []launch.Setting
	authority *launch.Authority
	made      bool // the authority was made for this recording
	run       *launch.Run
	journal   *journal.Writer
	proxy     *proxy.Proxy
	learned   *secrets.Learned
	addr      string
	hosts     []string // that are intercepted
	tell      *teller
	seen      sightings
	paused    atomic.Bool
	stop      func() error // ends it; nil where all was recorded
}

// start starts a recording on an address.
func (s *recordingConfig) start(addr string, tell *teller) (*recording, error) {
	r := &recording{recordingConfig: s, tell: tell}
	if err := r.trust(); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	r.inherit()
	if err := r.open(addr); err != nil {
		r.run.Close()
		return nil, fmt.Errorf("record: %w", err)
	}
	return r, nil
}

// inherit takes over what the user had set. What flags say comes first.
func (r *recording) inherit() {
	if home, err := os.UserHomeDir(); err == nil {
		r.settings = launch.Settings(r.harness, home, r.workdir, r.environment)
	}
	listed := r.hosts
	if r.way == launch.BaseURL {
		listed = nil
	}
	r.inherited = launch.Inherit(r.environment, r.harness, r.settings, listed)
	if r.via == nil {
		r.via = r.inherited.Via
	}
	all := r.inherited.Providers
	maps.Copy(all, r.providers)
	r.providers = all
}

// trust opens the authority and writes what the child trusts.
func (r *recording) trust() (err error) {
	if r.authority, r.made, err = launch.OpenAuthority(r.homeDir, proxy.RecordHosts()); err != nil {
		return err
	}
	r.hosts = recordedHosts(r.authority)
	if r.run, err = launch.NewRun(r.authority, r.environment); err != nil {
		return err
	}
	if r.roots == nil {
		r.roots, err = upstreamRoots(r.environment, r.upstreamCA)
	}
	if err != nil {
		r.run.Close()
	}
	return err
}

// recordedHosts is the record list as far as the authority vouches for it, and
// what it was made to vouch for besides.
func recordedHosts(a *launch.Authority) []string {
	var known []string
	hosts := proxy.RecordHosts()
	for _, h := range hosts {
		known = append(known, strings.TrimPrefix(h, "*."))
	}
	hosts = slices.DeleteFunc(hosts, func(h string) bool { return !a.Covers(h) })
	for _, h := range a.Hosts() {
		if !slices.Contains(known, h) {
			hosts = append(hosts, h, "*."+h)
		}
	}
	return hosts
}

// upstreamRoots is what upstreams are checked against: the system's certificates,
// those that the agent would trust besides, and a file.
func upstreamRoots(env []string, file string) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	launch.AddTrusted(pool, env)
	if file == "" {
		return pool, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--upstream-ca: %w", err)
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--upstream-ca: %s holds no certificate in PEM", file)
	}
	return pool, nil
}

// open opens the journal and the proxy, and sets both to work.
func (r *recording) open(addr string) error {
	key, err := launch.Key(r.homeDir)
	if err != nil {
		return err
	}
	r.learned = secrets.NewLearned(key)
	launch.Learn(r.learned, r.environment)
	for _, u := range r.providers {
		r.learned.Target(u)
	}
	if r.via != nil {
		r.learned.Target(r.via.String())
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	r.addr = l.Addr().String()
	r.journal, err = journal.NewWriter(journal.Config{
		Dir: r.dir, KeepBytes: r.keep, KeepAge: r.keepFor, Recipients: r.recipients, Notify: r.trouble,
		Grace: lastTries,
	})
	if err != nil {
		l.Close()
		return err
	}
	r.paused.Store(exists(filepath.Join(r.dir, pauseFile)))
	r.proxy, err = proxy.New(r.proxyConfig(key))
	if err != nil {
		l.Close()
		ended, end := context.WithCancel(context.Background())
		end()
		r.journal.Run(ended) // unlocks it
		return err
	}
	r.work(l)
	return nil
}

// lastTries is how long the end of a recording waits for a disk that is full.
const lastTries = 3 * time.Second

func (r *recording) proxyConfig(key []byte) proxy.Config {
	providers := proxy.Providers()
	maps.Copy(providers, r.providers)
	c := proxy.Config{
		Journal: r.journal, Learned: r.learned, Policy: secrets.NewPolicy(key, r.learned), Scanner: secrets.NewScanner(key),
		Certificate: r.authority.Certificate, Hosts: r.hosts, Providers: providers,
		Via: r.via, Direct: r.direct, Roots: r.roots,
		MustRecord: r.mustRecord, Paused: r.paused.Load, Alarm: r.refused, Asked: r.seen.asked,
		Flow: journal.Flow{Harness: r.harness.Name, Session: r.session, Workdir: r.workdir, Attrs: map[string]string{"developer": developer(key)}},
	}
	if r.userVariable != "" {
		c.Flow.Session = "" // that of each client is its user
		c.Authorize = func(_, password string) bool { return hmac.Equal([]byte(password), []byte(r.password)) }
	}
	return c
}

// direct tells which hosts are reached without the user's proxy: this machine,
// for model servers run on it, and those that NO_PROXY names.
func (r *recording) direct(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback() || launch.Bypassed(r.environment, host)
}

// developer tells the people apart who record, without naming them.
func developer(key []byte) string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Uid + " " + u.Username
	}
	m := hmac.New(sha256.New, key)
	io.WriteString(m, name)
	return fmt.Sprintf("%x", m.Sum(nil)[:8])
}

// work runs the journal and the proxy until stop is called.
func (r *recording) work(l net.Listener) {
	serving, endServing := context.WithCancel(context.Background())
	writing, endWriting := context.WithCancel(context.Background())
	served, written, polled := make(chan error, 1), make(chan error, 1), make(chan bool)
	go func() { written <- r.journal.Run(writing) }()
	go func() { served <- r.proxy.Serve(serving, l) }()
	go func() { r.pollPause(serving); close(polled) }()
	r.stop = func() error {
		endServing()
		broken := <-served
		<-polled
		endWriting()
		lost := <-written
		r.run.Close()
		if n := r.proxy.Stats().Forgotten; n > 0 && lost == nil {
			lost = fmt.Errorf("%d bytes passed unrecorded, for more came than there was memory for", n)
		}
		if err := errors.Join(broken, lost); err != nil {
			return fmt.Errorf("record into %s: not everything was recorded: %s", r.dir, strings.ReplaceAll(err.Error(), "\n", "; "))
		}
		return nil
	}
}

// pauseFile in a journal's folder pauses its recording.
const pauseFile = "PAUSED"

// pollPause looks for the file that pauses a recording.
func (r *recording) pollPause(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := exists(filepath.Join(r.dir, pauseFile))
		if was := r.paused.Swap(now); was != now {
			if now {
				r.tell.line("paused: nothing is recorded until `capstan journal resume %s`", r.dir)
			} else {
				r.tell.line("recording again")
			}
		}
	}
}

// trouble tells of a journal that does not keep up.
func (r *recording) trouble(t journal.Trouble) {
	what := "serving on, unrecorded"
	if r.mustRecord {
		what = "refusing new connections"
	}
	switch {
	case t.Over:
		r.tell.line("the journal is written again; lost: %d exchanges, %s", t.Exchanges, bytesText(t.Bytes))
	default:
		r.tell.line("RECORDING IN TROUBLE since %s: %v; lost so far: %d exchanges, %s; %s",
			t.Since.Format(time.TimeOnly), t.Cause, t.Exchanges, bytesText(t.Bytes), what)
	}
}

// refused is told by the proxy that a client does not trust the authority.
func (r *recording) refused(line string) {
	if r.seen.refuse(line) == 1 {
		r.tell.line("%s", line)
	}
}

// launchConfig is what the child is given.
func (r *recording) launchConfig() launch.Config {
	return launch.Config{
		Harness: r.harness, Way: r.way, Addr: r.addr, Session: r.session, CA: r.run.CA, Bundle: r.run.Bundle,
		Providers: r.providers, Settings: r.settings, Folder: r.run.Dir, Hosts: r.hosts,
	}
}

// notes tells what a person should know at the beginning.
func (r *recording) notes(cmd launch.Command) {
	name := r.harness.Name
	if name == "" {
		name = "an agent that is not known"
	}
	r.tell.line("recording %s as session %s into %s (%s)", name, r.session, r.dir, r.way)
	if r.made {
		r.tell.line("made a certificate authority for this machine; see `capstan ca show`")
	}
	if slices.ContainsFunc(proxy.RecordHosts(), func(h string) bool { return !r.authority.Covers(h) }) {
		r.tell.line("the certificate authority is older than the list of hosts, so some are not recorded; `capstan ca rotate` makes another")
	}
	if r.run.Bundle == "" && r.way == launch.Connect {
		r.tell.line("the system's certificates were not found: agents that take SSL_CERT_FILE will not trust the proxy")
	}
	for _, file := range r.run.Unread {
		r.tell.line("no certificates were found in %s, which a variable names", file)
	}
	for _, n := range r.inherited.Notes {
		r.tell.line("%s", n)
	}
	for _, v := range cmd.Sets {
		if name, _, _ := strings.Cut(v, "="); launch.Steers(name) || strings.HasSuffix(name, "_BASE_URL") {
			r.tell.line("%s in the command goes over what leads the agent to the proxy", name)
		}
	}
	if cmd.Clears {
		r.tell.line("env -i in the command drops the environment that leads the agent to the proxy")
	}
	if r.paused.Load() {
		r.tell.line("paused: nothing is recorded until `capstan journal resume %s`", r.dir)
	}
}

// summary says what was recorded.
func (r *recording) summary(w io.Writer) {
	p, j := r.proxy.Stats(), r.journal.Stats()
	text := fmt.Sprintf("recorded %d calls, %s up, %s down, %s on disk, in %s", p.Calls, bytesText(p.Up), bytesText(p.Down), bytesText(j.Written), r.dir)
	if p.Unparsed > 0 {
		text += fmt.Sprintf("; %d times something could not be read as HTTP", p.Unparsed)
	}
	fmt.Fprintln(w, text)
}

// bytesText is a number of bytes for people.
func bytesText(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}
