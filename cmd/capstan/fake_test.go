package main

import (
	"crypto/tls"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/capstan-bench/capstan/proxy/journal"
)

// fakeAgent is a coding agent as far as a recording can tell: it makes model
// calls with what its environment says.
//
//	agent [-n CALLS] [-body TEXT] [-size BYTES] [-path PATH] [-wait] [-exit STATUS] [-print NAME] …
func fakeAgent() {
	n := flag.Int("n", 0, "make `CALLS`")
	body := flag.String("body", "", "`TEXT` of the prompt")
	size := flag.Int("size", 0, "send as many random bytes")
	seed := flag.Int("seed", 1, "`SEED` of the bytes")
	path := flag.String("path", "/v1/messages", "`PATH` of the calls")
	direct := flag.Bool("direct", false, "use no proxy")
	wait := flag.Bool("wait", false, "say ready, wait for a signal and end with 7")
	pause := flag.Duration("pause", 0, "sleep at the end")
	mark := flag.String("mark", "", "write `FILE` at the end")
	exit := flag.Int("exit", 0, "end with `STATUS`")
	show := flag.String("print", "", "print the variables of these `NAMES`")
	flag.Bool("p", false, "")
	flag.Parse()
	for name := range strings.FieldsSeq(*show) {
		fmt.Printf("%s=%s\n", name, os.Getenv(name))
	}
	for i := range *n {
		if err := fakeCall(*path, *body+noise(*size, uint64(*seed+i)), *direct); err != nil {
			fmt.Fprintln(os.Stderr, "agent:", err)
			os.Exit(1)
		}
	}
	if *wait {
		signals := make(chan os.Signal, 10)
		signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		fmt.Fprintln(os.Stderr, "agent: ready")
		select {
		case sig := <-signals:
			fmt.Println("got", sig)
			os.Exit(7)
		case <-time.After(30 * time.Second):
			os.Exit(99)
		}
	}
	time.Sleep(*pause)
	if *mark != "" {
		os.WriteFile(*mark, []byte("done"), 0o666)
	}
	os.Exit(*exit)
}

// fakeCall makes one model call and reads the answer as it comes.
func fakeCall(path, text string, direct bool) error {
	base := os.Getenv("ANTHROPIC_BASE_URL")
	if base == "" {
		base = "https://api.anthropic.com"
	}
	tr := &http.Transport{Proxy: http.ProxyFromEnvironment}
	if direct {
		tr.Proxy = nil
	}
	body := fmt.Sprintf(`{"model":"m","stream":true,"messages":[{"role":"user","content":%q}]}`, text)
	r, err := http.NewRequest(http.MethodPost, base+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Api-Key", os.Getenv("ANTHROPIC_API_KEY"))
	resp, err := (&http.Client{Transport: tr, Timeout: time.Minute}).Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(answer), "message_stop") {
		return fmt.Errorf("%s: %s", resp.Status, answer)
	}
	return nil
}

// journalCat prints everything that a journal holds: journalcat DIR.
func journalCat() {
	r, err := journal.Open(os.Args[1], journal.ReadConfig{})
	if err != nil {
		log.Fatal(err)
	}
	for x, err := range r.Exchanges() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%+v %+v %s\n%+v %s\n%+v\n", x.Flow, x.Request.Heads, x.Request.Body, x.Response.Heads, x.Response.Body, x.End)
	}
}

// noise is text that cannot be made smaller by much.
func noise(n int, seed uint64) string {
	b := make([]byte, n)
	x := seed * 88172645463325253
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = 'a' + byte(x%26)
	}
	return string(b)
}

// startWorld gives a script a world without any network:
//
//	$WORLD      a company's proxy, behind which every host is the model provider
//	$WORLD_CA   what trusts the provider's certificate
//	$MODEL      the same provider, without TLS
func startWorld(e *testscript.Env) error {
	provider := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "event: message_start\ndata: {\"type\":\"message_start\"}\n\n")
		w.(http.Flusher).Flush()
		fmt.Fprint(w, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
	})
	cert, _, err := pretendedCertificate("api.anthropic.com", "llm.corp.example")
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	secure := &http.Server{Handler: provider, ErrorLog: log.New(io.Discard, "", 0)}
	go secure.Serve(tls.NewListener(handover{l}, &tls.Config{Certificates: []tls.Certificate{*cert}}))
	plain := httptest.NewServer(provider)
	e.Defer(func() { secure.Close(); plain.Close() })
	ca := filepath.Join(e.WorkDir, "world.pem")
	e.Setenv("WORLD", "http://corp:Wq7-corporate-Password@"+l.Addr().String())
	e.Setenv("WORLD_CA", ca)
	e.Setenv("MODEL", plain.URL)
	e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
	e.Setenv("CAPSTAN_HOME", filepath.Join(e.WorkDir, "capstan-home"))
	e.Setenv("TMPDIR", e.WorkDir)
	return os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), 0o666)
}
