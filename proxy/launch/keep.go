package launch

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

const authorityFile = "authority.pem"

// Home is the folder of what belongs to the user on this machine: $CAPSTAN_HOME,
// else capstan in the folder that the system has for configuration.
func Home() (string, error) {
	if home := os.Getenv("CAPSTAN_HOME"); home != "" {
		return filepath.Abs(home)
	}
	config, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find the folder for capstan's files: %w; CAPSTAN_HOME names one", err)
	}
	return filepath.Join(config, "capstan"), nil
}

// ErrNoAuthority says that none was made yet.
var ErrNoAuthority = errors.New("there is no certificate authority; the first recording makes one, and so does `capstan ca rotate`")

// LoadAuthority opens the authority under home.
func LoadAuthority(home string) (*Authority, error) {
	name := authorityName(home)
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoAuthority
	}
	if err != nil {
		return nil, fmt.Errorf("open authority: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("open authority: %s has mode %04o, so others may know its key: `capstan ca rotate` makes another", name, mode)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("open authority: %w", err)
	}
	a, err := parseAuthority(text)
	if err != nil {
		return nil, fmt.Errorf("open authority %s: %w; `capstan ca rotate` makes another", name, err)
	}
	return a, nil
}

// OpenAuthority opens the authority under home. Where there is none, or it is
// about to end, it makes one for hosts, and reports that it did.
func OpenAuthority(home string, hosts []string) (a *Authority, made bool, err error) {
	a, err = LoadAuthority(home)
	now := time.Now()
	switch {
	case errors.Is(err, ErrNoAuthority):
	case err != nil:
		return nil, false, err
	case !a.ends(now):
		return a, false, nil
	default:
		hosts = append(hosts, a.Hosts()...)
	}
	replace := err == nil
	if a, err = newAuthority(hosts, hostname(), now); err != nil {
		return nil, false, err
	}
	switch err := a.keep(home, replace); {
	case errors.Is(err, fs.ErrExist): // another process was first
		a, err = LoadAuthority(home)
		return a, false, err
	case err != nil:
		return nil, false, err
	}
	return a, true, nil
}

// RotateAuthority replaces the authority under home, if there is one, with a new
// one for hosts. What trusts the old one does not trust the new.
func RotateAuthority(home string, hosts []string) (*Authority, error) {
	a, err := newAuthority(hosts, hostname(), time.Now())
	if err != nil {
		return nil, err
	}
	return a, a.keep(home, true)
}

// keep writes the authority to its file. The key and the certificate are one
// file, so that no crash parts them.
func (a *Authority) keep(home string, replace bool) error {
	text, err := a.encode()
	if err == nil {
		err = keepFile(authorityName(home), text, replace)
	}
	if err != nil {
		return fmt.Errorf("keep authority: %w", err)
	}
	return nil
}

// keepFile writes a file that only the user can read, whole or not at all.
// Without replace it fails where there is one.
func keepFile(name string, text []byte, replace bool) error {
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o700); err != nil { // it may have been there
		return err
	}
	temp, err := os.CreateTemp(dir, "new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(text)
	if err == nil {
		err = temp.Sync()
	}
	if e := temp.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	if !replace {
		err = os.Link(temp.Name(), name) // fails if there is one
	}
	if replace || err != nil && !errors.Is(err, fs.ErrExist) { // or the filesystem knows no links
		err = os.Rename(temp.Name(), name)
	}
	return err
}

func authorityName(home string) string { return filepath.Join(home, "ca", authorityFile) }

// Key returns the key of the placeholders and hashes that this installation
// writes in the place of secrets, and makes it on first use. Equal secrets have
// equal placeholders under one key, which is why it is kept.
func Key(home string) ([]byte, error) {
	name := filepath.Join(home, "ca", "placeholder.key")
	key, err := os.ReadFile(name)
	if err == nil && len(key) == keyBytes {
		return key, nil
	}
	if err == nil {
		return nil, fmt.Errorf("read key of placeholders: %s is damaged: move it away, and equal secrets will have other placeholders from then on", name)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read key of placeholders: %w", err)
	}
	key = make([]byte, keyBytes)
	rand.Read(key)
	switch err := keepFile(name, key, false); {
	case errors.Is(err, fs.ErrExist): // another process was first
		return Key(home)
	case err != nil:
		return nil, fmt.Errorf("keep key of placeholders: %w", err)
	}
	return key, nil
}

const keyBytes = 32
