package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/capstan-bench/capstan/proxy/journal"
	"github.com/capstan-bench/capstan/schema/secrets"
)

// Config says what a proxy records, and how it reaches the world.
type Config struct {
	Journal *journal.Writer  // required; the caller runs it
	Learned *secrets.Learned // required: secrets that are taken out of bodies; learns more
	Policy  *secrets.Policy  // required: what of heads is kept
	Scanner *secrets.Scanner // required: finds other secrets in requests

	// Certificate makes a certificate for a host; nil: nothing is intercepted.
	Certificate func(host string) (*tls.Certificate, error)
	// Hosts are those that are intercepted; nil means RecordHosts.
	Hosts []string
	// Providers of base-URL mode, by name; nil means Providers.
	Providers map[string]string
	// Wanted tells which requests are recorded; nil means ModelCall.
	Wanted func(method, target string) bool

	Via    *url.URL               // proxy through which upstreams are reached; nil: straight
	Direct func(host string) bool // hosts that are reached without it; nil: none
	Roots  *x509.CertPool         // that upstreams are checked against; nil: the system's

	// Authorize decides about the user and password of a proxy's client; nil:
	// everybody may. With it there is no base-URL mode, which has no password.
	Authorize func(user, password string) bool

	// Flow is what all exchanges have in common: harness, working directory.
	Flow journal.Flow
	// Queue bounds the bytes that wait to be parsed. Default 64 MiB.
	Queue int64
	// MustRecord refuses new connections while the journal cannot keep up, where
	// otherwise they are served unrecorded.
	MustRecord bool
	// Paused tells whether nothing is to be recorded at present; nil: never.
	Paused func() bool
	// Alarm is told of what a person should know, one line each.
	Alarm func(string)
	// Asked is told of every host that a client asks for a tunnel to, and whether
	// that is opened. It must not wait.
	Asked func(host string, opened bool)
}

// Proxy is a recording proxy.
type Proxy struct {
	config    Config
	record    hostList
	routes    routes
	dialer    *dialer
	clientTLS *tls.Config
	hosts     sync.Map // *tls.Config by host
	recorder  *recorder
	tunnels   *tunnels

	mu    sync.Mutex
	conns map[*net.TCPConn]struct{} // guarded by mu
	open  sync.WaitGroup
	done  atomic.Bool
}

// New makes a proxy.
func New(c Config) (*Proxy, error) {
	if c.Journal == nil || c.Learned == nil || c.Policy == nil || c.Scanner == nil {
		return nil, errors.New("make proxy: Journal, Learned, Policy and Scanner are required")
	}
	if c.Hosts == nil {
		c.Hosts = RecordHosts()
	}
	if c.Providers == nil {
		c.Providers = Providers()
	}
	if c.Queue == 0 {
		c.Queue = 64 << 20
	}
	if c.Wanted == nil {
		c.Wanted = ModelCall
	}
	if c.Paused == nil {
		c.Paused = func() bool { return false }
	}
	r, err := newRoutes(c.Providers)
	if err != nil {
		return nil, fmt.Errorf("make proxy: %w", err)
	}
	p := &Proxy{
		config: c, record: c.Hosts, routes: r, conns: map[*net.TCPConn]struct{}{},
		clientTLS: &tls.Config{
			RootCAs: c.Roots, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
			ClientSessionCache: tls.NewLRUClientSessionCache(256), DynamicRecordSizingDisabled: true,
		},
	}
	p.dialer = &dialer{via: c.Via, direct: c.Direct, tls: &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12}}
	p.recorder = newRecorder(keeper{c.Journal, c.Learned, c.Policy, c.Wanted, c.Paused, scrubber{scanner: c.Scanner, learned: c.Learned}}, c.Queue)
	return p, nil
}

// Serve serves clients on l until ctx ends, then closes every connection and
// returns when all that passed is in the journal's hands.
func (p *Proxy) Serve(ctx context.Context, l net.Listener) error {
	p.tunnels = newTunnels(p.dialer, l.Addr())
	stop, recorded := make(chan struct{}), make(chan struct{})
	go func() { p.recorder.run(stop); close(recorded) }()
	tunnelled := make(chan struct{})
	go func() { p.tunnels.server.Serve(p.tunnels); close(tunnelled) }()
	ended := context.AfterFunc(ctx, func() { l.Close() })
	err := p.accept(l)
	ended()
	l.Close()
	p.done.Store(true)
	p.tunnels.Close()
	p.tunnels.server.Close()
	<-tunnelled
	p.closeAll()
	p.open.Wait()
	close(stop)
	<-recorded
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("serve: %w", err)
}

func (p *Proxy) accept(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			var t interface{ Temporary() bool }
			if errors.As(err, &t) && t.Temporary() { // out of descriptors: others will close theirs
				time.Sleep(10 * time.Millisecond)
				continue
			}
			return err
		}
		conn, ok := c.(*net.TCPConn)
		if !ok {
			c.Close()
			return fmt.Errorf("the listener gives a %T, want TCP", c)
		}
		if p.add(conn) {
			go p.handle(conn)
		}
	}
}

func (p *Proxy) handle(c *net.TCPConn) {
	defer p.remove(c)
	if p.config.MustRecord && !p.config.Journal.Healthy() {
		refuse(newEnd(c), 503, fmt.Sprintf("nothing is served that cannot be recorded: %v", p.config.Journal.Err()))
		return
	}
	p.front(c)
}

func (p *Proxy) add(c *net.TCPConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done.Load() {
		c.Close()
		return false
	}
	p.conns[c] = struct{}{}
	p.recorder.connected(1)
	p.open.Add(1)
	return true
}

func (p *Proxy) remove(c *net.TCPConn) {
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
	p.recorder.connected(-1)
	p.open.Done()
}

func (p *Proxy) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

func (p *Proxy) stopped() bool { return p.done.Load() }

func (p *Proxy) alarm(format string, args ...any) {
	if p.config.Alarm != nil {
		p.config.Alarm(fmt.Sprintf(format, args...))
	}
}

// newTrail begins the record of a connection to an upstream.
func (p *Proxy) newTrail(f journal.Flow, port string) *trail {
	common := p.config.Flow
	f.Harness, f.Workdir, f.Attrs = common.Harness, common.Workdir, common.Attrs
	if f.Session == "" {
		f.Session = common.Session
	}
	f.Port, _ = strconv.Atoi(port)
	return &trail{rec: p.recorder, talk: &talk{rec: p.recorder, flow: f}}
}

// Stats is what a proxy has done so far.
type Stats struct {
	Connections int           // of clients, open
	Calls       int64         // exchanges recorded
	Open        int64         // of these, not ended
	Up, Down    int64         // bytes passed on intercepted and base-URL connections
	Forgotten   int64         // bytes passed on that there was no memory to record
	Unparsed    int64         // times that bytes were not HTTP or not WebSocket frames
	Queued      int64         // bytes that wait to be parsed
	Lag         time.Duration // how long the oldest of them had waited in the last round
}

// Stats returns the state of the proxy.
func (p *Proxy) Stats() Stats {
	p.mu.Lock()
	n := len(p.conns)
	p.mu.Unlock()
	c := &p.recorder.stats
	return Stats{Connections: n, Calls: c.calls.Load(), Open: c.open.Load(), Up: c.upBytes.Load(), Down: c.downBytes.Load(),
		Forgotten: c.forgotten.Load(), Unparsed: c.unparsed.Load(), Queued: p.recorder.room.used.Load(), Lag: time.Duration(c.lag.Load())}
}
