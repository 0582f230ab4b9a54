package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/schema/wire"
)

func split(t *testing.T, body string) wire.Layout {
	t.Helper()
	l, err := wire.Split(wire.FormatChat, []byte(body))
	if err != nil {
		t.Fatalf("Split(%s): %v", body, err)
	}
	joined, err := l.Join(nil)
	if err != nil || string(joined) != body {
		t.Fatalf("Join(Split(%q)) = %q, %v", body, joined, err)
	}
	return l
}

func texts(l wire.Layout) [][]string {
	out := make([][]string, len(l.Slots))
	for i, slot := range l.Slots {
		out[i] = []string{}
		for _, e := range slot {
			out[i] = append(out[i], string(e.Bytes))
		}
	}
	return out
}

func TestSplit(t *testing.T) {
	f := func(body, envelope string, want ...[]string) {
		t.Helper()
		l := split(t, body)
		if got := strings.ReplaceAll(string(l.Envelope), "\x1e", "|"); got != envelope {
			t.Errorf("Split(%s): envelope %s, want %s", body, got, envelope)
		}
		if diff := cmp.Diff(want, texts(l)); diff != "" {
			t.Errorf("Split(%s): slots (-want +got):\n%s", body, diff)
		}
	}
	f(`{"model":"m","messages":[{"role":"user"},{"role":"x"}],"tools":[{},{}]}`,
		`{"model":"m","messages":[|,|],"tools":[|,|]}`,
		[]string{`{"role":"user"}`, `{"role":"x"}`}, []string{"{}", "{}"})
	f(`{"tools":[{"type":"function"}],"messages":[{}]}`, `{"tools":[|,|],"messages":[|,|]}`,
		[]string{`{"type":"function"}`}, []string{"{}"})
	f(`{"messages":[]}`, `{"messages":[|,|]}`, []string{})
	f(` { "messages" : [ ] , "tools":null } `, ` { "messages" : [| , | ] , "tools":null } `, []string{})
	f(`{"a": 1, "messages": [{}, {}], "b": 2}`, `{"a": 1, "messages": [|, |], "b": 2}`, []string{"{}", "{}"})
	f(`{"a": 1, "messages": [{}]}`, `{"a": 1, "messages": [|, |]}`, []string{"{}"})
	f("{\"messages\":[\n {} ,\n {} ,\n {}\n]}", "{\"messages\":[\n | ,\n |\n]}", []string{"{}", "{}", "{}"})
	f(`{"messages":[1, "a",{}],"x":[]}`, `{"messages":[|,|, |,|,|,|],"x":[]}`, []string{"1"}, []string{`"a"`}, []string{"{}"})
	f(`{"m\u0065ssages":[{}]}`, `{"m\u0065ssages":[|,|]}`, []string{"{}"})
	f(`{"messages":[[1]],"messages":[2]}`, `{"messages":[|,|],"messages":[|,|]}`, []string{"[1]"}, []string{"2"})
	f(`{"x":{"messages":[1]},"messages":[]}`, `{"x":{"messages":[1]},"messages":[|,|]}`, []string{})
}

func TestSplitElements(t *testing.T) {
	body := `{"messages":[
		{"role":"system","content":"s"},
		{"content":[{"type":"text","text":"hi","role":"no"}],"role":"user","name":"Zo\u00eb"},
		{"role":"assistant","content":null,"tool_calls":[{"id":"c1","function":{"name":"f","arguments":"{}"}}]},
		{"role":"tool","tool_call_id":"c1","content":"ok"},
		{"role":"developer"},{"role":"function"},{"role":"robot"},{"role":7},{},"text"],
		"tools":[{"type":"function","function":{"description":"d","name":"f"}},{"name":"web"},null]}`
	l := split(t, strings.NewReplacer("\n", "", "\t", "").Replace(body))
	type row struct{ Kind, Role, ID, Name string }
	var got []row
	for _, slot := range l.Slots {
		for _, e := range slot {
			got = append(got, row{e.Kind, e.Role, e.ToolCallID, e.Name})
			if e.Bare != nil || e.Edits != nil {
				t.Errorf("element %s has edits", e.Bytes)
			}
		}
	}
	want := []row{
		{Kind: "system", Role: "system"}, {Kind: "user", Role: "user", Name: "Zoë"},
		{Kind: "assistant", Role: "assistant"}, {Kind: "tool_result", Role: "tool", ID: "c1"},
		{Kind: "system", Role: "developer"}, {Kind: "tool_result", Role: "function"},
		{Kind: "other", Role: "robot"}, {Kind: "other"}, {Kind: "other"}, {Kind: "other"},
		{Kind: "tools", Name: "f"}, {Kind: "tools"}, {Kind: "tools"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("elements (-want +got):\n%s", diff)
	}
}

func TestSplitErrors(t *testing.T) {
	f := func(body string, offset int) {
		t.Helper()
		_, err := wire.Split(wire.FormatChat, []byte(body))
		var syntax *wire.SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("Split(%q): %v, want a SyntaxError", body, err)
		} else if syntax.Offset != offset {
			t.Errorf("Split(%q): error at %d (%v), want %d", body, syntax.Offset, err, offset)
		}
	}
	f(``, 0)
	f(`[]`, 0)
	f(`{"messages":[]`, 14)
	f(`{"messages":[]}x`, 15)
	f(`{"messages":[{}`, 15)
	f(`{"messages":[{},]}`, 16)
	f(`{"messages":[{} {}]}`, 16)
	f(`{"messages":[],}`, 15)
	f(`{"messages" []}`, 12)
	f(`{messages:[]}`, 1)
	f(`{"a":tru}`, 5)
	f(`{"a":01}`, 6)
	f(`{"a":1.}`, 7)
	f(`{"a":1e}`, 7)
	f(`{"a":-}`, 5)
	f(`{"a":"b`, 5)
	f(`{"a":"\x"}`, 6)
	f(`{"a":"\u12g4"}`, 6)
	f("{\"a\":\"x\ny\"}", 7)
	f("{\"a\":\"\x1e\"}", 6)
	f("{\"messages\":[\x1e,\x1e]}", 13)
	f(`{"a":`+strings.Repeat("[", 20000), 10004)
	for _, body := range []string{`{}`, `{"messages":null}`, `{"messages":{}}`} {
		if _, err := wire.Split(wire.FormatChat, []byte(body)); err == nil {
			t.Errorf("Split(%s) succeeded without messages", body)
		}
	}
	if _, err := wire.Split("telnet", []byte(`{"messages":[]}`)); err == nil {
		t.Error("Split with an unknown format succeeded")
	}
}

func TestSplitMarks(t *testing.T) {
	f := func(element, bare string, flat ...string) {
		t.Helper()
		l := split(t, `{"messages":[`+element+`]}`)
		e := l.Slots[0][0]
		if string(e.Bare) != bare {
			t.Errorf("bare of %s = %s, want %s", element, e.Bare, bare)
		}
		if got, want := flatOf(e), strings.Join(flat, ""); got != want {
			t.Errorf("flat form of %s = %s, want %s", element, got, want)
		}
		checkElement(t, e)
		if bare != "" && !json.Valid(e.Bare) {
			t.Errorf("bare of %s is no JSON: %s", element, e.Bare)
		}
		if got := applyEdits(e.Bare, e.Edits); e.Bare != nil && got != element {
			t.Errorf("edits of %s give %s", element, got)
		}
		for i := 1; i < len(e.Edits); i++ {
			if e.Edits[i].Off <= e.Edits[i-1].Off {
				t.Errorf("edits of %s: two at byte %d", element, e.Edits[i].Off)
			}
		}
	}
	const mark = `"cache_control":{"type":"ephemeral"}`
	f(`{"role":"user","content":[{"type":"text","text":"a",`+mark+`}]}`, `{"role":"user","content":[{"type":"text","text":"a"}]}`, `{"role":"user","content":"a"}`)
	f(`{"role":"user","content":[ {"text":"a" , `+mark+`,"type":"text"} ],`+mark+`}`, `{"role":"user","content":[ {"text":"a","type":"text"} ]}`, `{"role":"user","content":"a"}`)
	f(`{"content":[{"type":"text","text":"a"}],`+mark+`}`, `{"content":[{"type":"text","text":"a"}]}`, `{"content":"a"}`)
	f(`{"content":[{"type":"text","text":"a"}]}`, "")
	f(`{"content":[{"type":"text","text":"a","citations":null,`+mark+`}]}`, `{"content":[{"type":"text","text":"a","citations":null}]}`)
	f(`{"content":[{"type":"text","text":"a",`+mark+`},{"type":"text","text":"b"}]}`, `{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}`)
	f(`{"content":[{"type":"text","text":"a","text":"b",`+mark+`}]}`, `{"content":[{"type":"text","text":"a","text":"b"}]}`)
	f(`{"content":[{"text":"a",`+mark+`}]}`, `{"content":[{"text":"a"}]}`)
	f(`{"content":[{"type":"tool_result","content":[{"type":"text","text":"x",`+mark+`}]}]}`, `{"content":[{"type":"tool_result","content":[{"type":"text","text":"x"}]}]}`)
	f(`{"content":[{"type":"text",`+mark+`}]}`, `{"content":[{"type":"text"}]}`)
	f(`{"content":[{"type":"text","text":7,`+mark+`}]}`, `{"content":[{"type":"text","text":7}]}`)
	f(`{"content":[{`+mark+`,"text":"a"},{"text":"b" , `+mark+` }]}`, `{"content":[{"text":"a"},{"text":"b" }]}`)
	f(`{"content":[{ `+mark+` }],`+mark+`}`, `{"content":[{ }]}`)
	f(`{`+mark+`}`, `{}`)
	f(`{`+mark+` , "a":1,`+mark+`}`, `{ "a":1}`)
	f(`{"content":[{"type":"tool_result","content":[{"text":"x",`+mark+`}]}]}`, `{"content":[{"type":"tool_result","content":[{"text":"x"}]}]}`)
	// Not marks: what a user or a model wrote.
	f(`{"content":"\"cache_control\":"}`, ``)
	f(`{"content":[{"type":"tool_use","input":{`+mark+`}}]}`, ``)
	f(`{"function":{"parameters":{`+mark+`}}}`, ``)
}

func applyEdits(text []byte, edits []wire.Edit) string {
	var out []byte
	at := 0
	for _, e := range edits {
		out = append(append(out, text[at:e.Off]...), e.Ins...)
		at = e.Off + e.Del
	}
	return string(append(out, text[at:]...))
}

func TestJoinBrokenEnvelope(t *testing.T) {
	none := func(int) iter.Seq[[]byte] { return func(func([]byte) bool) {} }
	if _, err := wire.Join(nil, []byte("a\x1e,b"), none); err == nil {
		t.Error("Join took a hole without an end")
	}
	if got, err := wire.Join([]byte("x"), []byte("a\x1e,\x1eb"), none); err != nil || string(got) != "xab" {
		t.Errorf("Join = %q, %v, want xab", got, err)
	}
}

func TestSaltPoint(t *testing.T) {
	f := func(element, want string) {
		t.Helper()
		off, ok := wire.SaltPoint([]byte(element))
		if !ok {
			if want != "" {
				t.Errorf("SaltPoint(%s) found nothing, want %s", element, want)
			}
			return
		}
		if got := element[:off] + "SALT" + element[off:]; got != want || !json.Valid([]byte(got)) {
			t.Errorf("SaltPoint(%s) = %d: %s, want %s", element, off, got, want)
		}
	}
	f(`{"role":"user","content":"hi"}`, `{"role":"user","content":"SALThi"}`)
	f(`{"content": "", "text":"x"}`, `{"content": "SALT", "text":"x"}`)
	f(`{"content":[{"type":"image_url","image_url":{"url":"u"}},{"type":"text","text":"hi"},{"text":"no"}]}`,
		`{"content":[{"type":"image_url","image_url":{"url":"u"}},{"type":"text","text":"SALThi"},{"text":"no"}]}`)
	f(`{"content":[{"type":"tool_result","content":[{"text":"hi"}]}]}`, `{"content":[{"type":"tool_result","content":[{"text":"SALThi"}]}]}`)
	f(`{"content":["hi"]}`, `{"content":["SALThi"]}`)
	f(`{"type":"text","text":"hi"}`, `{"type":"text","text":"SALThi"}`)
	f(`"hi"`, `"SALThi"`)
	f(`{"content":null,"tool_calls":[{"text":"no"}]}`, ``)
	f(`{"content":[]}`, ``)
	f(`{"content":"hi`, ``)
	f(`17`, ``)
}

func TestMembers(t *testing.T) {
	l := split(t, `{"model":"m\n","messages":[{},{}], "n" : 1.5e3 ,"tools":[],"stop":["a"]}`)
	var got []string
	for m, err := range wire.Members(l.Envelope) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, m.Key+"="+strings.ReplaceAll(string(m.Value), "\x1e", "|"))
	}
	want := []string{`model="m\n"`, "messages=[|,|]", "n=1.5e3", "tools=[|,|]", `stop=["a"]`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	var last error
	for _, err := range wire.Members([]byte(`{"a":1,"b":}`)) {
		last = err
	}
	if last == nil {
		t.Error("Members took broken JSON")
	}
}

func TestChatParams(t *testing.T) {
	l := split(t, `{"model":"m","messages":[],"stream":true,"stream_options":{"x":0,"include_usage":true},
"max_tokens":7,"max_completion_tokens":9,"min_tokens":9,"ignore_eos":true,"tools":[{}]}`)
	got, err := wire.ParseChatParams(l.Envelope)
	want := wire.ChatParams{Model: "m", Stream: true, IncludeUsage: true, MaxTokens: 9, MinTokens: 9, IgnoreEOS: true}
	if err != nil || got != want {
		t.Errorf("ParseChatParams = %+v, %v, want %+v", got, err, want)
	}
}

func TestChatTail(t *testing.T) {
	tail := wire.ChatTail(wire.TailConfig{
		Model: "a\"b\n\x01é", Stream: true, Usage: true, MaxTokens: 12, MinTokens: 12, IgnoreEOS: true,
		Members: []wire.Member{{Key: "temperature", Value: []byte("0.5")}},
	})
	body := append([]byte(`{"messages":[]`), tail...)
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	want := map[string]any{
		"messages": []any{}, "model": "a\"b\n\x01é", "stream": true, "stream_options": map[string]any{"include_usage": true},
		"max_tokens": 12.0, "min_tokens": 12.0, "ignore_eos": true, "temperature": 0.5,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tail (-want +got):\n%s", diff)
	}
	if got, want := string(wire.ChatTail(wire.TailConfig{Model: "m"})), `,"model":"m"}`; got != want {
		t.Errorf("empty tail = %s, want %s", got, want)
	}
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte(`{"messages":[{"role":"user","content":"a\u00e9\n"} , {}],"tools":[1, 2,3]}`))
	f.Add([]byte(`{"tools":[ ],"messages":[{"content":[{"cache_control":{"type":"ephemeral"},"text":"a"}]}]}`))
	f.Add([]byte("{\"messages\":[\"\xff\",-0.1e+5,null,true,false,[[]]]}"))
	f.Add([]byte(`{"messages":[{"content":[{"text":"x","cache_control":1,"cache_control":2}]}]}`))
	f.Add([]byte(claudeBody))
	f.Add([]byte(codexBody))
	f.Add([]byte(geminiBody))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, format := range formats() {
			l, err := wire.Split(format, body)
			if err != nil {
				continue
			}
			if !json.Valid(body) {
				t.Fatalf("Split took invalid JSON %q", body)
			}
			joined, err := l.Join(nil)
			if err != nil || !bytes.Equal(joined, body) {
				t.Fatalf("Join(Split(%s, %q)) = %q, %v", format, body, joined, err)
			}
			for _, slot := range l.Slots {
				for _, e := range slot {
					checkElement(t, e)
				}
			}
			if _, err := wire.RequestParams(format, l.Envelope); err != nil {
				t.Fatalf("RequestParams(%s, %q): %v", format, l.Envelope, err)
			}
		}
	})
}

func formats() []string {
	return []string{wire.FormatChat, wire.FormatMessages, wire.FormatResponses, wire.FormatGemini}
}

// flatOf is the flat form of an element, "" for none.
func flatOf(e wire.Element) string {
	if e.Flat == nil {
		return ""
	}
	return string(e.Flat.Bytes)
}

func checkElement(t *testing.T, e wire.Element) {
	t.Helper()
	if !json.Valid(e.Bytes) {
		t.Fatalf("element %q is no JSON", e.Bytes)
	}
	if e.Bare != nil && (!json.Valid(e.Bare) || applyEdits(e.Bare, e.Edits) != string(e.Bytes)) {
		t.Fatalf("bare %q is no JSON, or edits do not give %q back", e.Bare, e.Bytes)
	}
	if f := e.Flat; f != nil && (!json.Valid(f.Bytes) || applyEdits(f.Bytes, f.Edits) != string(e.Bytes)) {
		t.Fatalf("flat %q is no JSON, or edits do not give %q back", f.Bytes, e.Bytes)
	}
	for _, format := range formats() {
		wire.Links(format, e.Bytes)
	}
	if off, ok := wire.SaltPoint(e.Bytes); ok {
		salted := fmt.Sprintf("%sSALT%s", e.Bytes[:off], e.Bytes[off:])
		if !json.Valid([]byte(salted)) {
			t.Fatalf("salted element is no JSON: %s", salted)
		}
	}
}

func BenchmarkSplit(b *testing.B) {
	body := longBody(400, 2000)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.Split(wire.FormatChat, body); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSplitMarked has contents of one part, the last two of which are marked.
func BenchmarkSplitMarked(b *testing.B) {
	body := bytes.Replace(longBody(400, 2000), []byte(`"content":"`), []byte(`"content":[{"type":"text","text":"`), -1)
	body = bytes.Replace(body, []byte(`"}`), []byte(`"}]}`), -1)
	last := bytes.LastIndex(body, []byte(`}]}`))
	for _, at := range []int{last, bytes.LastIndex(body[:last], []byte(`}]}`))} {
		body = slices.Insert(body, at, []byte(`,"cache_control":{"type":"ephemeral"}`)...)
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.Split(wire.FormatMessages, body); err != nil {
			b.Fatal(err)
		}
	}
}

// longBody is a body of n messages with about size bytes of code-like text each.
func longBody(n, size int) []byte {
	line := `\tif err != nil {\n\t\treturn fmt.Errorf(\"open %q: %w\", name, err)\n\t}\n`
	text := strings.Repeat(line, size/len(line)+1)
	var b bytes.Buffer
	b.WriteString(`{"model":"m","messages":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"role":"tool","tool_call_id":"call_%d","content":"%s"}`, i, text)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}
