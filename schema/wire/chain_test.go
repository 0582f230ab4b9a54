package wire_test

import (
	"testing"

	"github.com/capstan-bench/capstan/schema/wire"
)

func TestAppendChained(t *testing.T) {
	f := func(request, want string, before ...string) {
		t.Helper()
		var items [][]byte
		for _, b := range before {
			items = append(items, []byte(b))
		}
		got, err := wire.AppendChained([]byte("x"), []byte(request), items)
		if err != nil || string(got) != "x"+want {
			t.Fatalf("AppendChained(%s, %v) = %s, %v, want %s", request, before, got, err, want)
		}
		if _, err := wire.Split(wire.FormatResponses, got[1:]); err != nil {
			t.Errorf("the chained request does not split: %v", err)
		}
	}
	f(`{"type":"response.create","model":"m", "input":[{"a": 1}, {"b":2}],"previous_response_id":"r","tools":[]}`,
		`{"model":"m","input":[{"x":1},{"y":2},{"a": 1},{"b":2}],"tools":[]}`, `{"x":1}`, `{"y":2}`)
	f(`{"type":"response.create","input":[ ],"previous_response_id":"r"}`, `{"input":[{"x":1}]}`, `{"x":1}`)
	f(`{"previous_response_id":"r","model":"m"}`, `{"model":"m","input":[{"x":1}]}`, `{"x":1}`)
	f(`{"previous_response_id":"r"}`, `{"input":[]}`)
	f(`{"input":"hi","previous_response_id":"r"}`, `{"input":[{"x":1},{"type":"message","role":"user","content":"hi"}]}`, `{"x":1}`)
	f(`{"input":"hi"}`, `{"input":"hi"}`)
	f(`{"type":"response.create","response":{"input":[1],"store":true}}`, `{"input":[0,1],"store":true}`, `0`)
	for _, request := range []string{``, `[]`, `{"input":[1`, `{"response":{]}}`} {
		if got, err := wire.AppendChained([]byte("x"), []byte(request), nil); err == nil || string(got) != "x" {
			t.Errorf("AppendChained(%s) = %s, %v, want an error", request, got, err)
		}
	}
}
