// Standin is a scripted model: an HTTP server that speaks the dialects of the real
// ones (Anthropic Messages, OpenAI Chat Completions, OpenAI Responses over HTTP and
// WebSocket, Gemini) well enough for real coding agents to work with it, and says
// what a script tells it to. Tests of the recorder and the shipped recordings use it
// in place of a model that costs money and never says the same thing twice.
//
//	standin -script session.yaml [-listen 127.0.0.1:8080] [-log FILE] [-ca FILE]
//
// The base URL is the one line on stdout; any path may stand in front of a dialect's
// own. The server is also a proxy: a CONNECT to any host is answered by the stand-in
// itself, under a certificate of its own authority, which -ca writes to a file. So
// agents that insist on their vendor's host can be run without a network. -log writes
// one JSON object a request.
//
// # Promises
//
// One script drives every harness: tools are named by what they do, and each call is
// put in the names and arguments that the request declares ([Call]). What is said
// next follows from the conversation alone, so parallel, resumed, forked and
// compacted sessions work, and the server can be restarted in the middle of one: see
// [conversation]. The one thing remembered is how often a request has been failed
// on purpose, since a retry looks like the first attempt.
//
// # Limits
//
// It checks nothing of what it is sent beyond what it needs, knows no keys, counts
// four bytes as a token, and must not be reachable by others: it listens on loopback
// only.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program; it returns the exit status: 0 after an interrupt, 1 where
// something fails, 2 for wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("standin", flag.ContinueOnError)
	flags.SetOutput(stderr)
	script := flags.String("script", "", "the script, a YAML `FILE`; required")
	listen := flags.String("listen", "127.0.0.1:0", "`ADDRESS` to listen on, of this machine only")
	log := flags.String("log", "", "append a line a request to `FILE`")
	ca := flags.String("ca", "", "write the certificate authority of the proxy to `FILE`")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if *script == "" || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "standin: want -script FILE and no other arguments")
		return 2
	}
	if err := serve(ctx, *script, *listen, *log, *ca, stdout); err != nil {
		fmt.Fprintf(stderr, "standin: %v\n", err)
		return 1
	}
	return 0
}

func serve(ctx context.Context, script, listen, log, ca string, stdout io.Writer) error {
	text, err := os.ReadFile(script)
	if err != nil {
		return fmt.Errorf("read script: %w", err)
	}
	s, err := ParseScript(text)
	if err != nil {
		return fmt.Errorf("%s: %w", script, err)
	}
	server, err := NewServer(Config{Script: s})
	if err != nil {
		return err
	}
	if log != "" {
		f, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return fmt.Errorf("open log: %w", err)
		}
		defer f.Close()
		server.cfg.Log = logTo(f)
	}
	if ca != "" {
		if err := os.WriteFile(ca, server.CA(), 0o644); err != nil {
			return fmt.Errorf("write certificate authority: %w", err)
		}
	}
	ln, err := listenLocal(listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "http://%s\n", ln.Addr())
	return server.Serve(ctx, ln)
}

// listenLocal refuses addresses that others could reach.
func listenLocal(address string) (net.Listener, error) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if a, ok := ln.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		ln.Close()
		return nil, fmt.Errorf("listen on %s: want a loopback address, as 127.0.0.1:0", address)
	}
	return ln, nil
}

func logTo(w io.Writer) func(Entry) {
	var mu sync.Mutex
	return func(e Entry) {
		mu.Lock()
		defer mu.Unlock()
		json.NewEncoder(w).Encode(e)
	}
}
