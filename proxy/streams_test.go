package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/proxy/journal"
)

// apartEnv makes the test binary serve as a proxy in a process of its own, so
// that its memory can be told from that of clients and upstreams.
const apartEnv = "CAPSTAN_TEST_PROXY_APART"

// apart is what such a process is told.
type apart struct{ Dir, Provider, CA, Cert, Key string }

// TestApart is no test: it is that process.
func TestApart(t *testing.T) {
	text := os.Getenv(apartEnv)
	if text == "" {
		t.Skip("serves as a child of other tests")
	}
	var a apart
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		t.Fatal(err)
	}
	if err := a.serve(); err != nil {
		t.Fatal(err)
	}
}

func (a apart) serve() error {
	j, err := journal.NewWriter(journal.Config{Dir: a.Dir})
	if err != nil {
		return err
	}
	leaf, err := tls.X509KeyPair([]byte(a.Cert), []byte(a.Key))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(a.CA))
	c := keeping(j)
	c.Roots, c.Providers = roots, map[string]string{"up": a.Provider}
	c.Certificate = func(string) (*tls.Certificate, error) { return &leaf, nil }
	p, err := New(c)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { j.Run(ctx) }()
	go func() { io.Copy(io.Discard, os.Stdin); cancel() }()
	fmt.Printf("listening on %s\n", l.Addr())
	return p.Serve(ctx, l)
}

// start runs the proxy apart and returns its address and process.
func (a apart) start(tb testing.TB) (addr string, pid int) {
	tb.Helper()
	text, err := json.Marshal(a)
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestApart$", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), apartEnv+"="+string(text), "GOCOVERDIR="+tb.TempDir())
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { in.Close(); cmd.Wait() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if addr, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
			go io.Copy(io.Discard, out)
			return addr, cmd.Process.Pid
		}
	}
	tb.Fatal("the proxy did not start")
	return "", 0
}

// rss is the memory of a process in KiB.
func rss(tb testing.TB, pid int) int {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		tb.Skipf("skipped: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, _ := strconv.Atoi(strings.Fields(v)[0])
			return n
		}
	}
	tb.Fatal("no VmRSS")
	return 0
}

// descriptors is how many files a process has open.
func descriptors(tb testing.TB, pid int) int {
	names, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "fd"))
	if err != nil {
		tb.Skipf("skipped: %v", err)
	}
	return len(names)
}

// material is a CA and a certificate in PEM, and what a client needs.
func material(tb testing.TB) (a apart, server, client *tls.Config) {
	ca := newAuthority(tb)
	leaf, err := ca.leaf("127.0.0.1")
	if err != nil {
		tb.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
	if err != nil {
		tb.Fatal(err)
	}
	in := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	a = apart{Dir: tb.TempDir(), CA: in("CERTIFICATE", ca.cert.Raw), Cert: in("CERTIFICATE", leaf.Certificate[0]), Key: in("PRIVATE KEY", key)}
	return a, &tls.Config{Certificates: []tls.Certificate{*leaf}}, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
}

const (
	openStreams = 5000
	pooled      = 40 // descriptors that may stay open: pipes for the next uploads, files of the journal
)

// Memory of a stream that waits for its next event: at most 128 KB with TLS on
// both sides, 64 KB without.
func BenchmarkBarStreams(b *testing.B) {
	b.Run("tls=false", func(b *testing.B) {
		for b.Loop() {
			streams(b, false, 64)
		}
	})
	b.Run("tls=true", func(b *testing.B) {
		for b.Loop() {
			streams(b, true, 128)
		}
	})
}

func streams(b *testing.B, secure bool, bar float64) {
	if runtime.GOOS != "linux" {
		b.Skip("skipped: memory of a process is read from /proc")
	}
	a, server, client := material(b)
	e := &endpoint{make(chan net.Conn, 1)}
	up := listen(b, func(c net.Conn) {
		if secure {
			c = tls.Server(c, server)
		}
		e.serve(c)
	})
	a.Provider = "http://" + up
	addr, pid := a.start(b)
	dial, path := func() (net.Conn, error) { return net.Dial("tcp", addr) }, "/s/bench/up"
	if secure {
		dial, path = func() (net.Conn, error) { return tunnel(addr, up, client) }, ""
	}
	time.Sleep(100 * time.Millisecond)
	before, files := rss(b, pid), descriptors(b, pid)
	var clients, upstreams []net.Conn
	text := []byte("data: {\"choices\":[{\"delta\":{\"content\":\"tok\"}}]}\n\n")
	got := make([]byte, 4096)
	for range openStreams {
		c, err := dial()
		if err != nil {
			b.Fatal(err)
		}
		clients = append(clients, c)
		fmt.Fprintf(c, "POST %s/events HTTP/1.1\r\nHost: %s\r\nContent-Length: 8000\r\n\r\n%s", path, up, strings.Repeat("x", 8000))
		s := <-e.streams
		upstreams = append(upstreams, s)
	}
	for range 3 {
		for i, s := range upstreams {
			s.Write(text)
			if _, err := clients[i].Read(got); err != nil {
				b.Fatal(err)
			}
		}
	}
	time.Sleep(2 * time.Second)
	each := float64(rss(b, pid)-before) / openStreams
	b.ReportMetric(each, "KB/stream")
	b.ReportMetric(each/bar, "x-of-bar")
	for i := range clients {
		clients[i].Close()
		upstreams[i].Close()
	}
	for range 100 {
		if descriptors(b, pid) <= files+pooled {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if left := descriptors(b, pid) - files; left > pooled {
		b.Errorf("%d descriptors are left open", left)
	}
}
