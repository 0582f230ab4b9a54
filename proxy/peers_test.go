package proxy

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// streamAll makes mitmproxy pass bodies on as they come.
const streamAll = `
def requestheaders(flow):
    flow.request.stream = True

def responseheaders(flow):
    flow.response.stream = True
`

// mitmproxy starts the recording proxy that most people know, as a reverse proxy
// before an upstream. With body streaming on, as here, it keeps no bodies.
func mitmproxy(b *testing.B, up string) string {
	b.Helper()
	name, err := exec.LookPath("mitmdump")
	if err != nil {
		b.Skip("skipped: mitmdump is not installed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, port, _ := strings.Cut(addr, ":")
	script := filepath.Join(b.TempDir(), "stream.py")
	if err := os.WriteFile(script, []byte(streamAll), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(name, "--mode", "reverse:http://"+up, "--listen-host", "127.0.0.1", "--listen-port", port,
		"-s", script, "--set", "confdir="+b.TempDir(), "--quiet")
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for range 200 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return addr
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.Fatal("mitmdump does not listen")
	return ""
}

// Against mitmproxy, plain, the proxy adds at least 5 times less to a call and
// 1.8 times less to an event.
func BenchmarkBarMitmproxy(b *testing.B) {
	with := func(b *testing.B) (*endpoint, []*peer, func()) {
		e, peers, stop := plainPeers(b)
		addr := mitmproxy(b, peers[0].host)
		peers[1] = &peer{name: "mitmproxy", host: peers[0].host, dial: func() (net.Conn, error) { return net.Dial("tcp", addr) }}
		return e, peers, stop
	}
	few := pace{calls: 60, pause: 2 * time.Millisecond}
	b.Run("call=2B", func(b *testing.B) {
		for b.Loop() {
			_, peers, stop := with(b)
			behind(b, peers, rounds(b, few, peers, func(*peer) {}, caller(b, peers, 2)), 5)
			stop()
		}
	})
	b.Run("event", func(b *testing.B) {
		for b.Loop() {
			e, peers, stop := with(b)
			open, once := streamer(b, e)
			behind(b, peers, rounds(b, few, peers, open, once), 1.8)
			stop()
		}
	})
}

// behind reports how many times more the second peer adds than the third, against
// a bar from which on that is enough.
func behind(b *testing.B, peers []*peer, medians [][]float64, bar float64) {
	var ratios, proxy, other []float64
	for round := range medians[0] {
		o, p := medians[1][round]-medians[0][round], medians[2][round]-medians[0][round]
		other, proxy, ratios = append(other, o), append(proxy, p), append(ratios, o/p)
	}
	report(b, other, peers[1].name+"-µs")
	report(b, proxy, "proxy-µs")
	slices.Sort(ratios)
	b.Logf("%s ÷ proxy by round: %s", peers[1].name, fmt.Sprintf("%.1f", ratios))
	b.ReportMetric(bar/ratios[len(ratios)/2], "x-of-bar")
}
