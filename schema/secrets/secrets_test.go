package secrets_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/schema/secrets"
)

var key = []byte("a key of the tests")

// token makes n characters of an alphabet that look random and are the same in
// every run.
func token(seed uint64, alphabet string, n int) string {
	rng := rand.New(rand.NewPCG(seed, 77))
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[rng.IntN(len(alphabet))]
	}
	return string(b)
}

const (
	lowers   = "abcdefghijklmnopqrstuvwxyz"
	digits   = "0123456789"
	hexes    = digits + "abcdef"
	bigs     = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + digits
	alnums   = bigs + lowers
	wordies  = alnums + "_-"
	base64s  = alnums + "+/"
	password = alnums + "!@#$%^&*()+=/?\"\\ <>~"
)

// learnedTexts are secrets of all sorts, made when the tests run.
func learnedTexts() []string {
	texts := []string{
		"sk-ant-" + "api03-" + token(1, wordies, 90),
		"ghp" + "_" + token(2, alnums, 36),
		token(3, base64s, 40),
		token(4, base64s, 300) + "==",
		token(5, hexes, 32),
		"b@" + token(6, password, 30) + "x1",
		"a/b+c=" + token(7, base64s, 20),
		"pässwörd-" + token(8, alnums, 12) + "€😀z",
		token(9, alnums, 2500),
		"n" + token(10, alnums, 20),
		"u00" + token(11, hexes, 20),
		token(12, digits, 20),
		`q"uo\te` + token(13, alnums, 12),
		"line1\n\t" + token(14, alnums, 20),
		token(15, "?>~o{A1Z9", 40), // base64 of it is full of the characters in which the alphabets differ
	}
	return texts
}

func learn(t testing.TB, texts ...string) *secrets.Learned {
	l := secrets.NewLearned(key)
	for _, s := range texts {
		if !l.Add("test", s, false) {
			t.Fatalf("Add(%q) = false", s)
		}
	}
	return l
}

type read struct {
	at    time.Duration
	wire  int
	plain string
}

// redact feeds text in pieces, each with its own stamp, and checks the account.
func redact(t testing.TB, l *secrets.Learned, text []byte, cut func(left int) int) []byte {
	t.Helper()
	var in, out []read
	r := secrets.NewRedactor(l, func(at time.Duration, wire int, plain []byte) {
		out = append(out, read{at, wire, string(plain)})
		for i := range plain {
			_ = plain[i]
		}
	})
	for len(text) > 0 {
		n := min(len(text), max(0, cut(len(text))))
		piece := bytes.Clone(text[:n])
		in = append(in, read{time.Duration(len(in)), n + 1, string(piece)})
		r.Feed(in[len(in)-1].at, n+1, piece)
		if string(piece) != string(text[:n]) {
			t.Fatal("Feed changed its input")
		}
		for i := range piece {
			piece[i] = '#'
		}
		text = text[n:]
	}
	r.Flush()
	if r.Held() != 0 {
		t.Errorf("%d bytes held after Flush", r.Held())
	}
	// Every read is out, in order, with its stamp, its wire bytes once, and as
	// many plain bytes as went in.
	var all []byte
	for _, i := range in {
		plain, wire, calls := 0, 0, 0
		for len(out) > 0 && out[0].at == i.at {
			plain, wire, calls = plain+len(out[0].plain), wire+out[0].wire, calls+1
			if calls > 1 && out[0].wire != 0 {
				t.Errorf("read %d: wire bytes in a later call", i.at)
			}
			all = append(all, out[0].plain...)
			out = out[1:]
		}
		if plain != len(i.plain) || wire != i.wire || calls == 0 {
			t.Errorf("read %d: %d plain, %d wire bytes in %d calls, want %d, %d", i.at, plain, wire, calls, len(i.plain), i.wire)
		}
	}
	if len(out) > 0 {
		t.Errorf("%d calls for no read", len(out))
	}
	return all
}

func cuts() map[string]func(int) int {
	rng := rand.New(rand.NewPCG(3, 4))
	return map[string]func(int) int{
		"whole":  func(n int) int { return n },
		"bytes":  func(int) int { return 1 },
		"random": func(int) int { return rng.IntN(60) },
	}
}

// holds says that a writing of the secret is in text, but for the ends of one
// that belong to its neighbours too.
func holds(text []byte, w writing, secret string) bool {
	s := w.as(secret)
	if in64(w.name) {
		s = s[8:min(len(s)-24, 60)] // the middle
	}
	return bytes.Contains(text, []byte(s))
}

func TestRedactorFindsEveryWriting(t *testing.T) {
	texts := learnedTexts()
	l := learn(t, texts...)
	for _, w := range pairs() {
		for i, s := range texts {
			for how, cut := range cuts() {
				if how == "bytes" && i%5 != 0 {
					continue
				}
				text := []byte("some text " + w.as(s) + " behind, " + w.as(s))
				got := redact(t, l, text, cut)
				if len(got) != len(text) || !bytes.HasPrefix(got, []byte("some text ")) || !bytes.Contains(got, []byte(" behind, ")) {
					t.Fatalf("%s of secret %d in %s: %q became %q", w.name, i, how, text, got)
				}
				if len(s) < 1024 && holds(got, w, s) || bytes.Equal(got, text) {
					t.Errorf("%s of secret %d in %s: still in %q", w.name, i, how, got)
				}
			}
		}
	}
}

// body is a request as agents send it: code, prose and tool results in JSON.
func body(n int) []byte {
	code := "package main\n\nimport \"fmt\"\n\n// handle answers r. It takes max_tokens from the task.\nfunc handle(ctx context.Context, r *Request) (*Response, error) {\n\tif r.ID == \"\" {\n\t\treturn nil, fmt.Errorf(\"no id in %q\", r.Path)\n\t}\n\treturn &Response{ID: r.ID}, nil\n}\n"
	prose := "I looked at the test that fails and found that the reader keeps a reference to the buffer after it was given back. "
	rng := rand.New(rand.NewPCG(2, 3))
	var b bytes.Buffer
	b.WriteString(`{"model":"claude-sonnet-4-5","max_tokens":32000,"messages":[`)
	for b.Len() < n {
		text, _ := json.Marshal(fmt.Sprintf("%s%d %s", code, rng.IntN(1e6), prose))
		fmt.Fprintf(&b, `{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_%016x","content":%s}]},`, rng.Uint64(), text)
	}
	b.WriteString(`{"role":"user","content":"go on"}]}`)
	return b.Bytes()
}

func TestRedactorLeavesOtherText(t *testing.T) {
	l := learn(t, learnedTexts()...)
	text := body(200_000)
	for how, cut := range cuts() {
		if got := redact(t, l, text, cut); !bytes.Equal(got, text) {
			t.Errorf("in %s: changed", how)
		}
	}
}

// Secrets in strings of JSON, in all writings, between text of all sorts: what
// comes out is JSON of the same length, without them, however it was cut.
func TestRedactorKeepsJSON(t *testing.T) {
	texts := learnedTexts()
	l := learn(t, texts...)
	rng := rand.New(rand.NewPCG(6, 6))
	for range 300 {
		var b bytes.Buffer
		b.WriteString(`{"id":12345678901234567890123,"a":["\\`)
		type put struct {
			w writing
			s string
		}
		var puts []put
		for range 1 + rng.IntN(6) {
			b.WriteString([]string{" ", `\n`, `\\`, `\"`, "x:", `\u000a`, "é", `\\\\`, "%"}[rng.IntN(9)])
			w, s := writings[1+rng.IntN(len(writings)-1)], texts[rng.IntN(len(texts))]
			if !w.json {
				continue
			}
			b.WriteString(w.as(s))
			puts = append(puts, put{w, s})
		}
		b.WriteString(`"]}`)
		text := b.Bytes()
		if !json.Valid(text) {
			t.Fatalf("the test made %s", text)
		}
		whole := redact(t, l, text, func(n int) int { return n })
		parts := redact(t, l, text, func(int) int { return rng.IntN(9) })
		if !bytes.Equal(whole, parts) {
			t.Fatalf("whole %s\nparts %s", whole, parts)
		}
		if len(whole) != len(text) || !json.Valid(whole) {
			t.Fatalf("%s\nbecame %s", text, whole)
		}
		for _, p := range puts {
			if len(p.s) < 1024 && holds(whole, p.w, p.s) {
				t.Fatalf("%s of %q is still in %s", p.w.name, p.s, whole)
			}
		}
	}
}

// A secret that begins like an escape ends must not tear the escape.
func TestRedactorKeepsEscapes(t *testing.T) {
	n, u := "n"+token(10, alnums, 20), "u00"+token(11, hexes, 20)
	l := learn(t, n, u)
	for _, s := range []string{`"a\` + n + `"`, `"a\\` + n + `"`, `"\` + u + `"`, `"\\\` + u + `"`} {
		for how, cut := range cuts() {
			got := redact(t, l, []byte(s), cut)
			if !json.Valid(got) || len(got) != len(s) || bytes.Contains(got, []byte(n[1:])) || bytes.Contains(got, []byte(u[5:])) {
				t.Errorf("%s in %s became %s", s, how, got)
			}
		}
	}
}

// A number that is secret stays a number.
func TestRedactorKeepsNumbers(t *testing.T) {
	number := token(12, "123456789", 20)
	got := redact(t, learn(t, number), []byte(`{"account":`+number+`}`), func(n int) int { return n })
	if !json.Valid(got) || bytes.Contains(got, []byte(number)) {
		t.Errorf("got %s", got)
	}
}

// In base64 all characters go that are the secret's alone, at each alignment.
func TestRedactorBase64Edges(t *testing.T) {
	secret := token(1, alnums, 31)
	l := learn(t, secret)
	for before := range 6 {
		text := b64(strings.Repeat("x", before) + secret + "yyyy")
		got := string(redact(t, l, []byte(text), func(n int) int { return n }))
		lo, hi := (8*before+5)/6, 8*(before+len(secret))/6
		if got[:lo] != text[:lo] || got[lo] != '[' || got[hi-1] != ']' || got[hi:] != text[hi:] {
			t.Errorf("behind %d bytes: %s became %s, want [%d:%d] replaced", before, text, got, lo, hi)
		}
	}
}

func TestRedactorCounts(t *testing.T) {
	l := secrets.NewLearned(key)
	a, b := token(1, alnums, 30), token(2, alnums, 30)
	l.Add("one", a, false)
	l.Add("two", b, false)
	r := secrets.NewRedactor(l, func(time.Duration, int, []byte) {})
	r.Feed(0, 1, []byte(a+" "+b+" "+a))
	r.Flush()
	if got := r.Found(); got["one"] != 2 || got["two"] != 1 || len(got) != 2 {
		t.Errorf("Found() = %v", got)
	}
}

// The longest of two secrets that begin alike is replaced, even if cut.
func TestRedactorPrefersTheLonger(t *testing.T) {
	short := token(1, alnums, 24)
	long := short + token(2, alnums, 24)
	l := learn(t, short, long)
	for how, cut := range cuts() {
		got := redact(t, l, []byte("- "+long+" - "+short+" -"), cut)
		if bytes.Contains(got, []byte(long[24:])) || bytes.Contains(got, []byte(short)) || strings.Count(string(got), "[REDACTED") != 2 {
			t.Errorf("%s: %s", how, got)
		}
	}
}

// What is learned while a stream runs is replaced from the next read on.
func TestRedactorLearnsMidway(t *testing.T) {
	secret := token(1, alnums, 30)
	l := secrets.NewLearned(key)
	var out []byte
	r := secrets.NewRedactor(l, func(_ time.Duration, _ int, plain []byte) { out = append(out, plain...) })
	r.Feed(0, 1, []byte("before "))
	l.Add("test", secret, false)
	r.Feed(1, 1, []byte("then "+secret))
	r.Flush()
	if bytes.Contains(out, []byte(secret)) {
		t.Errorf("got %q", out)
	}
}

// Events are not held back when nothing in their end looks like a secret.
func TestRedactorHoldsLittle(t *testing.T) {
	l := learn(t, learnedTexts()...)
	var got int
	r := secrets.NewRedactor(l, func(_ time.Duration, _ int, plain []byte) { got += len(plain) })
	event := []byte("data: {\"delta\":{\"text\":\"some words\"}}\n\n")
	for i := range 100 {
		r.Feed(time.Duration(i), len(event), event)
		if got != (i+1)*len(event) {
			t.Fatalf("after %d events: %d bytes out, %d held", i+1, got, r.Held())
		}
	}
}

func TestLearnedBounds(t *testing.T) {
	l := secrets.NewLearned(key)
	for _, ordinary := range []string{
		"", "x", "sk-ant-x", "password", "not-needed", "ollama", "dummy-key", "tokenization", "ClaudeCodeSession", "hello world",
		"2026-11-25", "1700000000000", "aaaaaaaaaaaaaaaaaaaa", "/home/user/.ssh/id_rsa", "~/.config/key1", "https://host/x1", "121212121212121212",
		strings.Repeat(token(1, alnums, 100), 400),
	} {
		if l.Add("test", ordinary, false) {
			t.Errorf("Add(%.40q) = true", ordinary)
		}
	}
	pinned := token(1, alnums, 30)
	l.Add("test", pinned, true)
	for i := range 2000 {
		l.Add("test", token(uint64(i)+100, alnums, 30), i%2 == 0)
	}
	if l.Len() > 512 {
		t.Errorf("holds %d secrets", l.Len())
	}
	newest := token(2099, alnums, 30)
	if got := l.Redact([]byte(pinned + " " + newest)); bytes.Contains(got, []byte(pinned)) || bytes.Contains(got, []byte(newest)) {
		t.Errorf("a pinned secret or the newest one is lost: %s", got)
	}
}

func FuzzRedactor(f *testing.F) {
	texts := learnedTexts()
	l := learn(f, texts...)
	for i, w := range pairs() {
		f.Add([]byte(`{"a":"x `+w.as(texts[i%len(texts)])[:20]), uint64(i))
		f.Add([]byte(`{"a":"x\`+w.as(texts[i%len(texts)])+`"}`), uint64(i))
	}
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 1))
		whole := redact(t, l, text, func(n int) int { return n })
		parts := redact(t, l, text, func(int) int { return rng.IntN(7) })
		if !bytes.Equal(whole, parts) {
			t.Fatalf("whole %q\nparts %q", whole, parts)
		}
		if len(whole) != len(text) || json.Valid(text) && !json.Valid(whole) {
			t.Fatalf("%q\nbecame %q", text, whole)
		}
		for _, s := range texts {
			if len(s) < 1024 && bytes.Contains(whole, []byte(s)) {
				t.Fatalf("%q is still in %q", s, whole)
			}
		}
	})
}

// A read without secrets costs no memory.
func TestRedactorAllocs(t *testing.T) {
	l := learn(t, learnedTexts()...)
	r := secrets.NewRedactor(l, func(time.Duration, int, []byte) {})
	text := body(64 << 10)
	r.Feed(0, 1, text)
	if n := testing.AllocsPerRun(20, func() { r.Feed(0, 1, text) }); n > 0 {
		t.Errorf("%v allocations for a read without secrets", n)
	}
}
