package launch

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

func pemOf(t *testing.T) []byte {
	t.Helper()
	return testAuthority(t).PEM()
}

func blocks(t *testing.T, file string) (n int) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		n++
	}
	return n
}

// TestRun: the child trusts what the user's variables name, and the authority,
// each once; a key among them is not copied.
func TestRun(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dir := t.TempDir()
	file := func(name string, text ...[]byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, bytes.Join(text, nil), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a := testAuthority(t)
	system, corp, extra := pemOf(t), pemOf(t), pemOf(t)
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("hidden")})
	base := []string{
		"SSL_CERT_FILE=" + file("system.pem", system, corp), "REQUESTS_CA_BUNDLE=" + file("corp.pem", []byte("# text\n"), corp, key),
		"NODE_EXTRA_CA_CERTS=" + file("extra.pem", extra), "CURL_CA_BUNDLE=" + file("odd.pem", []byte("none")), "AWS_CA_BUNDLE=/nowhere",
	}
	r, err := NewRun(a, base)
	if err != nil {
		t.Fatal(err)
	}
	if n := blocks(t, r.CA); n != 2 {
		t.Errorf("%d certificates besides the system's, want the user's and ours", n)
	}
	if n := blocks(t, r.Bundle); n != 4 {
		t.Errorf("%d certificates in the bundle, want system, corporate, extra and ours", n)
	}
	if text, _ := os.ReadFile(r.Bundle); bytes.Contains(text, []byte("PRIVATE")) {
		t.Error("a key was copied")
	}
	if len(r.Unread) != 2 {
		t.Errorf("Unread = %v, want odd.pem and /nowhere", r.Unread)
	}
	if err := r.Write(map[string][]byte{"x": []byte("y")}); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(r.Dir); !os.IsNotExist(err) {
		t.Errorf("after Close: %v, want the folder gone", err)
	}
}

// TestRunWithoutSystemRoots: a bundle that would hold the authority alone is not
// made.
func TestRunWithoutSystemRoots(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	defer func(files []string) { systemFiles = files }(systemFiles)
	systemFiles = nil
	r, err := NewRun(testAuthority(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Bundle != "" || blocks(t, r.CA) != 1 {
		t.Errorf("Bundle = %q, want none, and ours in CA", r.Bundle)
	}
}

// TestSweep: what a run that was killed left goes with the next run; what belongs
// to a run that goes on, or was just made, stays.
func TestSweep(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the lock is one of open files here")
	}
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	make := func(name string, age time.Duration) string {
		dir := filepath.Join(temp, runPrefix+name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, lockFile), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-age)
		if err := os.Chtimes(dir, then, then); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	dead, young := make("dead", time.Hour), make("young", 0)
	elsewhere := make("x", 0)
	link := filepath.Join(temp, runPrefix+"link")
	if err := os.Symlink(elsewhere, link); err != nil {
		t.Fatal(err)
	}
	live, err := NewRun(testAuthority(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	then := time.Now().Add(-time.Hour)
	if err := os.Chtimes(live.Dir, then, then); err != nil {
		t.Fatal(err)
	}
	sweepRuns(temp)
	for dir, want := range map[string]bool{dead: false, young: true, live.Dir: true, filepath.Join(elsewhere, lockFile): true} {
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", dir, err == nil, want)
		}
	}
}
