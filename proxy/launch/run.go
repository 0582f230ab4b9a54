package launch

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Run is the folder of one run: the certificates that its child trusts, and the
// files of [Files]. It lies among the temporary files, holds nothing secret, and
// goes with Close. What a run that was killed left is removed by the next one.
type Run struct {
	Dir    string
	CA     string // PEM: the authority, and what NODE_EXTRA_CA_CERTS had
	Bundle string // PEM: the system's certificates, the user's, and the authority; empty: the system's were not found
	// Unread are files that variables of the user name and that hold no
	// certificates.
	Unread []string
	lock   *os.File
}

const (
	runPrefix = "capstan-run-"
	lockFile  = "LOCK"
)

// NewRun makes the folder of a run whose child is to trust a, besides what the
// environment base has it trust: SSL_CERT_FILE and its like in the place of the
// system's certificates, NODE_EXTRA_CA_CERTS in addition.
func NewRun(a *Authority, base []string) (*Run, error) {
	sweepRuns(os.TempDir())
	dir, err := os.MkdirTemp("", runPrefix)
	if err != nil {
		return nil, fmt.Errorf("make the run's folder: %w", err)
	}
	r := &Run{Dir: dir}
	if r.lock, err = os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600); err == nil {
		err = holdLock(r.lock)
	}
	if err == nil {
		err = r.trust(a, base)
	}
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("make the run's folder: %w", err)
	}
	return r, nil
}

// trust writes the certificates.
func (r *Run) trust(a *Authority, base []string) error {
	extra, all := &certificates{}, &certificates{}
	r.load(extra, lookup(base, extraVariable))
	extra.add(a.PEM())
	r.CA = filepath.Join(r.Dir, "ca.pem")
	if err := os.WriteFile(r.CA, extra.text, 0o644); err != nil {
		return err
	}
	if !systemRoots(all, base) {
		return nil // a bundle of ours alone would cut the child off from all other hosts
	}
	for _, name := range append(slices.Clone(bundleVariables), extraVariable) {
		r.load(all, lookup(base, name))
	}
	all.add(a.PEM())
	r.Bundle = filepath.Join(r.Dir, "bundle.pem")
	return os.WriteFile(r.Bundle, all.text, 0o644)
}

// AddTrusted adds to a pool what the variables of an environment have programs
// trust besides the system's certificates.
func AddTrusted(pool *x509.CertPool, env []string) {
	for _, name := range append(slices.Clone(bundleVariables), extraVariable) {
		if text, err := os.ReadFile(lookup(env, name)); err == nil {
			pool.AppendCertsFromPEM(text)
		}
	}
}

// load adds a file of the user's.
func (r *Run) load(c *certificates, file string) {
	if file != "" && !c.addFile(file) && !slices.Contains(r.Unread, file) {
		r.Unread = append(r.Unread, file)
	}
}

// Write puts files into the run's folder.
func (r *Run) Write(files map[string][]byte) error {
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(r.Dir, name), text, 0o600); err != nil {
			return fmt.Errorf("write the run's files: %w", err)
		}
	}
	return nil
}

// Close removes the folder.
func (r *Run) Close() error {
	if r.lock != nil {
		r.lock.Close()
	}
	return os.RemoveAll(r.Dir)
}

// justMade is how young a folder is whose lock may not be held yet.
const justMade = time.Minute

// sweepRuns removes folders whose run is over: nobody holds their lock.
func sweepRuns(temp string) {
	dirs, _ := filepath.Glob(filepath.Join(temp, runPrefix+"*"))
	for _, dir := range dirs {
		if info, err := os.Lstat(dir); err != nil || !info.IsDir() || time.Since(info.ModTime()) < justMade {
			continue
		}
		f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR, 0)
		if err != nil {
			continue
		}
		free := holdLock(f) == nil
		f.Close()
		if free && os.Remove(filepath.Join(dir, lockFile)) == nil {
			os.RemoveAll(dir)
		}
	}
}

// certificates is a PEM file in which every certificate stands once.
type certificates struct {
	text []byte
	seen map[[32]byte]bool
}

// add appends the certificates of a PEM text, and reports whether it held any.
func (c *certificates) add(text []byte) bool {
	any := false
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue // a key in such a file stays where it is
		}
		any = true
		sum := sha256.Sum256(block.Bytes)
		if c.seen[sum] {
			continue
		}
		if c.seen == nil {
			c.seen = map[[32]byte]bool{}
		}
		c.seen[sum] = true
		c.text = append(c.text, pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})...)
	}
	return any
}

func (c *certificates) addFile(name string) bool {
	text, err := os.ReadFile(name)
	return err == nil && c.add(text)
}

// systemFiles are where systems keep what they trust: Debian, Fedora, openSUSE,
// older Fedora, CentOS 7, Alpine and macOS, FreeBSD, NetBSD.
var systemFiles = []string{
	"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/pki/tls/cacert.pem",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem", "/usr/local/etc/ssl/cert.pem", "/etc/openssl/certs/ca-certificates.crt",
}

// systemRoots adds what the system trusts, or what the user has put in its place.
func systemRoots(c *certificates, env []string) bool {
	found := false
	if file := lookup(env, "SSL_CERT_FILE"); file != "" {
		found = c.addFile(file)
	}
	if dirs := lookup(env, "SSL_CERT_DIR"); dirs != "" {
		for _, dir := range filepath.SplitList(dirs) {
			found = c.addFolder(dir) || found
		}
	}
	for _, file := range systemFiles {
		if found {
			break
		}
		found = c.addFile(file)
	}
	return found
}

// addFolder adds the certificates in the files of a folder.
func (c *certificates) addFolder(dir string) (found bool) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	for _, e := range entries {
		if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			found = c.addFile(filepath.Join(dir, e.Name())) || found
		}
	}
	return found
}
