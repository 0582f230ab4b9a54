package launch

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	// lifetime of an authority. Its certificate is replaced when less than renew
	// is left, for no leaf may outlive it.
	lifetime = 2 * 365 * 24 * time.Hour
	renew    = 14 * 24 * time.Hour
	// backdate allows for clocks that differ.
	backdate = time.Hour
)

// Authority signs certificates for the hosts whose tunnels are opened. It is safe
// for any number of goroutines.
type Authority struct {
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	leaves leaves
}

// newAuthority makes a key and a certificate for hosts, in which a leading *.
// stands for any label or more.
func newAuthority(hosts []string, machine string, now time.Time) (*Authority, error) {
	if len(hosts) == 0 {
		return nil, errors.New("make authority: name at least one host that it may vouch for")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	id, err := keyID(&key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	name := pkix.Name{
		CommonName:         bounded("capstan recording on " + machine),
		Organization:       []string{"capstan"},
		OrganizationalUnit: []string{"local certificate authority for recorded model calls"},
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: name,
		NotBefore: now.Add(-backdate), NotAfter: now.Add(lifetime),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		SubjectKeyId: id, AuthorityKeyId: id,
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: domains(hosts),
		ExcludedIPRanges: everyAddress(),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	return &Authority{cert: cert, key: key}, nil
}

// domains are the names that a certificate permits for hosts. A permitted domain
// holds for the names under it too, so a wildcard is its parent.
func domains(hosts []string) []string {
	var out []string
	for _, h := range hosts {
		out = append(out, strings.ToLower(strings.TrimPrefix(h, "*.")))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// everyAddress is what excludes all IP addresses: a constraint on names says
// nothing about them.
func everyAddress() []*net.IPNet {
	return []*net.IPNet{
		{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)},
		{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)},
	}
}

// bounded cuts a common name to the 64 characters that X.520 allows.
func bounded(s string) string { return string([]rune(s)[:min(64, len([]rune(s)))]) }

func serial() *big.Int {
	var b [16]byte
	rand.Read(b[:])
	b[0] &= 0x7f // positive, and no longer than 20 bytes
	b[0] |= 0x40
	return new(big.Int).SetBytes(b[:])
}

// keyID names a public key, as RFC 7093 §2 (1) does.
func keyID(key *ecdsa.PublicKey) ([]byte, error) {
	raw, err := key.Bytes()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(raw)
	return sum[:20], nil
}

// Certificate returns a certificate for a host, with its key. It is made on first
// use and again when it is about to end. A host that the authority cannot vouch
// for is an error.
func (a *Authority) Certificate(host string) (*tls.Certificate, error) {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if !a.Covers(host) {
		return nil, fmt.Errorf("certificate for %.253q: the authority does not vouch for it", host)
	}
	return a.leaves.get(host, time.Now(), func(now time.Time) (*tls.Certificate, error) { return a.sign(host, now) })
}

// Covers tells whether the authority can vouch for a host, or for every host that
// a pattern with a leading *. stands for.
func (a *Authority) Covers(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(host, "*."), "."))
	if host == "" || net.ParseIP(host) != nil {
		return false
	}
	return slices.ContainsFunc(a.cert.PermittedDNSDomains, func(d string) bool {
		return host == d || strings.HasSuffix(host, "."+d)
	})
}

// Hosts are the domains that the authority can vouch for, with all under them.
func (a *Authority) Hosts() []string { return slices.Clone(a.cert.PermittedDNSDomains) }

// Subject says what the authority is and on which machine it was made.
func (a *Authority) Subject() string { return a.cert.Subject.String() }

// Valid is the time in which the authority's certificate holds.
func (a *Authority) Valid() (from, until time.Time) { return a.cert.NotBefore, a.cert.NotAfter }

// Fingerprint is the SHA-256 of the certificate, in hexadecimal.
func (a *Authority) Fingerprint() string { return fmt.Sprintf("%x", sha256.Sum256(a.cert.Raw)) }

// PEM is the certificate, without its key.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// Pool is a pool that holds the authority alone.
func (a *Authority) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// ends tells whether the authority is to be replaced.
func (a *Authority) ends(now time.Time) bool {
	return now.Before(a.cert.NotBefore) || now.Add(renew).After(a.cert.NotAfter)
}

// encode is the certificate and its key, as they are kept.
func (a *Authority) encode() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, err
	}
	return append(a.PEM(), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...), nil
}

// parseAuthority reads what encode wrote. Errors hold nothing of the text.
func parseAuthority(text []byte) (*Authority, error) {
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("the key is none for ECDSA on P-256")
	}
	cert := pair.Leaf
	if !cert.IsCA || len(cert.PermittedDNSDomains) == 0 || len(cert.SubjectKeyId) == 0 || !bytes.Equal(cert.RawSubject, cert.RawIssuer) {
		return nil, errors.New("the certificate is none of an authority that is limited to some hosts")
	}
	return &Authority{cert: cert, key: key}, nil
}

// hostname is this machine's name for people.
func hostname() string {
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "an unnamed machine"
}
