package launch

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSettings reads configurations of harnesses.
func TestSettings(t *testing.T) {
	home, root := t.TempDir(), t.TempDir()
	dir := filepath.Join(root, "project")
	for _, file := range strings.Split(configurations, "\n-- ")[1:] {
		base := home
		name, text, _ := strings.Cut(file, " --\n")
		name, project := strings.CutPrefix(name, "root/")
		if project {
			base = root
		}
		path := filepath.Join(base, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	f := func(harness string, env []string, want ...string) {
		t.Helper()
		h, _ := Find(harness)
		var got []string
		for _, s := range Settings(h, home, dir, env) {
			shown := strings.NewReplacer(home, "~", root, "root").Replace(s.Shown())
			if strings.Contains(shown, "hidden") {
				t.Errorf("%q shows a secret", shown)
			}
			got = append(got, fmt.Sprintf("%s [%s|%s]", shown, s.Provider, s.Variable))
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("Settings of %s:\n%s\nwant\n%s", harness, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	f("claude", nil,
		"~/.claude/settings.json: env.ANTHROPIC_BASE_URL = https://…@gateway.corp/a?… [anthropic|ANTHROPIC_BASE_URL]",
		"~/.claude/settings.json: env.HTTPS_PROXY [|HTTPS_PROXY]",
		"root/project/.claude/settings.local.json: env.no_proxy [|no_proxy]")
	f("claude", []string{"CLAUDE_CONFIG_DIR=/nowhere"}, "root/project/.claude/settings.local.json: env.no_proxy [|no_proxy]")
	f("codex", nil,
		"~/.codex/config.toml: chatgpt_base_url = https://c.example/ [|]",
		"~/.codex/config.toml: model_providers.my-own.base_url = http://localhost:8000/v1 [my-own|]",
		"~/.codex/config.toml: openai_base_url = https://o.example/v1 [openai|]")
	f("opencode", []string{`OPENCODE_CONFIG_CONTENT={"provider":{"x":{"options":{"baseURL":"http://localhost:5"}}}}`},
		"~/.local/share/opencode/auth.json: openai [openai|]",
		"~/.config/opencode/opencode.jsonc: provider.anthropic.options.baseURL [anthropic|]",
		"~/.config/opencode/opencode.jsonc: provider.mine.options.baseURL = http://localhost:2/v1 [mine|]",
		"root/opencode.json: provider.up.options.baseURL = http://localhost:4/v1 [up|]",
		"root/project/opencode.json: provider.here.options.baseURL = http://localhost:1/v1 [here|]",
		"$OPENCODE_CONFIG_CONTENT: provider.x.options.baseURL = http://localhost:5 [x|]")
	f("pi", nil, "~/.pi/agent/models.json: providers.mine.baseUrl = http://localhost:3/v1 [mine|]")
	f("gemini", nil, "~/.gemini/settings.json: proxy [|HTTPS_PROXY]")
	f("qwen", nil)
	f("cline", nil)
}

const configurations = `
-- .claude/settings.json --
{"env": {"ANTHROPIC_BASE_URL": "https://u:hidden@gateway.corp/a?key=hidden", "HTTPS_PROXY": "http://u:hidden@p", "FOO": "bar", "NO_PROXY_LIKE": 1}}
-- root/project/.claude/settings.local.json --
{"env": {"no_proxy": "*"}}
-- .codex/config.toml --
# openai_base_url = "https://commented.example"
model = "m" # comment
openai_base_url = "https://o.example/v1" # comment
chatgpt_base_url = 'https://c.example/'

[model_providers."my-own"]
name = "x"
base_url = "http://localhost:8000/v1"

[[other]]
base_url = "http://no.example"
-- .config/opencode/opencode.jsonc --
{
  // mine
  "provider": {"mine": {"options": {"baseURL": "http://localhost:2/v1", /* "x" */ },}, "anthropic": {}},
}
-- root/project/opencode.json --
{"provider": {"here": {"options": {"baseURL": "http://localhost:1/v1"}}}}
-- root/opencode.json --
{"provider": {"up": {"options": {"baseURL": "http://localhost:4/v1"}}}}
-- root/.git --
x
-- .local/share/opencode/auth.json --
{"openai": {"type": "api", "key": "hidden"}}
-- .pi/agent/models.json --
{"providers": {"mine": {"baseUrl": "http://localhost:3/v1"}, "anthropic": {"apiKey": "hidden"}}}
-- .gemini/settings.json --
{"proxy": "http://u:hidden@p"}
-- .qwen/settings.json --
{broken
`

func TestPlainJSON(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := string(plainJSON([]byte(in))); got != want {
			t.Errorf("plainJSON(%q) = %q, want %q", in, got, want)
		}
	}
	f(`{"a":"// no /* no */ \" ,}"}`, `{"a":"// no /* no */ \" ,}"}`)
	f("{\"a\":1, // x\n \"b\":[1,2,],}", "{\"a\":1,  \"b\":[1,2]}")
	f(`{/* x`, `{`)
	f(`"open`, `"open`)
	f(`"open\`, `"open\`)
	f(`//`, ``)
	f(`{"a":1/`, `{"a":1/`)
}

// FuzzPlainJSON: JSON without comments means the same afterwards, and nothing
// panics.
func FuzzPlainJSON(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":"c//\\\""}]}`))
	f.Add([]byte("[1,] // x"))
	f.Fuzz(func(t *testing.T, text []byte) {
		out := plainJSON(text)
		tomlStrings(text)
		if !json.Valid(text) {
			return
		}
		var a, b any
		if json.Unmarshal(text, &a) == nil && (json.Unmarshal(out, &b) != nil || fmt.Sprint(a) != fmt.Sprint(b)) {
			t.Errorf("plainJSON(%q) = %q", text, out)
		}
	})
}
