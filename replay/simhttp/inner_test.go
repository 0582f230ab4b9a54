package simhttp

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/capstan-bench/capstan/replay/sim"
)

// TestReadBody: a body is read whole up to the bound, whether or not its length is
// announced, and past the bound it is too large.
func TestReadBody(t *testing.T) {
	const bound = 1000
	f := func(size int, announced bool, whole bool) {
		t.Helper()
		body := strings.Repeat("x", size)
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		if !announced {
			r.ContentLength = -1
		}
		got, err := readBody(httptest.NewRecorder(), r, bound)
		var large *http.MaxBytesError
		if whole && (err != nil || string(got) != body) {
			t.Errorf("readBody(%d bytes, announced %v) = %d bytes, %v, want all", size, announced, len(got), err)
		}
		if !whole && (!errors.As(err, &large) || large.Limit != bound) {
			t.Errorf("readBody(%d bytes, announced %v) = %d bytes, %v, want that it is too large", size, announced, len(got), err)
		}
	}
	for _, announced := range []bool{true, false} {
		f(0, announced, true)
		f(1, announced, true)
		f(bound, announced, true)
		f(bound+1, announced, false)
		f(10*bound, announced, false)
	}
}

// FuzzBody: any body gets an answer or a refusal, and no panic.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `null`, `{"messages":[{"role":"user","content":"hello"}]}`,
		`{"messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"t"}]}],"tools":[{"type":"function"}],"max_tokens":3,"stream":true,"stream_options":{"include_usage":true}}`,
		`{"messages":[{"role":"user","content":"x"}],"max_tokens":-1}`,
		`{"messages":[{}],"min_tokens":1000000000,"ignore_eos":true}`,
		`{"messages":[1,2],"max_completion_tokens":3,"model":"a\"b","stream":1}`,
		"{\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}],\"model\":\"\xff\"}",
	} {
		f.Add([]byte(seed))
	}
	s, err := New(sim.Params{StepUS: 1, PrefillUS: 0.001, KVTokens: 512, MaxBatch: 4, BatchTokens: 512, MaxContext: 512})
	if err != nil {
		f.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	f.Cleanup(func() { stop(); all.Wait() })
	s.begin()
	all.Go(func() { s.drive(ctx) })
	routes := s.routes()
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", bytes.NewReader(body))
		w := httptest.NewRecorder()
		routes.ServeHTTP(w, r)
		if w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
			t.Errorf("%q: status %d, want 200 or 400", body, w.Code)
		}
		if w.Body.Len() == 0 {
			t.Errorf("%q: status %d without a body", body, w.Code)
		}
	})
}
