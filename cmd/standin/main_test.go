package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRunRefuses(t *testing.T) {
	script := filepath.Join(t.TempDir(), "s.yaml")
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	os.WriteFile(script, []byte(walk), 0o600)
	os.WriteFile(bad, []byte("agents: []"), 0o600)
	f := func(code int, want string, args ...string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if got := run(context.Background(), args, &stdout, &stderr); got != code || !strings.Contains(stderr.String(), want) || stdout.Len() > 0 {
			t.Errorf("run(%q) = %d, stdout %q, stderr %q, want %d and %q", args, got, &stdout, &stderr, code, want)
		}
	}
	f(0, "of this machine only", "-h")
	f(2, "-script")
	f(2, "no other arguments", "-script", script, "more")
	f(2, "speed", "-speed", "3")
	f(1, "no such file", "-script", script+"x")
	f(1, "needs agents", "-script", bad)
	f(1, "loopback", "-script", script, "-listen", "0.0.0.0:0")
	f(1, "open log", "-script", script, "-log", t.TempDir())
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	script, log, ca := filepath.Join(dir, "s.yaml"), filepath.Join(dir, "log"), filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(script, []byte(walk), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	out, stdout := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"-script", script, "-log", log, "-ca", ca}, stdout, io.Discard)
		stdout.Close()
	}()
	base, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.Post(strings.TrimSpace(base)+"/v1/chat/completions", "application/json", strings.NewReader(`{"model":"m","messages":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, r.Body)
	r.Body.Close()
	stop()
	if got := <-code; got != 0 || r.StatusCode != 200 {
		t.Errorf("exit status %d, want 0; status %d, want 200", got, r.StatusCode)
	}
	var e Entry
	line, err := os.ReadFile(log)
	if err != nil || json.Unmarshal(line, &e) != nil || e.Kind != AnswerTurn || e.Agent != "main" || e.Path != "/v1/chat/completions" {
		t.Errorf("log = %s, %v", line, err)
	}
	if pem, err := os.ReadFile(ca); err != nil || !strings.HasPrefix(string(pem), "-----BEGIN CERTIFICATE") {
		t.Errorf("authority = %s, %v", pem, err)
	}
}
