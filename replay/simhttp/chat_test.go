package simhttp_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/replay/sim"
)

const ms = time.Millisecond

// TestStreamTimes: a prompt of 100 tokens takes 10 ms + 100 × 100 µs to its first
// token, and each further token 10 ms.
func TestStreamTimes(t *testing.T) {
	f := func(change func(*sim.Params), members string, want ...token) {
		t.Helper()
		params := quick()
		change(&params)
		bubble(t, params, nil, func(w *world) {
			got := tokens(w.stream(request(`"stream":true,`+members, message("user", "a", 100))))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: tokens (-want +got):\n%s", members, diff)
			}
		})
	}
	same := func(*sim.Params) {}
	f(same, `"max_tokens":1`, token{20 * ms, 1})
	f(same, `"max_tokens":4`, token{20 * ms, 1}, token{30 * ms, 2}, token{40 * ms, 3}, token{50 * ms, 4})
	f(func(p *sim.Params) { p.StreamInterval = 3 }, `"max_tokens":6`, token{20 * ms, 1}, token{50 * ms, 4}, token{70 * ms, 6})
	f(func(p *sim.Params) { p.TokensPerStep = 2 }, `"max_tokens":4`, token{20 * ms, 1}, token{30 * ms, 3}, token{40 * ms, 4})
	f(func(p *sim.Params) { p.BytesPerToken = 4 }, `"max_tokens":2`, token{12500 * time.Microsecond, 1}, token{22500 * time.Microsecond, 2})
	f(func(p *sim.Params) { *p = p.Scaled(10) }, `"max_tokens":2`, token{2 * ms, 1}, token{3 * ms, 2})
}

// TestStreamShape: the header comes at once, then the role, the tokens, the
// finish reason, the usage if asked for, and the end.
func TestStreamShape(t *testing.T) {
	bubble(t, quick(), nil, func(w *world) {
		response := w.post(w.t.Context(), request(`"stream":true,"max_tokens":2`, message("user", "a", 100)))
		if at := time.Since(w.start); at != 0 {
			t.Errorf("the header came after %v, want at once", at)
		}
		response.Body.Close()
	})
	bubble(t, quick(), nil, func(w *world) {
		for _, usage := range []bool{false, true} {
			options := fmt.Sprintf(`"stream":true,"max_tokens":2,"stream_options":{"include_usage":%v}`, usage)
			all := w.stream(request(options, message("user", "a", 100)))
			want := []string{"role assistant, 1 tokens", "1 tokens", "finish length", "done"}
			if usage {
				want = []string{"role assistant, 1 tokens", "1 tokens", "finish length", "usage", "done"}
			}
			var got []string
			for _, e := range all {
				got = append(got, shape(e))
				if !e.done && (e.Object != "chat.completion.chunk" || e.Model != "m") {
					t.Errorf("event of object %q and model %q", e.Object, e.Model)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("usage %v: events (-want +got):\n%s", usage, diff)
			}
		}
	})
}

func shape(e event) string {
	switch {
	case e.done:
		return "done"
	case e.Usage != nil:
		return "usage"
	case e.Choice[0].Finish != nil:
		return "finish " + *e.Choice[0].Finish
	case e.Choice[0].Delta.Role != "":
		return fmt.Sprintf("role %s, %d tokens", e.Choice[0].Delta.Role, e.tokens())
	}
	return fmt.Sprintf("%d tokens", e.tokens())
}

// TestPlain: the answer comes when its last token is there.
func TestPlain(t *testing.T) {
	bubble(t, quick(), nil, func(w *world) {
		e := w.plain(request(`"max_tokens":5`, message("user", "a", 100)))
		if e.at != 60*ms || e.tokens() != 5 || e.Object != "chat.completion" || *e.Choice[0].Finish != "length" {
			t.Errorf("plain answer = %+v, want 5 tokens after 60ms", e)
		}
		if u := e.Usage; u == nil || u.Prompt != 100 || u.Completion != 5 || u.Total != 105 || u.Details.Cached != 0 {
			t.Errorf("usage = %+v, want 100 prompt, 5 completion, none cached", u)
		}
	})
}

// TestCached: whole blocks of a prefix are found again, and cost nothing. Tools
// stand behind leading system messages and before the rest, wherever they stand in
// the body.
func TestCached(t *testing.T) {
	f := func(first, second string, want int) {
		t.Helper()
		bubble(t, quick(), nil, func(w *world) {
			w.plain(first)
			from := time.Since(w.start)
			e := w.plain(second)
			if got := e.Usage.Details.Cached; got != want {
				t.Errorf("cached(%.60s… after %.60s…) = %d, want %d", second, first, got, want)
			}
			took, cost := e.at-from, 10*ms+time.Duration(e.Usage.Prompt-want)*100*time.Microsecond
			if took != cost {
				t.Errorf("the first token took %v, want %v", took, cost)
			}
		})
	}
	one := `"max_tokens":1`
	system, a, b := message("system", "s", 256), message("user", "a", 300), message("user", "b", 300)
	f(request(one, a), request(one, a), 288) // the last token is always computed: 18 of 18 blocks and 12 tokens
	f(request(one, system, a), request(one, system, b), 256)
	f(request(one, a), request(one, b), 0)
	f(request(one, system, a), request(one, system, a, b), 256+288) // grown by a message; a's last 12 tokens end no block
	tools := `"tools":[` + message("tool", "t", 256) + `]`
	f(request(one+","+tools, system, a), request(one+","+tools, system, b), 512)
	f(request(one+","+tools, a), request(one+","+tools, b), 256)
	f(request(one, system, a), request(one+","+tools, system, a), 256) // the tools come between
}

// TestLength: what bounds an answer, and how it says that it ended.
func TestLength(t *testing.T) {
	own := 0 // tokens of the prompt's answer that ends by itself
	bubble(t, quick(), nil, func(w *world) {
		e := w.plain(request("", message("user", "a", 100)))
		own = e.tokens()
		if *e.Choice[0].Finish != "stop" || own < 32 || own > 511 {
			t.Fatalf("unbounded answer = %d tokens, %s, want 32 to 511 and stop", own, *e.Choice[0].Finish)
		}
	})
	f := func(members string, want int, finish string) {
		t.Helper()
		bubble(t, quick(), nil, func(w *world) {
			e := w.plain(request(members, message("user", "a", 100)))
			if e.tokens() != want || e.Usage.Completion != want || *e.Choice[0].Finish != finish {
				t.Errorf("%s: %d tokens, usage %d, %s, want %d, %s", members, e.tokens(), e.Usage.Completion, *e.Choice[0].Finish, want, finish)
			}
		})
	}
	f(`"max_tokens":3000`, own, "stop") // in another server alike
	f(`"max_tokens":5`, 5, "length")
	f(fmt.Sprintf(`"max_tokens":%d`, own), own, "length")
	f(fmt.Sprintf(`"max_tokens":%d`, own+1), own, "stop")
	f(`"max_tokens":5,"ignore_eos":true`, 5, "length")
	f(`"max_tokens":2000,"ignore_eos":true`, 2000, "length")
	f(`"max_tokens":2000,"min_tokens":1000`, 1000, "stop")
	f(`"max_tokens":1000,"min_tokens":1000`, 1000, "length")
	f(`"max_tokens":2000,"min_tokens":1`, own, "stop")
	f(`"max_tokens":9,"max_completion_tokens":3`, 3, "length")
	f(`"max_completion_tokens":3,"max_tokens":9`, 3, "length")
	f(`"max_tokens":3,"max_completion_tokens":null,"min_tokens":0`, 3, "length")
	f(`"max_tokens":null`, own, "stop")
	f(`"ignore_eos":true`, 4096-100, "length") // what the context has room for
	f(`"min_tokens":2000`, 2000, "stop")
}
