package launch

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var testHosts = []string{"api.anthropic.com", "chatgpt.com", "*.githubcopilot.com"}

func testAuthority(t testing.TB) *Authority {
	t.Helper()
	a, err := newAuthority(testHosts, "a-machine", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestAuthorityCertificate holds the certificate of an authority against what is
// promised of it.
func TestAuthorityCertificate(t *testing.T) {
	a := testAuthority(t)
	c := a.cert
	if got := a.Subject(); !strings.Contains(got, "CN=capstan recording on a-machine") || !strings.Contains(got, "O=capstan") {
		t.Errorf("Subject() = %q, want the machine and capstan in it", got)
	}
	if d := c.NotAfter.Sub(c.NotBefore); d < lifetime || d > lifetime+2*time.Hour {
		t.Errorf("valid for %v, want two years", d)
	}
	if !c.PermittedDNSDomainsCritical || strings.Join(a.Hosts(), " ") != "api.anthropic.com chatgpt.com githubcopilot.com" {
		t.Errorf("permitted %v, critical %v, want the three domains and true", c.PermittedDNSDomains, c.PermittedDNSDomainsCritical)
	}
	if len(c.ExcludedIPRanges) != 2 || !c.MaxPathLenZero || !c.IsCA {
		t.Errorf("excluded %v, path length zero %v, CA %v", c.ExcludedIPRanges, c.MaxPathLenZero, c.IsCA)
	}
	if strings.Contains(string(a.PEM()), "PRIVATE") {
		t.Error("PEM() holds the key")
	}
	f := func(host string, want bool) {
		t.Helper()
		if got := a.Covers(host); got != want {
			t.Errorf("Covers(%q) = %v, want %v", host, got, want)
		}
		if _, err := a.Certificate(host); (err == nil) != (want && !strings.HasPrefix(host, "*")) {
			t.Errorf("Certificate(%q) = %v", host, err)
		}
	}
	f("api.anthropic.com", true)
	f("API.Anthropic.com.", true)
	f("x.api.individual.githubcopilot.com", true)
	f("anthropic.com", false)
	f("evilchatgpt.com", false)
	f("127.0.0.1", false)
	f("", false)
}

// forged is a leaf that the authority itself would not sign, made with its key.
func forged(t *testing.T, a *Authority, host string) *tls.Certificate {
	t.Helper()
	leaf, err := a.sign("chatgpt.com", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	template := *leaf.Leaf
	template.SerialNumber, template.DNSNames, template.Subject.CommonName = big.NewInt(5), []string{host}, host
	if ip := net.ParseIP(host); ip != nil {
		template.DNSNames, template.IPAddresses = nil, []net.IP{ip}
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, a.cert, leaf.Leaf.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: leaf.PrivateKey}
}

// tlsServer answers every connection with a line.
func tlsServer(t *testing.T, cert *tls.Certificate) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{*cert}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(10 * time.Second))
				if c.(*tls.Conn).Handshake() == nil {
					io.WriteString(c, "trusted\n")
				}
			}()
		}
	}()
	return l.Addr().String()
}

// verifiers are real TLS clients. Each reports whether it trusts a server.
var verifiers = map[string]func(t *testing.T, addr, host, ca string) error{
	"go": func(t *testing.T, addr, host, ca string) error {
		text, err := os.ReadFile(ca)
		if err != nil {
			return err
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(text)
		c, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: pool, ServerName: host})
		if err == nil {
			c.Close()
		}
		return err
	},
	"openssl": func(t *testing.T, addr, host, ca string) error {
		name := []string{"-servername", host, "-verify_hostname", host}
		if net.ParseIP(host) != nil {
			name = []string{"-verify_ip", host}
		}
		return tool(t, "openssl", append([]string{"s_client", "-connect", addr, "-CAfile", ca, "-no-CApath", "-verify_return_error", "-x509_strict", "-quiet"}, name...)...)
	},
	"python3": func(t *testing.T, addr, host, ca string) error {
		return tool(t, "python3", "-c", `
import socket, ssl, sys
addr, host, ca = sys.argv[1:]
c = ssl.create_default_context(cafile=ca)
c.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from 3.13 on
ip, port = addr.split(":")
with c.wrap_socket(socket.create_connection((ip, int(port))), server_hostname=host) as s:
    assert s.recv(8) == b"trusted\n"
`, addr, host, ca)
	},
	"node": func(t *testing.T, addr, host, ca string) error {
		t.Setenv("NODE_EXTRA_CA_CERTS", ca)
		return tool(t, "node", "-e", `
const [addr, host] = process.argv.slice(1), [ip, port] = addr.split(":");
const s = require("tls").connect({host: ip, port, servername: /^[0-9.]+$/.test(host) ? "" : host, checkServerIdentity: (h, c) => require("tls").checkServerIdentity(host, c)}, () => process.exit(0));
s.on("error", (e) => { console.error(e.message); process.exit(1); });
`, addr, host)
	},
	"curl": func(t *testing.T, addr, host, ca string) error {
		_, port, _ := net.SplitHostPort(addr)
		return tool(t, "curl", "-sS", "--http0.9", "--cacert", ca, "--resolve", host+":"+port+":127.0.0.1", "https://"+host+":"+port+"/")
	},
}

var errMissing = errors.New("not installed")

func tool(t *testing.T, name string, args ...string) error {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		return errMissing
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// TestVerification: real clients trust what the authority signs, and nothing that
// its key was used for beyond that.
func TestVerification(t *testing.T) {
	a := testAuthority(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, a.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, verify := range verifiers {
		t.Run(name, func(t *testing.T) {
			for _, host := range []string{"api.anthropic.com", "api.individual.githubcopilot.com"} {
				cert, err := a.Certificate(host)
				if err != nil {
					t.Fatal(err)
				}
				if err := verify(t, tlsServer(t, cert), host, ca); errors.Is(err, errMissing) {
					t.Skipf("%s is not installed: this client is not asked", name)
				} else if err != nil {
					t.Errorf("%s does not trust %s: %v", name, host, err)
				}
			}
			for _, host := range []string{"bank.example", "127.0.0.1"} {
				if verify(t, tlsServer(t, forged(t, a, host)), host, ca) == nil {
					t.Errorf("%s trusts a certificate for %s, which the authority may not vouch for", name, host)
				}
			}
		})
	}
}

// TestLeaf: certificates have the extensions that strict clients ask for, a short
// life, and keys of their own.
func TestLeaf(t *testing.T) {
	a := testAuthority(t)
	one, err := a.Certificate("api.anthropic.com")
	if err != nil {
		t.Fatal(err)
	}
	two, err := a.Certificate("chatgpt.com")
	if err != nil {
		t.Fatal(err)
	}
	leaf := one.Leaf
	if len(leaf.SubjectKeyId) == 0 || string(leaf.AuthorityKeyId) != string(a.cert.SubjectKeyId) || len(leaf.AuthorityKeyId) == 0 {
		t.Errorf("subject key id %x, authority key id %x, want both, the second %x", leaf.SubjectKeyId, leaf.AuthorityKeyId, a.cert.SubjectKeyId)
	}
	if d := leaf.NotAfter.Sub(leaf.NotBefore); d < 24*time.Hour || d > 7*24*time.Hour {
		t.Errorf("valid for %v, want one day to seven", d)
	}
	if fmt.Sprint(one.PrivateKey) == fmt.Sprint(two.PrivateKey) || leaf.SerialNumber.Cmp(two.Leaf.SerialNumber) == 0 {
		t.Error("two hosts share a key or a serial number")
	}
}

// TestLeafCache: a host has one certificate however many ask at once, until it is
// about to end; and hosts without number take bounded memory.
func TestLeafCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testAuthority(t)
		var made sync.Map
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				c, err := a.Certificate("chatgpt.com")
				if err != nil {
					t.Error(err)
				}
				made.Store(c, true)
			})
		}
		wg.Wait()
		count := 0
		made.Range(func(any, any) bool { count++; return true })
		if count != 1 {
			t.Errorf("50 at once got %d certificates, want one", count)
		}
		first, _ := a.Certificate("chatgpt.com")
		time.Sleep(leafLifetime - leafRenew - time.Minute)
		if again, _ := a.Certificate("chatgpt.com"); again != first {
			t.Error("a certificate that holds for another day was made anew")
		}
		time.Sleep(2 * time.Minute)
		if again, _ := a.Certificate("chatgpt.com"); again == first || time.Until(again.Leaf.NotAfter) < leafLifetime-time.Minute {
			t.Error("a certificate that is about to end was not made anew")
		}
		for i := range maxLeaves + 10 {
			if _, err := a.Certificate(fmt.Sprintf("h%d.githubcopilot.com", i)); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(a.leaves.byHost); n > maxLeaves {
			t.Errorf("%d certificates are held, want %d at most", n, maxLeaves)
		}
	})
}

// TestKeep: the authority is made once, only its user can read it, and it is
// replaced when it is told to, or about to end.
func TestKeep(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	if _, err := LoadAuthority(home); !errors.Is(err, ErrNoAuthority) {
		t.Errorf("LoadAuthority = %v, want ErrNoAuthority", err)
	}
	a, made, err := OpenAuthority(home, testHosts)
	if err != nil || !made {
		t.Fatalf("OpenAuthority = %v, %v, want it made", made, err)
	}
	b, made, err := OpenAuthority(home, []string{"other.example"})
	if err != nil || made || b.Fingerprint() != a.Fingerprint() {
		t.Fatalf("OpenAuthority again = %v, %v, want the same one", made, err)
	}
	file := filepath.Join(home, "ca", authorityFile)
	for name, want := range map[string]os.FileMode{file: 0o600, filepath.Dir(file): 0o700} {
		if info, err := os.Stat(name); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want mode %04o", name, info.Mode(), err, want)
		}
	}
	if c, err := RotateAuthority(home, []string{"other.example"}); err != nil || c.Fingerprint() == a.Fingerprint() || c.Covers("chatgpt.com") {
		t.Errorf("RotateAuthority = %v, want another one for other.example alone", err)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenAuthority(home, testHosts); runtime.GOOS != "windows" && (err == nil || !strings.Contains(err.Error(), "ca rotate")) {
		t.Errorf("OpenAuthority of a key that others can read = %v, want an error that says what to do", err)
	}
	if err := os.WriteFile(file, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	os.Chmod(file, 0o600)
	if _, _, err := OpenAuthority(home, testHosts); err == nil || !strings.Contains(err.Error(), "ca rotate") {
		t.Errorf("OpenAuthority of garbage = %v, want an error that says what to do", err)
	}
	old, err := newAuthority(testHosts, "m", time.Now().Add(-lifetime+renew/2))
	if err == nil {
		err = old.keep(home, true)
	}
	if err != nil {
		t.Fatal(err)
	}
	if next, made, err := OpenAuthority(home, []string{"more.example"}); err != nil || !made || !next.Covers("more.example") || !next.Covers("chatgpt.com") {
		t.Errorf("OpenAuthority of one that is about to end = %v, %v, want another for its hosts and those asked for", made, err)
	}
	if left, _ := filepath.Glob(filepath.Join(home, "ca", "new-*")); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

// TestKeepTogether: processes that make the authority at the same time end with
// the same one.
func TestKeepTogether(t *testing.T) {
	home := t.TempDir()
	prints := make(chan string, 8)
	for range cap(prints) {
		go func() {
			a, _, err := OpenAuthority(home, testHosts)
			if err != nil {
				prints <- err.Error()
				return
			}
			prints <- a.Fingerprint()
		}()
	}
	first := <-prints
	for range cap(prints) - 1 {
		if got := <-prints; got != first {
			t.Errorf("got %s and %s, want one authority", got, first)
		}
	}
}

// TestKey: the key of placeholders is made once.
func TestKey(t *testing.T) {
	home := t.TempDir()
	one, err := Key(home)
	if err != nil || len(one) != keyBytes {
		t.Fatalf("Key = %d bytes, %v", len(one), err)
	}
	if two, err := Key(home); err != nil || string(two) != string(one) {
		t.Errorf("Key again = another one, %v", err)
	}
	if other, _ := Key(t.TempDir()); string(other) == string(one) {
		t.Error("two homes have the same key")
	}
	name := filepath.Join(home, "ca", "placeholder.key")
	if info, err := os.Stat(name); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v, want mode 0600", info, err)
	}
	if err := os.WriteFile(name, one[:5], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Key(home); err == nil || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("Key of a damaged file = %v", err)
	}
}
