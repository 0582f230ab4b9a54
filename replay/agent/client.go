package agent

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/capstan-bench/capstan/schema/secrets"
)

// Config says which endpoint a client talks to, and how patiently.
type Config struct {
	// Target is the endpoint's base URL, http or https (required). A path that
	// ends in /chat/completions is used as it is; to any other path
	// /chat/completions is added, and an empty path stands for /v1. A query is
	// kept. Credentials do not belong here: use APIKey.
	Target *url.URL

	// APIKey is sent as a bearer token; empty sends none. It comes from the
	// environment, never from a flag.
	APIKey string

	// TTFTTimeout is how long after the first byte was sent the first token
	// may take; 0 means 10 minutes.
	TTFTTimeout time.Duration

	// IdleTimeout is how long the stream may be silent after the first token;
	// 0 means 2 minutes.
	IdleTimeout time.Duration

	// DialTimeout bounds name resolution, connecting and the TLS handshake
	// together; 0 means 10 seconds.
	DialTimeout time.Duration

	// KeepIdle is how long an unused connection is kept; 0 means 4 seconds,
	// just under the 5 seconds after which common servers close theirs.
	KeepIdle time.Duration

	// MaxConns bounds the open connections; 0 means no bound. A call that finds
	// no free connection fails at once: waiting here would hide queueing.
	MaxConns int

	// CAFile names a PEM file of certificates to trust besides the system's.
	CAFile string

	// Dial opens connections; nil dials TCP over IPv6 and IPv4, whichever
	// answers first.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Client holds the connections to one endpoint. It is safe for concurrent use.
type Client struct {
	host    fasthttp.HostClient
	uri     string // of the completions endpoint, always http: TLS is conn's
	addr    string // host:port
	tls     *tls.Config
	bearer  string
	secret  []string         // what no text may hold
	learned *secrets.Learned // the same in other spellings, where they are long enough
	ttft    time.Duration
	idle    time.Duration
	timeout time.Duration // of dialling
	dial    func(ctx context.Context, network, addr string) (net.Conn, error)

	seenBytes, seenTokens atomic.Int64 // of finished answers, see tokensIn
}

// New checks c and returns a client. It opens no connection.
func New(c Config) (*Client, error) {
	if c.Target == nil {
		return nil, errors.New("agent config: target is required")
	}
	if err := checkTarget(c.Target); err != nil {
		return nil, err
	}
	if strings.ContainsAny(c.APIKey, "\r\n\x00") {
		return nil, errors.New("agent config: the API key holds a line break; check the variable it comes from")
	}
	for name, d := range map[string]time.Duration{"ttft timeout": c.TTFTTimeout, "idle timeout": c.IdleTimeout,
		"dial timeout": c.DialTimeout, "keep idle": c.KeepIdle} {
		if d < 0 {
			return nil, fmt.Errorf("agent config: %s: got %v, want 0 or more", name, d)
		}
	}
	if c.MaxConns < 0 {
		return nil, fmt.Errorf("agent config: max conns: got %d, want 0 or more", c.MaxConns)
	}
	k := &Client{
		uri:     "http://" + c.Target.Host + completions(c.Target),
		addr:    hostPort(c.Target),
		ttft:    orDefault(c.TTFTTimeout, 10*time.Minute),
		idle:    orDefault(c.IdleTimeout, 2*time.Minute),
		timeout: orDefault(c.DialTimeout, 10*time.Second),
		dial:    c.Dial,
	}
	if c.APIKey != "" {
		k.bearer = "Bearer " + c.APIKey
	}
	if k.dial == nil {
		// TCP keep-alive probes would be traffic of ours; silence is bounded by
		// the deadlines.
		k.dial = (&net.Dialer{KeepAlive: -1}).DialContext
	}
	if c.Target.Scheme == "https" {
		var err error
		if k.tls, err = tlsConfig(c.Target.Hostname(), c.CAFile); err != nil {
			return nil, err
		}
	}
	k.keepSecret(c)
	k.setHost(c)
	return k, nil
}

// keepSecret notes the key and the values of the target's query.
func (k *Client) keepSecret(c Config) {
	if c.APIKey != "" {
		k.secret = append(k.secret, c.APIKey)
	}
	for _, values := range c.Target.Query() {
		for _, v := range values {
			if len(v) >= minSecret {
				k.secret = append(k.secret, v)
			}
		}
	}
	hashKey := make([]byte, 32)
	rand.Read(hashKey)
	k.learned = secrets.NewLearned(hashKey)
	for _, s := range k.secret {
		k.learned.Add("key", s, true)
	}
}

// minSecret is how many bytes a value of the target's query must have to count
// as a secret: shorter ones are versions and switches.
const minSecret = 8

// setHost sets fasthttp up. Left out on purpose: ReadTimeout (one absolute
// deadline for the whole stream), MaxConnWaitTimeout (hides queueing), IsTLS
// (its TLS layer sits above conn and would hide the body's segments from it).
func (k *Client) setHost(c Config) {
	h := &k.host
	h.Addr = k.addr
	h.Dial = func(string) (net.Conn, error) { return newConn(k), nil }
	h.StreamResponseBody = true
	h.ConnPoolStrategy = fasthttp.LIFO
	h.MaxIdemponentCallAttempts = 1
	h.MaxIdleConnDuration = orDefault(c.KeepIdle, 4*time.Second)
	h.MaxConns = math.MaxInt32
	if c.MaxConns > 0 {
		h.MaxConns = c.MaxConns
	}
	h.ReadBufferSize = 64 << 10 // it is also the longest response header that can be read
	h.WriteBufferSize = headFirst
	h.NoDefaultUserAgentHeader = true
	h.SecureErrorLogMessage = true // keeps header bytes out of errors
	h.DisablePathNormalizing = true
}

// headFirst is a write buffer too small for any request header. A bufio.Writer
// hands what does not fit straight on, so the header reaches conn at once and
// leaves the buffer empty, and an empty buffer hands the body's reader itself to
// conn.ReadFrom. Thus conn sees the call, not copied bytes.
const headFirst = 16

// Close closes the idle connections. Calls in flight are not touched.
func (k *Client) Close() { k.host.CloseIdleConnections() }

// Endpoint returns the host and port that the client talks to.
func (k *Client) Endpoint() string { return k.addr }

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

func checkTarget(u *url.URL) error {
	if u.User != nil {
		return errors.New("agent config: target holds credentials; give the key in the environment instead")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("agent config: target %s: got scheme %q, want http or https", u.Redacted(), u.Scheme)
	}
	if u.Hostname() == "" {
		return fmt.Errorf("agent config: target %s: no host", u.Redacted())
	}
	return nil
}

// completions returns the path and query of u's completions endpoint.
func completions(u *url.URL) string {
	p := strings.TrimRight(u.EscapedPath(), "/")
	if p == "" {
		p = "/v1"
	}
	if !strings.HasSuffix(p, "/chat/completions") {
		p += "/chat/completions"
	}
	if u.RawQuery != "" {
		p += "?" + u.RawQuery
	}
	return p
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// tlsConfig trusts the system's roots, and the certificates in file if named.
func tlsConfig(server, file string) (*tls.Config, error) {
	c := &tls.Config{ServerName: server, MinVersion: tls.VersionTLS12}
	if file == "" {
		return c, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read CA file: %w", err)
	}
	if c.RootCAs, err = x509.SystemCertPool(); err != nil {
		c.RootCAs = x509.NewCertPool()
	}
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read CA file %s: no certificate in PEM form", file)
	}
	return c, nil
}
