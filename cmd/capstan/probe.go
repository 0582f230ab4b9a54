package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/capstan-bench/capstan/proxy/journal"
	"github.com/capstan-bench/capstan/proxy/launch"
)

const (
	// probeHost is whom the probe pretends to call.
	probeHost = "api.anthropic.com"
	probePath = "/v1/messages"
	// probeAnswer is what the pretended provider says.
	probeAnswer = "capstan-probe-answer"
)

// probe starts a recording whose upstream is a pretended provider on this
// machine, and has clients call it with the environment of a child.
func (d *checkup) probe(ctx context.Context, a *launch.Authority) {
	p, err := startProbe()
	if err != nil {
		d.add(gradeProblem, "probe", "%v", err)
		return
	}
	defer p.close()
	if !a.Covers(probeHost) {
		return // was told already
	}
	calls := 0
	for _, client := range probeClients {
		if client.program != "" {
			if _, err := exec.LookPath(client.program); err != nil {
				continue
			}
		}
		calls++
		if err := client.call(ctx, p); err != nil {
			d.add(gradeProblem, "probe", "a call of %s through the proxy did not work: %v", client.name, err)
		} else {
			d.add(gradeOK, "probe", "%s calls through the proxy and trusts it", client.name)
		}
	}
	if err := p.finish(calls); err != nil {
		d.add(gradeProblem, "probe", "%v", err)
	} else {
		d.add(gradeOK, "probe", "%d calls are in the journal, without the key that they were made with", calls)
	}
}

// probing is a recording of calls to a pretended provider.
type probing struct {
	recording *recording
	provider  *http.Server
	corporate net.Listener
	remove    func()
	env       []string
	key       string
}

func startProbe() (p *probing, err error) {
	p = &probing{key: fmt.Sprintf("sk-ant-api03-probe-%s", rand.Text())}
	cert, roots, err := pretendedCertificate(probeHost)
	if err != nil {
		return nil, err
	}
	if p.corporate, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	tunnelled := newHandover(p.corporate)
	p.provider = &http.Server{Handler: http.HandlerFunc(pretendedProvider), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	go p.provider.Serve(tls.NewListener(tunnelled, &tls.Config{Certificates: []tls.Certificate{*cert}}))
	base := withoutSteering(os.Environ())
	s := &recordingConfig{harness: launch.Unknown(), way: launch.Connect, session: "doctor", environment: base,
		via: &url.URL{Scheme: "http", Host: p.corporate.Addr().String()}, roots: roots}
	if s.homeDir, err = launch.Home(); err == nil {
		s.dir, p.remove, err = tempJournal()
	}
	if err == nil {
		p.recording, err = s.start("127.0.0.1:0", &teller{w: io.Discard})
	}
	if err != nil {
		p.close()
		return nil, err
	}
	p.env = launch.Environment(base, p.recording.launchConfig())
	return p, nil
}

func (p *probing) close() {
	if p.recording != nil && p.recording.stop != nil {
		p.recording.stop()
	}
	p.provider.Close()
	p.corporate.Close()
	if p.remove != nil {
		p.remove()
	}
}

// finish ends the recording and looks at what it holds.
func (p *probing) finish(calls int) error {
	stop := p.recording.stop
	p.recording.stop = nil
	if err := stop(); err != nil {
		return err
	}
	r, err := journal.Open(p.recording.dir, journal.ReadConfig{})
	if err != nil {
		return err
	}
	found := 0
	for x, err := range r.Exchanges() {
		if err != nil {
			return err
		}
		if bytes.Contains(x.Response.Body, []byte(probeAnswer)) {
			found++
		}
		if strings.Contains(fmt.Sprint(x.Request.Heads), p.key) || bytes.Contains(x.Request.Body, []byte(p.key)) {
			return errors.New("the journal holds the key that the calls were made with: please report this")
		}
	}
	if found < calls {
		return fmt.Errorf("%d of %d calls are in the journal", found, calls)
	}
	return nil
}

// pretendedProvider answers as a provider would, in short.
func pretendedProvider(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, io.LimitReader(r.Body, 1<<20))
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"type":"message","role":"assistant","content":[{"type":"text","text":%q}]}`, probeAnswer)
}

// pretendedCertificate is the provider's, and what trusts it.
func pretendedCertificate(hosts ...string) (*tls.Certificate, *x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "capstan doctor"}, DNSNames: hosts,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots, nil
}

// handover is a listener of a proxy that says yes to CONNECT and hands the
// tunnel over as if it led to where it was asked to.
type handover struct{ net.Listener }

func newHandover(l net.Listener) handover { return handover{l} }

// Accept answers the CONNECT on the next connection.
func (h handover) Accept() (net.Conn, error) {
	for {
		c, err := h.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		in := bufio.NewReader(c)
		r, err := http.ReadRequest(in)
		if err != nil || r.Method != http.MethodConnect || in.Buffered() > 0 {
			c.Close()
			continue
		}
		if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
			c.Close()
			continue
		}
		c.SetDeadline(time.Time{})
		return c, nil
	}
}

// probeClient is a TLS client that people's agents are built on.
type probeClient struct {
	name, program string
	call          func(ctx context.Context, p *probing) error
}

var probeClients = []probeClient{
	{"Go", "", probeGo},
	{"curl", "curl", probeProgram("curl", "-sS", "--fail", "-X", "POST", "-H", "content-type: application/json", "-H", "x-api-key: @KEY@", "-d", "{}", "@URL@")},
	{"Node", "node", probeProgram("node", "-e", nodeProbe)},
	{"Python", "python3", probeProgram("python3", "-c", pythonProbe)},
}

// nodeProbe calls as Node's own clients do; where this version knows no proxy for
// them, it opens the tunnel by itself. Either way it takes the certificates from
// the environment.
const nodeProbe = `
const http = require("http"), https = require("https"), proxy = new URL(process.env.HTTPS_PROXY), url = new URL(process.env.PROBE_URL);
const auth = "Basic " + Buffer.from(proxy.username + ":" + proxy.password).toString("base64");
http.request({host: proxy.hostname, port: proxy.port, method: "CONNECT", path: url.hostname + ":443", headers: {"Proxy-Authorization": auth}})
  .on("connect", (res, socket) => {
    const r = https.request(url, {socket, agent: false, method: "POST", headers: {"x-api-key": process.env.PROBE_KEY}}, (res) => res.pipe(process.stdout));
    r.on("error", (e) => { console.error(e.message); process.exit(1); });
    r.end("{}");
  })
  .on("error", (e) => { console.error(e.message); process.exit(1); }).end();
`

const pythonProbe = `
import os, urllib.request
r = urllib.request.Request(os.environ["PROBE_URL"], data=b"{}", headers={"x-api-key": os.environ["PROBE_KEY"]})
print(urllib.request.urlopen(r, timeout=15).read().decode())
`

// probeGo calls with Go's own client.
func probeGo(ctx context.Context, p *probing) error {
	via, err := url.Parse(p.recording.launchConfig().ProxyURL())
	if err != nil {
		return err
	}
	tr := &http.Transport{Proxy: http.ProxyURL(via), TLSClientConfig: &tls.Config{RootCAs: p.recording.authority.Pool()}}
	defer tr.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+probeHost+probePath, strings.NewReader("{}"))
	if err != nil {
		return err
	}
	r.Header.Set("X-Api-Key", p.key)
	resp, err := (&http.Client{Transport: tr}).Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil {
		return err
	}
	return answered(body)
}

// answered tells whether a client got the provider's answer.
func answered(body []byte) error {
	if !bytes.Contains(body, []byte(probeAnswer)) {
		return fmt.Errorf("the answer was %.200q", body)
	}
	return nil
}

// probeProgram calls with another program.
func probeProgram(name string, args ...string) func(context.Context, *probing) error {
	return func(ctx context.Context, p *probing) error {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		target := "https://" + probeHost + probePath
		expanded := make([]string, len(args))
		for i, a := range args {
			expanded[i] = strings.NewReplacer("@URL@", target, "@KEY@", p.key).Replace(a)
		}
		cmd := exec.CommandContext(ctx, name, expanded...)
		cmd.Env = append(p.env[:len(p.env):len(p.env)], "PROBE_URL="+target, "PROBE_KEY="+p.key)
		cmd.WaitDelay = time.Second
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("%w: %s", err, lastLine(stderr.String()))
		}
		return answered(out)
	}
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return orDash(text[strings.LastIndexByte(text, '\n')+1:])
}

// reachHost opens a TLS connection to a host as a recording would.
func reachHost(ctx context.Context, host string, via *url.URL, roots *x509.CertPool) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	if via != nil {
		tr.Proxy = http.ProxyURL(via)
	}
	defer tr.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, "https://"+host+"/", nil)
	if err != nil {
		return err
	}
	resp, err := tr.RoundTrip(r)
	if err != nil {
		return err
	}
	resp.Body.Close()
	return nil
}
