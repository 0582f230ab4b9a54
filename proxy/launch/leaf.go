package launch

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"sync"
	"time"
)

const (
	// leafLifetime is how long a host's certificate holds; leafRenew is how long
	// before its end the next one is made, so that a client with a clock of its
	// own never meets one that is over.
	leafLifetime = 72 * time.Hour
	leafRenew    = 24 * time.Hour
	// maxLeaves bounds the certificates in memory: a pattern of the record list
	// stands for hosts without number.
	maxLeaves = 256
)

// sign makes a certificate for a host.
func (a *Authority) sign(host string, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	id, err := keyID(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	until := now.Add(leafLifetime)
	if until.After(a.cert.NotAfter) {
		until = a.cert.NotAfter
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{Organization: []string{"capstan"}, CommonName: commonName(host)},
		NotBefore: now.Add(-backdate), NotAfter: until, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		SubjectKeyId: id, AuthorityKeyId: a.cert.SubjectKeyId, // Python 3.13 demands the second
		DNSNames: []string{host},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// commonName is the host where a common name can hold it.
func commonName(host string) string {
	if len(host) > 64 {
		return ""
	}
	return host
}

// leaves are the certificates by host.
type leaves struct {
	mu     sync.Mutex
	byHost map[string]*leaf // guarded by mu
	clock  uint64           // guarded by mu; counts the uses
}

// leaf is one host's certificate, or the one that is being made.
type leaf struct {
	used  uint64
	ready chan struct{} // closed when the rest is set
	cert  *tls.Certificate
	err   error
}

// get returns the certificate of a host, and makes it if there is none that
// holds for long enough. Whoever asks while it is made waits for it.
func (l *leaves) get(host string, now time.Time, sign func(time.Time) (*tls.Certificate, error)) (*tls.Certificate, error) {
	entry, mine := l.entry(host, now)
	if mine {
		entry.cert, entry.err = sign(now)
		close(entry.ready)
		if entry.err != nil {
			l.drop(host, entry)
		}
	}
	<-entry.ready
	return entry.cert, entry.err
}

// entry finds a host's entry, or makes one that the caller has to fill.
func (l *leaves) entry(host string, now time.Time) (e *leaf, mine bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock++
	if e = l.byHost[host]; e != nil && !e.over(now) {
		e.used = l.clock
		return e, false
	}
	if l.byHost == nil {
		l.byHost = map[string]*leaf{}
	}
	if e == nil && len(l.byHost) >= maxLeaves {
		l.evictLocked()
	}
	e = &leaf{used: l.clock, ready: make(chan struct{})}
	l.byHost[host] = e
	return e, true
}

// evictLocked forgets the host that was asked for the longest ago.
func (l *leaves) evictLocked() {
	oldest, host := uint64(0), ""
	for h, e := range l.byHost {
		if host == "" || e.used < oldest {
			oldest, host = e.used, h
		}
	}
	delete(l.byHost, host)
}

func (l *leaves) drop(host string, e *leaf) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byHost[host] == e {
		delete(l.byHost, host)
	}
}

// over tells whether a certificate is to be made anew.
func (e *leaf) over(now time.Time) bool {
	select {
	case <-e.ready:
		return e.err != nil || now.Add(leafRenew).After(e.cert.Leaf.NotAfter)
	default:
		return false // being made
	}
}
