package agent_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/replay/agent"
	"github.com/capstan-bench/capstan/schema"
)

// Answers that HTTP gives no body leave the connection to other calls before the
// call that they answer has ended; calls must not meet on it.
func TestDoBodiless(t *testing.T) {
	for _, status := range []string{"204 No Content", "304 Not Modified", "101 Switching Protocols"} {
		t.Run(status, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var served sync.WaitGroup
			defer served.Wait()
			defer ln.Close()
			served.Go(func() {
				for {
					c, err := ln.Accept()
					if err != nil {
						return
					}
					served.Go(func() { bodiless(c, status) })
				}
			})
			k := connect(t, agent.Config{}, "http://"+ln.Addr().String())
			defer k.Close()
			var calls sync.WaitGroup
			var other atomic.Int32
			for range 16 {
				calls.Go(func() {
					for range 40 {
						s, _ := do(context.Background(), k, step(1))
						if str(s.Error) != schema.ErrStatus {
							other.Add(1)
						}
					}
				})
			}
			calls.Wait()
			if other.Load() > 0 {
				t.Errorf("%d calls did not end as %s", other.Load(), schema.ErrStatus)
			}
		})
	}
}

// bodiless answers every request on c with nothing but a status.
func bodiless(c net.Conn, status string) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		io.Copy(io.Discard, req.Body)
		fmt.Fprintf(c, "HTTP/1.1 %s\r\n\r\n", status)
	}
}

// An endless body of an error is read as far as its message can go.
func TestDoEndlessRefusal(t *testing.T) {
	p := &peer{serve: func(_ int, _ []byte, c net.Conn) bool {
		send(c, "HTTP/1.1 500 Internal Server Error\r\nTransfer-Encoding: chunked\r\n\r\n")
		for {
			if _, err := io.WriteString(c, chunk(strings.Repeat("x", 32<<10))); err != nil {
				return false
			}
		}
	}}
	bubble(t, p, agent.Config{}, func(k *agent.Client) {
		s, _ := do(context.Background(), k, step(1))
		if str(s.Error) != schema.ErrStatus || s.ReadBytes > 1<<20 {
			t.Errorf("error %s after %d bytes, want %s after 1 MiB at most", str(s.Error), s.ReadBytes, schema.ErrStatus)
		}
	})
}

// Nothing that a server repeats of the key or of the target's query is kept.
func TestDoKeepsNoSecret(t *testing.T) {
	const key, token = "sk-Zq8/tR4+vN1wXe7Yb2", "tok-93Kd7fQmW2xLp5Rs"
	var escaped strings.Builder
	for _, c := range []byte(key) {
		fmt.Fprintf(&escaped, "\\u%04x", c)
	}
	spellings := map[string]string{
		"plain": key, "JSON": escaped.String(), "URL": url.QueryEscape(key), "query": token,
		"base64": base64.StdEncoding.EncodeToString([]byte(key)),
	}
	secret := append([]string{key, token}, spellings["URL"], spellings["base64"][2:24])
	answers := map[string]string{
		"body":   `{"error":{"message":"no such key: %s","code":"bad"}}`,
		"code":   `{"error":{"message":"no","code":"%s"}}`,
		"page":   `<html>%s</html>`,
		"stream": "",
		"finish": "",
	}
	for how, spelled := range spellings {
		for where, body := range answers {
			p := &peer{serve: func(_ int, _ []byte, c net.Conn) bool {
				switch where {
				case "stream":
					send(c, streamHead, chunk(`data: {"error":{"message":"`+spelled+"\"}}\n\n"), lastChunk)
				case "finish":
					send(c, streamHead, chunk(event("a")), chunk(`data: {"choices":[{"index":0,"delta":{},"finish_reason":"`+spelled+"\"}]}\n\n"), lastChunk)
				default:
					send(c, fixed(401, "application/json", fmt.Sprintf(body, spelled)))
				}
				return true
			}}
			bubbleAt(t, "http://model.test/v1?key="+token, p, agent.Config{APIKey: key}, func(k *agent.Client) {
				s, _ := do(context.Background(), k, step(1))
				kept := str(s.ErrorText) + str(s.FinishReason)
				if kept == "" {
					t.Errorf("%s in %s: nothing was kept, want the rest", how, where)
				}
				for _, no := range secret {
					if strings.Contains(kept, no) {
						t.Errorf("%s in %s: kept %q, which holds %q", how, where, kept, no)
					}
				}
			})
		}
	}
}

// A finish reason is a word, whatever the server sends.
func TestDoFinishReasonIsOneLine(t *testing.T) {
	p := &peer{serve: func(_ int, _ []byte, c net.Conn) bool {
		send(c, streamHead, chunk(event("a")), chunk(`data: {"choices":[{"index":0,"delta":{},"finish_reason":"\u001b[31m\n`+strings.Repeat("x", 5000)+"\"}]}\n\n"), lastChunk)
		return true
	}}
	bubble(t, p, agent.Config{}, func(k *agent.Client) {
		s, _ := do(context.Background(), k, step(1))
		if got := str(s.FinishReason); len(got) > 300 || strings.ContainsAny(got, "\x1b\n") {
			t.Errorf("finish reason is %q, want one short line", got)
		}
	})
}

// Tokens that did not show count with the first chunk: they must not pass for
// speed, whether the system calls them reasoning or gives no account of them.
func TestDoUnseenTokensAreNoSpeed(t *testing.T) {
	f := func(usage string, reasoning bool, want float64) {
		t.Helper()
		p := &peer{serve: func(_ int, _ []byte, c net.Conn) bool {
			send(c, streamHead)
			for i := range 10 {
				time.Sleep(time.Millisecond)
				text := event("12345678")
				if reasoning && i < 5 {
					text = strings.Replace(text, "content", "reasoning_content", 1)
				}
				send(c, chunk(text))
			}
			send(c, chunk(stopEvent), chunk(`data: {"choices":[],"usage":`+usage+"}\n\n"), chunk(doneEvent), lastChunk)
			return true
		}}
		bubble(t, p, agent.Config{}, func(k *agent.Client) {
			s, _ := do(context.Background(), k, step(20))
			if s.Error != nil || s.FirstTokens == nil || *s.FirstTokens != want {
				t.Errorf("usage %s: %s, first chunk of %v tokens, want %v", usage, str(s.ErrorText), s.FirstTokens, want)
			}
		})
	}
	f(`{"completion_tokens":20}`, false, 2)
	f(`{"completion_tokens":120,"completion_tokens_details":{"reasoning_tokens":100}}`, false, 102) // 80 bytes: more tokens than bytes
	f(`{"completion_tokens":60,"completion_tokens_details":{"reasoning_tokens":40}}`, false, 42)
	f(`{"completion_tokens":20,"completion_tokens_details":{"reasoning_tokens":10}}`, true, 2)
	f(`{"completion_tokens":20,"completion_tokens_details":{"reasoning_tokens":30}}`, false, 20)
	f(`{"completion_tokens":1000080}`, false, 1000008)
}

// What follows [DONE] is no part of the answer.
func TestDoAfterDone(t *testing.T) {
	p := &peer{serve: func(_ int, _ []byte, c net.Conn) bool {
		send(c, streamHead, chunk(event("a")), chunk(usageEvent(5, 0, 1)), chunk(doneEvent))
		time.Sleep(time.Millisecond)
		send(c, chunk(event("more")), chunk(usageEvent(5, 0, 900)), lastChunk)
		return true
	}}
	bubble(t, p, agent.Config{}, func(k *agent.Client) {
		s, _ := do(context.Background(), k, step(1))
		if s.Error != nil || *s.LastTokenUS > *s.DoneUS || *s.OutputTokens != 1 || s.Chunks != 1 {
			t.Errorf("last token at %d of %d µs, %d tokens in %d chunks, error %q; want 0 of 0, 1 in 1", *s.LastTokenUS, *s.DoneUS, *s.OutputTokens, s.Chunks, str(s.ErrorText))
		}
	})
}

// Limits of this machine are told apart from those of the system.
func TestOwnLimit(t *testing.T) {
	f := func(cause error, want bool) {
		t.Helper()
		dial := func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", cause)}
		}
		k := connect(t, agent.Config{Dial: dial}, "http://model.test")
		defer k.Close()
		s, _ := do(context.Background(), k, step(1))
		if str(s.Error) != schema.ErrConnect || agent.OwnLimit(&s) != want {
			t.Errorf("%v: %s: %s, OwnLimit %v, want %v", cause, str(s.Error), str(s.ErrorText), agent.OwnLimit(&s), want)
		}
	}
	f(syscall.EMFILE, true)
	f(syscall.EADDRNOTAVAIL, true)
	f(syscall.ECONNREFUSED, false)
	if agent.OwnLimit(&schema.Sample{}) {
		t.Error("a call that did not fail has met a limit")
	}
}
