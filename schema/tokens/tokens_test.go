package tokens_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/schema/tokens"
)

func open(t testing.TB, name string) *tokens.Tokenizer {
	t.Helper()
	k, err := tokens.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func names() []string { return []string{tokens.O200k, tokens.Cl100k, tokens.Bytes4} }

func TestCount(t *testing.T) {
	f := func(text string, o200k, cl100k, bytes4 int) {
		t.Helper()
		for i, want := range []int{o200k, cl100k, bytes4} {
			if got := open(t, names()[i]).Count([]byte(text)); got != want {
				t.Errorf("%s: Count(%q) = %d, want %d", names()[i], text, got, want)
			}
		}
	}
	f("", 0, 0, 0)
	f("a", 1, 1, 1)
	f("hello world", 2, 2, 3)
	// As published for both vocabularies by their makers.
	f("antidisestablishmentarianism", 6, 6, 7)
	f("2 + 2 = 4", 7, 7, 3)
	f("お誕生日おめでとう", 8, 9, 7)
	// By hand, after the splitting rules: words, contractions, three digits at a time.
	f("don't stop 12345", 5, 6, 4)
	// A control token's name is seven tokens of text, not one.
	f("<|endoftext|>", 7, 7, 4)

	for _, name := range names() {
		if got := open(t, name).Count([]byte("a\xff\xfe")); got < 1 {
			t.Errorf("%s: invalid UTF-8 counts %d", name, got)
		}
	}
}

func TestOpenUnknown(t *testing.T) {
	_, err := tokens.Open("gpt-9")
	if err == nil {
		t.Fatal("an unknown tokenizer opened")
	}
	for _, want := range append(names(), "gpt-9") {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not name %s", err, want)
		}
	}
}

func TestOpenIsFast(t *testing.T) {
	for _, name := range names() {
		start := time.Now()
		open(t, name).Filler(nil, 1, 1)
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%s: first filler took %v", name, d)
		}
	}
}

// TestFillerTokens holds filler against the tokenizer itself: every length, many
// seeds, and pieces behind each other.
func TestFillerTokens(t *testing.T) {
	for _, name := range names() {
		k := open(t, name)
		if k.Name() != name {
			t.Errorf("Name = %s, want %s", k.Name(), name)
		}
		check := func(text []byte, n int) {
			t.Helper()
			if got := k.Count(text); got != n || len(text) != n*tokens.FillerBytes {
				t.Fatalf("%s: %d tokens in %d bytes of filler, want %d: %.60q", name, got, len(text), n, text)
			}
		}
		for n := range 130 {
			check(k.Filler(nil, uint64(n)*7, n), n)
		}
		rng := rand.New(rand.NewPCG(1, 2))
		for range 150 {
			var text []byte
			sum := 0
			for range 1 + rng.IntN(6) {
				n := rng.IntN(60)
				text = k.Filler(text, rng.Uint64(), n)
				sum += n
			}
			check(text, sum)
		}
		check(k.Filler(nil, 42, 20000), 20000)
	}
}

// TestFillerWords looks at the words one by one: no word may depend on its
// neighbours for being a token.
func TestFillerWords(t *testing.T) {
	for _, name := range names() {
		k := open(t, name)
		seen := map[string]int{}
		text := k.Filler(nil, 3, 50000)
		for i := 0; i < len(text); i += tokens.FillerBytes {
			seen[string(text[i:i+tokens.FillerBytes])]++
		}
		if len(seen) < 64 {
			t.Errorf("%s: %d words, want at least 64", name, len(seen))
		}
		for word, n := range seen {
			if k.Count([]byte(word)) != 1 || word[0] != ' ' || strings.Trim(word[1:], "abcdefghijklmnopqrstuvwxyz") != "" {
				t.Errorf("%s: word %q of %d tokens", name, word, k.Count([]byte(word)))
			}
			if mean := 50000 / len(seen); n < mean/2 || n > mean*2 {
				t.Errorf("%s: word %q occurs %d times, want about %d", name, word, n, mean)
			}
		}
	}
}

func TestFillerIsDeterministic(t *testing.T) {
	for _, name := range names() {
		a, b := open(t, name), open(t, name)
		long := a.Filler(nil, 7, 500)
		if got := b.Filler([]byte("x"), 7, 500); string(got) != "x"+string(long) {
			t.Errorf("%s: two tokenizers disagree, or dst is lost", name)
		}
		if got := b.Filler(nil, 7, 123); !bytes.HasPrefix(long, got) {
			t.Errorf("%s: a shorter filler is not the beginning of a longer one", name)
		}
		if bytes.Equal(long[:40], a.Filler(nil, 8, 10)) {
			t.Errorf("%s: two seeds give the same text", name)
		}
		if got := a.Filler(nil, 1, -3); len(got) != 0 {
			t.Errorf("%s: filler of -3 tokens is %q", name, got)
		}
	}
	// The text is part of what a seed means: changing it changes every plan.
	golden := map[string]string{
		tokens.O200k:  " lat dun ben lid lid lal bet bat",
		tokens.Cl100k: " len dut ben lit lit lar bet bat",
		tokens.Bytes4: " lat dun ben lid lid lal bet bat",
	}
	for name, want := range golden {
		if got := open(t, name).Filler(nil, 1, 8); string(got) != want {
			t.Errorf("%s: filler of seed 1 is %q, want %q", name, got, want)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	k := open(t, tokens.O200k)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if got := k.Count(k.Filler(nil, uint64(i), 200)); got != 200 {
				t.Errorf("Count = %d, want 200", got)
			}
		})
	}
	wg.Wait()
}

func TestFillerAllocs(t *testing.T) {
	k := open(t, tokens.O200k)
	dst := k.Filler(nil, 1, 1000)
	if got := testing.AllocsPerRun(20, func() { dst = k.Filler(dst[:0], 2, 1000) }); got > 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}

func BenchmarkFiller(b *testing.B) {
	for _, name := range names() {
		b.Run("tokenizer="+name, func(b *testing.B) {
			k := open(b, name)
			dst := k.Filler(nil, 1, 1<<18)
			b.SetBytes(int64(len(dst)))
			b.ReportAllocs()
			for b.Loop() {
				dst = k.Filler(dst[:0], 2, 1<<18)
			}
		})
	}
}

func BenchmarkCount(b *testing.B) {
	line := "\tif err != nil {\n\t\treturn fmt.Errorf(\"open %q: %w\", name, err)\n\t}\n"
	text := []byte(strings.Repeat(line, 1000))
	for _, name := range names() {
		b.Run("tokenizer="+name, func(b *testing.B) {
			k := open(b, name)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				k.Count(text)
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		open(b, tokens.O200k).Filler(nil, 1, 1)
	}
}
