package proxy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/proxy/journal"
	"github.com/capstan-bench/capstan/schema/secrets"
)

// world is a proxy with a journal, an upstream and what a client needs.
type world struct {
	*Proxy
	t        testing.TB
	addr     string
	dir      string
	roots    *x509.CertPool // of the upstream and of the proxy
	stop     func()
	finished bool
}

// keeping is a configuration that keeps what it may.
func keeping(j *journal.Writer) Config {
	learned := secrets.NewLearned([]byte("test"))
	return Config{Journal: j, Learned: learned, Policy: secrets.NewPolicy([]byte("test"), learned),
		Scanner: secrets.NewScanner([]byte("test")), Hosts: []string{"127.0.0.1"}}
}

// authority signs certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(tb testing.TB) *authority {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return &authority{cert, key}
}

func (a *authority) leaf(host string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{host}}
	if ip := net.ParseIP(host); ip != nil {
		tmpl.DNSNames, tmpl.IPAddresses = nil, []net.IP{ip}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// newWorld starts a proxy. Hosts on the record list: 127.0.0.1.
func newWorld(tb testing.TB, edit func(*Config)) *world {
	tb.Helper()
	w := &world{t: tb, dir: tb.TempDir(), roots: x509.NewCertPool()}
	j, err := journal.NewWriter(journal.Config{Dir: w.dir})
	if err != nil {
		tb.Fatal(err)
	}
	ca := newAuthority(tb)
	w.roots.AddCert(ca.cert)
	leaf, err := ca.leaf("127.0.0.1")
	if err != nil {
		tb.Fatal(err)
	}
	c := keeping(j)
	c.Roots = w.roots
	c.Certificate = func(string) (*tls.Certificate, error) { return leaf, nil }
	if edit != nil {
		edit(&c)
	}
	if w.Proxy, err = New(c); err != nil {
		tb.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	w.addr = l.Addr().String()
	written, served := make(chan error, 1), make(chan error, 1)
	jctx, endJournal := context.WithCancel(context.Background())
	ctx, cancel := context.WithCancel(context.Background())
	go func() { written <- j.Run(jctx) }()
	go func() { served <- w.Serve(ctx, l) }()
	w.stop = func() {
		if w.finished {
			return
		}
		w.finished = true
		cancel()
		if err := <-served; err != nil {
			tb.Errorf("Serve = %v", err)
		}
		endJournal()
		if err := <-written; err != nil {
			tb.Errorf("the journal ended with %v", err)
		}
	}
	tb.Cleanup(w.stop)
	return w
}

// exchange is one of the journal's, copied.
type recorded struct {
	journal.Exchange
	request, response string
}

// exchanges stops the proxy and reads its journal.
func (w *world) exchanges() []recorded {
	w.t.Helper()
	w.stop()
	r, err := journal.Open(w.dir, journal.ReadConfig{})
	if err != nil {
		w.t.Fatal(err)
	}
	var out []recorded
	for x, err := range r.Exchanges() {
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, copyOf(x))
	}
	slices.SortFunc(out, func(a, b recorded) int { return int(a.Flow.At - b.Flow.At) })
	return out
}

// upstream serves over TLS with a certificate that the world trusts.
func (w *world) upstream(h http.HandlerFunc) *httptest.Server {
	s := httptest.NewTLSServer(h)
	w.roots.AddCert(s.Certificate())
	w.t.Cleanup(s.Close)
	return s
}

// client uses the proxy.
func (w *world) client(user string) *http.Client {
	u := &url.URL{Scheme: "http", Host: w.addr}
	if user != "" {
		u.User = url.UserPassword(user, "x")
	}
	tr := &http.Transport{Proxy: http.ProxyURL(u), TLSClientConfig: &tls.Config{RootCAs: w.roots}, DisableCompression: true}
	w.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func copyOf(x *journal.Exchange) recorded {
	r := recorded{Exchange: *x, request: string(x.Request.Body), response: string(x.Response.Body)}
	r.Request.Body, r.Response.Body = nil, nil // borrowed
	return r
}

// told is what a test prints of exchanges.
func told(xs []recorded) (lines []string) {
	for _, x := range xs {
		lines = append(lines, fmt.Sprintf("%s %s/%s %v: request %.40q of %d, response %.40q of %d, %v %s",
			x.Flow.Mode, x.Flow.Session, x.Flow.Provider, x.Flow.Kind, x.request, len(x.request), x.response, len(x.response), x.End.Outcome, x.End.Err))
	}
	return lines
}
