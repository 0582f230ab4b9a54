package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseScript(t *testing.T) {
	const text = `
seed: 3
agents:
  - name: main
    turns:
      - repeat: 2
        turns:
          - {text: "look {{.N}}", calls: [{tool: shell, command: "ls {{.N}}"}]}
      - {text: "{{words 12}}"}
`
	s, err := ParseScript([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, turn := range s.Agents[0].steps {
		line := turn.Text
		for _, c := range turn.Calls {
			line += " $" + c.Command
		}
		got = append(got, line)
	}
	if len(got) != 3 || got[0] != "look 1 $ls 1" || got[1] != "look 2 $ls 2" || len(strings.Fields(got[2])) != 12 || !strings.HasSuffix(got[2], ".") {
		t.Errorf("turns = %q, want two that look and twelve words", got)
	}
	again, err := ParseScript([]byte(text))
	if err != nil || again.Agents[0].steps[2].Text != got[2] {
		t.Errorf("the same seed gave other words: %v", err)
	}
	other, err := ParseScript([]byte(strings.Replace(text, "seed: 3", "seed: 4", 1)))
	if err != nil || other.Agents[0].steps[2].Text == got[2] {
		t.Errorf("another seed gave the same words: %v", err)
	}
}

func TestParseScriptRefuses(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if _, err := ParseScript([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseScript(%q) = %v, want an error with %q", text, err, want)
		}
	}
	agent := func(turns string) string { return "agents: [{name: main, turns: [" + turns + "]}]" }
	call := func(c string) string { return agent("{calls: [{" + c + "}]}") }
	f(``, "needs agents")
	f(`[`, "read script")
	f(`speed: 3`, "speed")
	f(`agents: [{name: main}]`, "no turns")
	f(`agents: [{name: a, turns: [{text: x}]}, {name: a, turns: [{text: x}]}]`, "name of its own")
	f("piece: -1\n"+agent(`{text: x}`), "piece")
	f("pace: {jitter: 2}\n"+agent(`{text: x}`), "shares")
	f(agent(`{text: x, pace: {first_ms: -1}}`), "negative")
	f(agent(`{reasoning: x}`), "wants text or calls")
	f(agent(`{text: x, turns: [{text: y}]}`), "group")
	f(agent(`{repeat: -1, text: x}`), "repeated")
	f(agent(`{repeat: 90000, turns: [{repeat: 90000, text: x}]}`), "more than")
	f(agent(`{text: "{{.M}}"}`), "{{.M}}")
	f(agent(`{text: "{{words -1}}"}`), "words")
	f(agent(`{text: x, fault: {kind: fire}}`), "fire")
	f(agent(`{text: x, fault: {kind: cut, at: 2}}`), "between 0 and 1")
	f(agent(`{text: x, fault: {kind: status, status: 200}}`), "no error")
	f(call(`tool: fly`), "fly")
	f(call(`tool: shell`), "command")
	f(call(`tool: read`), "path")
	f(call(`tool: write`), "path")
	f(call(`tool: edit, path: a, old: x, new: x`), "differ")
	f(call(`tool: task`), "agent")
	f(call(`tool: task, agent: nobody`), "nobody")
	f(call(`tool: task, agent: main`), "no when")
	f(`agents: [{name: a, when: count, turns: [{text: x}]}, {name: b, turns: [{calls: [{tool: task, agent: a, prompt: read}]}]}]`, "not led")
}

// TestScripts reads the scripts that are in the repository.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("scripts = %v, %v", files, err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseScript(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseScript(f *testing.F) {
	f.Add([]byte(walk))
	f.Add([]byte(`agents: [{name: a, when: x, turns: [{repeat: 3, turns: [{text: "{{words 3}}"}]}]}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := ParseScript(text); err == nil && len(s.Agents) == 0 {
			t.Errorf("ParseScript(%q) took a script without agents", text)
		}
	})
}

func FuzzConversation(f *testing.F) {
	for i, format := range formats() {
		c := client{format: format, tools: declare(format, "shell", shellSchema)}
		_, body := c.user("hello").request()
		f.Add(i, body)
	}
	f.Add(2, []byte(`{"input":"x","previous_response_id":"resp_s0n3k5_abc"}`))
	s, err := ParseScript([]byte(walk))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, i int, body []byte) {
		format := formats()[uint(i)%4]
		c, err := readConversation(format, body)
		if err != nil {
			return
		}
		if a := s.answer(c); a.kind == "" || a.ID == "" {
			t.Errorf("the answer to %q is %+v", body, a)
		}
	})
}

func TestLeads(t *testing.T) {
	s, err := ParseScript([]byte(`
agents:
  - {name: rest, turns: [{text: x}]}
  - {name: a, when: red, turns: [{text: x}]}
  - {name: b, when: blue, turns: [{text: x}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	f := func(want int, said ...string) {
		t.Helper()
		if diff := cmp.Diff(want, s.leads(said)); diff != "" {
			t.Errorf("leads(%q) (-want +got):\n%s", said, diff)
		}
	}
	f(1, "a red house")
	f(2, "blue", "red")
	f(1, "red and blue")
	f(0, "green")
	f(0)
	s.Agents = s.Agents[1:]
	f(-1, "green")
}
