package wire_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/schema/wire"
)

// Bodies in the manner of real clients, shortened.
const (
	claudeBody = `{"model":"claude-x","messages":[` +
		`{"role":"user","content":[{"type":"text","text":"<reminder>"},{"type":"text","text":"fix it"}]},` +
		`{"role":"system","content":"mind the tests"},` +
		`{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"Sg=="},{"type":"text","text":"ok"},` +
		`{"type":"tool_use","id":"toolu_1","name":"Bash","input":{"command":"ls -l"}},{"type":"tool_use","id":"toolu_2","name":"Read","input":{}}]},` +
		`{"role":"user","content":[{"tool_use_id":"toolu_1","type":"tool_result","content":"a\nb","is_error":false},` +
		`{"tool_use_id":"toolu_2","type":"tool_result","content":[{"type":"text","text":"none"}],"is_error":true,"cache_control":{"type":"ephemeral"}}]}],` +
		`"system":[{"type":"text","text":"x-anthropic-billing-header: cch=49d64;"},{"type":"text","text":"You code.","cache_control":{"type":"ephemeral"}}],` +
		`"tools":[{"name":"Bash","description":"d","input_schema":{"type":"object"}},{"type":"web_search_20250305","name":"web_search"}],` +
		`"metadata":{"user_id":"{\"session_id\":\"s\"}"},"max_tokens":32000,"thinking":{"type":"adaptive"},"output_config":{"effort":"high"},` +
		`"tool_choice":{"type":"auto"},"temperature":1,"stream":true,"diagnostics":{"previous_message_id":"msg_0"}}`
	codexBody = `{"type":"response.create","model":"gpt-x","instructions":"You code.","previous_response_id":"resp_1","input":[` +
		`{"type":"message","role":"developer","content":[{"type":"input_text","text":"p"}]},` +
		`{"role":"user","content":"go"},` +
		`{"type":"reasoning","summary":[],"encrypted_content":"gAAA"},` +
		`{"type":"function_call","name":"shell","arguments":"{\"cmd\":\"ls\"}","call_id":"call_1"},` +
		`{"type":"function_call_output","call_id":"call_1","output":"a\nb"},` +
		`{"type":"custom_tool_call","call_id":"call_2","name":"apply_patch","input":"*** Begin"},` +
		`{"type":"custom_tool_call_output","call_id":"call_2","output":[{"type":"input_text","text":"done"}]},` +
		`{"type":"local_shell_call","call_id":"call_3","action":{"command":["ls"]}},` +
		`{"type":"message","role":"assistant","content":[{"type":"output_text","text":"ok"}]},` +
		`{"type":"compaction","encrypted_content":"x"},{"type":"compaction_trigger"},{"type":"item_reference","id":"i"},7],` +
		`"tools":[{"type":"function","name":"shell","parameters":{}},{"type":"web_search"}],"tool_choice":"auto",` +
		`"reasoning":{"effort":"low","summary":"auto"},"store":false,"stream":true,"generate":false,"prompt_cache_key":"k",` +
		`"client_metadata":{"b":"1","a":"2"}}`
	geminiBody = `{"model":"gemini-x","project":"p","user_prompt_id":"u########0","request":{"contents":[` +
		`{"role":"user","parts":[{"text":"go"}]},` +
		`{"role":"model","parts":[{"text":"hm","thought":true},{"functionCall":{"id":"c1","name":"read_file","args":{"path":"a"}},"thoughtSignature":"Sg=="}]},` +
		`{"role":"user","parts":[{"functionResponse":{"id":"c1","name":"read_file","response":{"output":"text"}}}]},` +
		`{"parts":[{"text":"and?"}]},{"role":"function","parts":[{"functionResponse":{"name":"ls","response":{"error":"no"}}}]}],` +
		`"systemInstruction":{"role":"user","parts":[{"text":"You code."}]},"tools":[{"functionDeclarations":[{"name":"read_file"}]}],` +
		`"toolConfig":{"functionCallingConfig":{"mode":"AUTO"}},"session_id":"s",` +
		`"generationConfig":{"temperature":0.5,"topP":1,"topK":64.0,"maxOutputTokens":100,"seed":7,"thinkingConfig":{"thinkingLevel":"HIGH"}}}}`
)

type elementRow struct {
	Slot                 int
	Kind, Role, ID, Name string
}

func rows(l wire.Layout) (out []elementRow) {
	for i, slot := range l.Slots {
		for _, e := range slot {
			out = append(out, elementRow{i, e.Kind, e.Role, e.ToolCallID, e.Name})
		}
	}
	return out
}

func TestSplitDialects(t *testing.T) {
	f := func(format, body, envelope string, want []elementRow) {
		t.Helper()
		l, err := wire.Split(format, []byte(body))
		if err != nil {
			t.Fatalf("Split(%s, %s): %v", format, body, err)
		}
		if joined, err := l.Join(nil); err != nil || string(joined) != body {
			t.Errorf("Join(Split(%s, %s)) = %s, %v", format, body, joined, err)
		}
		if got := strings.ReplaceAll(string(l.Envelope), "\x1e", "|"); envelope != "" && got != envelope {
			t.Errorf("Split(%s, %s): envelope %s, want %s", format, body, got, envelope)
		}
		if diff := cmp.Diff(want, rows(l)); diff != "" {
			t.Errorf("Split(%s, %s): elements (-want +got):\n%s", format, body, diff)
		}
	}
	f(wire.FormatMessages, claudeBody,
		`{"model":"claude-x","messages":[|,|],"system":[|,|],"tools":[|,|],"metadata":{"user_id":"{\"session_id\":\"s\"}"},"max_tokens":32000,`+
			`"thinking":{"type":"adaptive"},"output_config":{"effort":"high"},"tool_choice":{"type":"auto"},"temperature":1,"stream":true,"diagnostics":{"previous_message_id":"msg_0"}}`,
		[]elementRow{
			{0, "user", "user", "", ""}, {0, "system", "system", "", ""}, {0, "assistant", "assistant", "", ""}, {0, "tool_result", "user", "toolu_1", ""},
			{1, "system", "", "", ""}, {1, "system", "", "", ""}, {2, "tools", "", "", "Bash"}, {2, "tools", "", "", "web_search"},
		})
	f(wire.FormatMessages, `{"system": "s", "messages":[{"content":[1,{"type":"tool_result"}],"role":"user"},3]}`, `{"system": |,|, "messages":[|,|]}`,
		[]elementRow{{0, "system", "", "", ""}, {1, "tool_result", "user", "", ""}, {1, "other", "", "", ""}})
	f(wire.FormatMessages, `{"messages":[{"role":"assistant","content":[{"type":"tool_result","tool_use_id":"t"}]}]}`, `{"messages":[|,|]}`,
		[]elementRow{{0, "assistant", "assistant", "", ""}})
	f(wire.FormatMessages, `{"system":null,"tools":null,"messages":[]}`, `{"system":null,"tools":null,"messages":[|,|]}`, nil)
	f(wire.FormatResponses, codexBody, "", []elementRow{
		{0, "system", "", "", ""},
		{1, "system", "developer", "", ""}, {1, "user", "user", "", ""}, {1, "reasoning", "", "", ""},
		{1, "tool_call", "", "call_1", "shell"}, {1, "tool_result", "", "call_1", ""},
		{1, "tool_call", "", "call_2", "apply_patch"}, {1, "tool_result", "", "call_2", ""}, {1, "tool_call", "", "call_3", ""},
		{1, "assistant", "assistant", "", ""}, {1, "compaction", "", "", ""}, {1, "compaction", "", "", ""}, {1, "other", "", "", ""}, {1, "other", "", "", ""},
		{2, "tools", "", "", "shell"}, {2, "tools", "", "", ""},
	})
	f(wire.FormatResponses, `{"input" : "hi" ,"instructions":null}`, `{"input" : |,| ,"instructions":null}`, []elementRow{{0, "user", "", "", ""}})
	f(wire.FormatResponses, `{"type":"response.create","response":{"input":[{"role":"user"}]},"input":[]}`,
		`{"type":"response.create","response":{"input":[|,|]},"input":[|,|]}`, []elementRow{{0, "user", "user", "", ""}})
	gemini := []elementRow{
		{0, "user", "user", "", ""}, {0, "assistant", "model", "", ""}, {0, "tool_result", "user", "c1", "read_file"},
		{0, "user", "", "", ""}, {0, "tool_result", "function", "", "ls"}, {1, "system", "", "", ""}, {2, "tools", "", "", ""},
	}
	f(wire.FormatGemini, geminiBody, "", gemini)
	_, bare, _ := strings.Cut(geminiBody, `"request":`)
	f(wire.FormatGemini, strings.TrimSuffix(bare, "}"), "", gemini)
	f(wire.FormatGemini, `{"system_instruction":"s","contents":[{"role":"","parts":[]}],"request":{"request":{"contents":[1]}}}`,
		`{"system_instruction":|,|,"contents":[|,|],"request":{"request":{"contents":[1]}}}`, []elementRow{{0, "system", "", "", ""}, {1, "user", "", "", ""}})

	for format, body := range map[string]string{
		wire.FormatMessages: `{"system":"s"}`, wire.FormatResponses: `{"instructions":"s"}`, wire.FormatGemini: `{"request":{}}`,
	} {
		for _, body := range []string{body, `{`, `[]`, body + "x", `{"a":"\x"}`} {
			if _, err := wire.Split(format, []byte(body)); err == nil {
				t.Errorf("Split(%s, %s) succeeded", format, body)
			}
		}
	}
}

// TestMovingMarks has a text that is a string unless it is marked, and one that is
// always a part: while it is marked, an element has both forms, so it is found
// again whichever of them comes without the mark.
func TestMovingMarks(t *testing.T) {
	const (
		text   = `{"role":"user","content":"a"}`
		part   = `{"role":"user","content":[{"type":"text","text":"a"}]}`
		marked = `{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]}`
	)
	f := func(name string, e wire.Element, bare, flat string) {
		t.Helper()
		if got := flatOf(e); string(e.Bare) != bare || got != flat {
			t.Errorf("%s: bare %q, flat %q, want %q and %q", name, e.Bare, got, bare, flat)
		}
		checkElement(t, e)
	}
	for _, format := range []string{wire.FormatMessages, wire.FormatChat} {
		l, err := wire.Split(format, []byte(`{"messages":[`+marked+`,`+part+`,`+text+`],"tools":[{"content":[{"type":"text","text":"a","cache_control":1}]}]}`))
		if err != nil {
			t.Fatal(err)
		}
		f("marked", l.Slots[0][0], part, text)
		f("part", l.Slots[0][1], "", "")
		f("text", l.Slots[0][2], "", "")
		f("tool", l.Slots[1][0], `{"content":[{"type":"text","text":"a"}]}`, "")
	}
	for _, format := range formats() {
		e, err := wire.ParseElement(format, []byte(part))
		if err != nil {
			t.Fatal(err)
		}
		if format == wire.FormatMessages || format == wire.FormatChat {
			f("alone in "+format, e, "", text)
		} else {
			f("alone in "+format, e, "", "")
		}
	}
	e, err := wire.ParseElement(wire.FormatMessages, []byte(marked))
	if err != nil {
		t.Fatal(err)
	}
	f("marked and alone", e, part, text)
}

func TestLinks(t *testing.T) {
	f := func(format, body string, want ...wire.Link) {
		t.Helper()
		l, err := wire.Split(format, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		var got []wire.Link
		for _, slot := range l.Slots {
			for _, e := range slot {
				got = append(got, wire.Links(format, e.Bytes)...)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Links of %s (-want +got):\n%s", body, diff)
		}
	}
	f(wire.FormatMessages, claudeBody,
		wire.Link{Kind: "tool_call", ID: "toolu_1", Name: "Bash", Bytes: 19}, wire.Link{Kind: "tool_call", ID: "toolu_2", Name: "Read", Bytes: 2},
		wire.Link{Kind: "tool_result", ID: "toolu_1", Bytes: 3}, wire.Link{Kind: "tool_result", ID: "toolu_2", Bytes: 4, Error: true})
	f(wire.FormatResponses, codexBody,
		wire.Link{Kind: "tool_call", ID: "call_1", Name: "shell", Bytes: 12}, wire.Link{Kind: "tool_result", ID: "call_1", Bytes: 3},
		wire.Link{Kind: "tool_call", ID: "call_2", Name: "apply_patch", Bytes: 9}, wire.Link{Kind: "tool_result", ID: "call_2", Bytes: 4},
		wire.Link{Kind: "tool_call", ID: "call_3", Bytes: 18})
	f(wire.FormatGemini, geminiBody,
		wire.Link{Kind: "tool_call", ID: "c1", Name: "read_file", Bytes: 12}, wire.Link{Kind: "tool_result", ID: "c1", Name: "read_file", Bytes: 17},
		wire.Link{Kind: "tool_result", Name: "ls", Bytes: 14, Error: true})
	f(wire.FormatChat, `{"messages":[{"role":"assistant","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{\"a\":1}"}},
{"id":"2","type":"custom","custom":{"name":"g","input":"x"}},3]},{"role":"tool","tool_call_id":"1","content":[{"text":"ab"},"c",{}]}]}`,
		wire.Link{Kind: "tool_call", ID: "1", Name: "f", Bytes: 7}, wire.Link{Kind: "tool_call", ID: "2", Name: "g", Bytes: 1},
		wire.Link{Kind: "tool_result", ID: "1", Bytes: 5})
	if got := wire.Links("telnet", []byte(`{"role":"tool"}`)); got != nil {
		t.Errorf("links of an unknown format: %v", got)
	}
}

func TestRequestParams(t *testing.T) {
	f := func(format, body string, want wire.Params, other ...string) {
		t.Helper()
		l, err := wire.Split(format, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := wire.RequestParams(format, l.Envelope)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, m := range got.Other {
			names = append(names, m.Key)
		}
		got.Other = nil
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("RequestParams(%s) (-want +got):\n%s", format, diff)
		}
		if diff := cmp.Diff(other, names); diff != "" {
			t.Errorf("RequestParams(%s): other members (-want +got):\n%s", format, diff)
		}
	}
	f(wire.FormatMessages, claudeBody, wire.Params{
		Model: "claude-x", Stream: new(true), MaxTokens: new(int64(32000)), Temperature: new(1.0), ReasoningEffort: "high", ToolChoice: `{"type":"auto"}`,
	}, "metadata", "thinking", "output_config", "diagnostics")
	f(wire.FormatResponses, codexBody, wire.Params{
		Model: "gpt-x", Stream: new(true), ReasoningEffort: "low", ToolChoice: "auto", PreviousResponseID: "resp_1", Generate: new(false), Store: new(false),
	}, "reasoning", "prompt_cache_key", "client_metadata")
	f(wire.FormatGemini, geminiBody, wire.Params{
		Model: "gemini-x", MaxTokens: new(int64(100)), Temperature: new(0.5), TopP: new(1.0), TopK: new(int64(64)), Seed: new(int64(7)),
		ReasoningEffort: "HIGH", ToolChoice: "AUTO",
	}, "project", "user_prompt_id", "toolConfig", "session_id", "generationConfig")
	f(wire.FormatChat, `{"model":"m","messages":[],"max_tokens":5,"max_completion_tokens":6,"top_k":1.5,"seed":-1,"stream":"yes","reasoning_effort":"minimal","n":1}`,
		wire.Params{Model: "m", MaxTokens: new(int64(6)), Seed: new(int64(-1)), ReasoningEffort: "minimal"}, "n")
	if _, err := wire.RequestParams("telnet", []byte(`{}`)); err == nil {
		t.Error("an unknown format has parameters")
	}
	if _, err := wire.RequestParams(wire.FormatChat, []byte(`{"a":`)); err == nil {
		t.Error("a broken envelope has parameters")
	}
}
