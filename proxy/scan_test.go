package proxy

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/capstan-bench/capstan/schema/secrets"
)

// A body that grows, shrinks and changes in the middle is scrubbed as if each
// time all of it were looked at.
func TestScrubber(t *testing.T) {
	key := []byte("test")
	s := scrubber{scanner: secrets.NewScanner(key), learned: secrets.NewLearned(key)}
	r := rand.New(rand.NewPCG(1, 2))
	token := func() string { // made here, so that no source holds one
		b := make([]byte, 36)
		for i := range b {
			b[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"[r.IntN(62)]
		}
		return "gh" + "p_" + string(b)
	}
	message := func(i int) string {
		text := bytes.Repeat([]byte(fmt.Sprintf("line %d of a file. ", i)), 20+r.IntN(600))
		if r.IntN(2) == 0 {
			at := r.IntN(len(text))
			text = append(text[:at:at], append([]byte(" "+token()+" "), text[at:]...)...)
		}
		return fmt.Sprintf(`{"role":"user","content":"%s"}`, text)
	}
	var messages []string
	tools := `],"tools":[{"name":"bash","note":"` + token() + `"}]}`
	found := 0
	for turn := range 60 {
		switch r.IntN(8) {
		case 0:
			messages = messages[:len(messages)/2]
		case 1:
			if len(messages) > 0 {
				messages[r.IntN(len(messages))] = message(turn)
			}
		default:
			messages = append(messages, message(turn))
		}
		body := []byte(`{"messages":[`)
		for i, m := range messages {
			if i > 0 {
				body = append(body, ',')
			}
			body = append(body, m...)
		}
		body = append(body, tools...)
		before := bytes.Clone(body)
		want := bytes.Clone(body)
		found += len(secrets.NewScanner(key).Replace(want))
		got := s.scrub(body)
		if !bytes.Equal(body, before) {
			t.Fatal("the body itself was changed")
		}
		if !bytes.Equal(got, want) {
			i := 0
			for got[i] == want[i] {
				i++
			}
			t.Fatalf("turn %d differs at %d of %d: %.60q, want %.60q", turn, i, len(want), got[i:], want[i:])
		}
	}
	if found < 100 {
		t.Errorf("only %d credentials were planted", found)
	}
}

func BenchmarkScrub(b *testing.B) {
	key := []byte("test")
	s := scrubber{scanner: secrets.NewScanner(key), learned: secrets.NewLearned(key)}
	body := bytes.Repeat([]byte(`{"role":"user","content":"some text of a message that goes on and on"},`), 6000)
	b.SetBytes(int64(len(body)))
	for i := 0; b.Loop(); i++ {
		s.scrub(fmt.Appendf(body[:len(body):len(body)], "%d", i))
	}
}
