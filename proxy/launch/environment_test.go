package launch

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/schema/secrets"
)

func config(harness string, way Way) Config {
	h, ok := Find(harness)
	if !ok {
		h = Unknown()
	}
	return Config{Harness: h, Way: way, Addr: "127.0.0.1:9", Session: "s1", CA: "/run/ca.pem", Bundle: "/run/bundle.pem", Folder: "/run", Hosts: testHosts}
}

// TestDetect finds harnesses in command lines.
func TestDetect(t *testing.T) {
	f := func(line, want string, at int) {
		t.Helper()
		if got := Detect(strings.Fields(line)); got.Harness.Name != want || got.At != at {
			t.Errorf("Detect(%q) = %q at %d, want %q at %d", line, got.Harness.Name, got.At, want, at)
		}
	}
	f("claude -p hi", "claude", 0)
	f("/usr/local/bin/claude", "claude", 0)
	f(`C:\Tools\claude.exe -p hi`, "claude", 0)
	f("./node_modules/.bin/codex exec x", "codex", 0)
	f("npx -y @openai/codex@0.169.0 exec x", "codex", 2)
	f("npx --package @openai/codex codex exec", "codex", 3)
	f("npm exec -- @google/gemini-cli -p x", "gemini", 3)
	f("pnpm dlx @qwen-code/qwen-code", "qwen", 2)
	f("bun x opencode-ai run", "opencode", 2)
	f("uv tool run aider", "aider", 3)
	f("uvx --python 3.12 aider-chat", "aider", 3)
	f("node --no-warnings /x/node_modules/@mariozechner/pi-coding-agent/dist/cli.js -p", "pi", 2)
	f("python3 -m minisweagent -t x", "mini-swe-agent", 2)
	f("python3 -X dev /opt/bin/mini -t x", "mini-swe-agent", 3)
	f("env -u FOO A=b claude", "claude", 4)
	f("timeout -k 5 60 env A=b nice -n 3 goose run", "goose", 9)
	f("time cn -p x", "continue", 1)
	f("make test", "", -1)
	f("node server.js", "", -1)
	f("env", "", -1)
	f("timeout", "", -1)
	f("", "", -1)
	f("env env env env env env env env env env claude", "", -1)
	c := Detect([]string{"env", "-i", "HTTPS_PROXY=x", "sh", "-c", "cd /x && codex exec 'say claude'"})
	if c.Harness.Name != "codex" || c.At != -1 || !c.Clears || len(c.Sets) != 1 {
		t.Errorf("Detect = %+v, want codex in a script, and what env does", c)
	}
}

// TestHarnessTable: every name, program and package belongs to one harness.
func TestHarnessTable(t *testing.T) {
	seen := map[string]string{}
	for _, h := range Harnesses() {
		if len(h.Commands) == 0 || h.Way == "" {
			t.Errorf("%s has no program or no way", h.Name)
		}
		for _, word := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(h.Commands, h.Packages)))) {
			if seen[word] != "" {
				t.Errorf("%s is both %s and %s", word, seen[word], h.Name)
			}
			seen[word] = h.Name
		}
		if got, ok := Find(h.Name); !ok || got.Name != h.Name {
			t.Errorf("Find(%q) finds %q", h.Name, got.Name)
		}
	}
}

// changed are the variables that Environment sets, by name.
func changed(base []string, c Config) map[string]string {
	out := map[string]string{}
	for _, v := range Environment(base, c) {
		if name, value, _ := strings.Cut(v, "="); !slices.Contains(base, v) {
			out[name] = value
		}
	}
	return out
}

func TestEnvironmentConnect(t *testing.T) {
	base := []string{"PATH=/bin", "https_proxy=http://corp:3128", "NO_PROXY=*, corp.example,.anthropic.com,10.0.0.0/8", "ANTHROPIC_API_KEY=k"}
	got := changed(base, config("claude", ""))
	want := map[string]string{
		"NO_PROXY": "localhost,127.0.0.1,::1,corp.example,10.0.0.0/8", "no_proxy": "localhost,127.0.0.1,::1,corp.example,10.0.0.0/8",
		"NODE_USE_ENV_PROXY": "1", "AIOHTTP_TRUST_ENV": "True", "NODE_EXTRA_CA_CERTS": "/run/ca.pem", "CAPSTAN_SESSION": "s1",
	}
	for _, name := range proxyVariables {
		want[name] = "http://s1:x@127.0.0.1:9"
	}
	for _, name := range bundleVariables {
		want[name] = "/run/bundle.pem"
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("Environment of claude (-want +got):\n%s", d)
	}
	names := map[string]int{}
	for _, v := range Environment(base, config("claude", "")) {
		name, _, _ := strings.Cut(v, "=")
		names[name]++
	}
	for name, n := range names {
		if n != 1 {
			t.Errorf("%s is set %d times", name, n)
		}
	}
	c := config("claude", "")
	c.Bundle = ""
	if got := changed(nil, c); got["SSL_CERT_FILE"] != "" || got["NODE_EXTRA_CA_CERTS"] == "" {
		t.Errorf("without a bundle: SSL_CERT_FILE %q, NODE_EXTRA_CA_CERTS %q", got["SSL_CERT_FILE"], got["NODE_EXTRA_CA_CERTS"])
	}
	c.Password = "p w"
	if got := changed(nil, c)["HTTPS_PROXY"]; got != "http://s1:p%20w@127.0.0.1:9" {
		t.Errorf("with a password: HTTPS_PROXY = %q", got)
	}
}

func TestEnvironmentBaseURL(t *testing.T) {
	f := func(harness string, base []string, edit func(*Config), want string) {
		t.Helper()
		c := config(harness, BaseURL)
		if edit != nil {
			edit(&c)
		}
		got := changed(base, c)
		for _, name := range []string{"NO_PROXY", "no_proxy", "CAPSTAN_SESSION"} {
			delete(got, name)
		}
		if text := fmt.Sprint(got); text != "map["+want+"]" {
			t.Errorf("Environment of %s = %s, want map[%s]", harness, text, want)
		}
	}
	f("claude", nil, nil, "ANTHROPIC_BASE_URL:http://127.0.0.1:9/s/s1/anthropic CLAUDE_CODE_GATEWAY_HINT_HEADERS:1")
	f("gemini", nil, nil, "GOOGLE_GEMINI_BASE_URL:http://127.0.0.1:9/s/s1/gemini")
	f("qwen", nil, nil, "OPENAI_BASE_URL:http://127.0.0.1:9/s/s1/openai/v1")
	f("codex", nil, nil, "")
	f("copilot", nil, nil, "")
	f("goose", nil, nil, "ANTHROPIC_HOST:http://127.0.0.1:9/s/s1/anthropic OPENAI_HOST:http://127.0.0.1:9/s/s1/openai")
	local := func(c *Config) { c.Providers = map[string]string{"openai": "http://localhost:8000/v1"} }
	f("qwen", []string{"OPENAI_BASE_URL=http://localhost:8000/v1"}, local, "OPENAI_BASE_URL:http://127.0.0.1:9/s/s1/openai")
	f("qwen", []string{"OPENAI_BASE_URL=ftp://odd"}, nil, "") // the user's stays, and is noted by Inherit
}

// TestEnvironmentMixed: in the connect way, providers that the user has elsewhere
// go through their base URL, the others through the tunnel.
func TestEnvironmentMixed(t *testing.T) {
	c := config("aider", Connect)
	c.Providers = map[string]string{"anthropic": "https://gateway.corp/a"}
	got := changed([]string{"ANTHROPIC_BASE_URL=https://gateway.corp/a"}, c)
	if got["ANTHROPIC_BASE_URL"] != "http://127.0.0.1:9/s/s1/anthropic" || got["OPENAI_BASE_URL"] != "" || got["HTTPS_PROXY"] == "" {
		t.Errorf("Environment = %v, want the base URL of anthropic alone, and the proxy", got)
	}
}

func TestOpenCodeVariables(t *testing.T) {
	provider := func(base []string, edit func(*Config)) map[string]any {
		c := config("opencode", BaseURL)
		if edit != nil {
			edit(&c)
		}
		text := changed(base, c)["OPENCODE_CONFIG_CONTENT"]
		if text == "" {
			return nil
		}
		var v map[string]any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return v
	}
	if got := provider(nil, nil); got != nil {
		t.Errorf("without a key: %v, want nothing: what is configured counts as usable", got)
	}
	base := []string{"ANTHROPIC_API_KEY=k", `OPENCODE_CONFIG_CONTENT={"model":"m", /* mine */ "provider":{"anthropic":{"options":{"timeout":5,}}}}`}
	got := fmt.Sprint(provider(base, func(c *Config) {
		c.Settings = []Setting{{Provider: "mine", URL: "http://localhost:1/v1"}, {Provider: "openai"}}
		c.Providers = map[string]string{"mine": "http://localhost:1/v1"}
	}))
	want := "map[model:m provider:map[anthropic:map[options:map[baseURL:http://127.0.0.1:9/s/s1/anthropic/v1 timeout:5]] mine:map[options:map[baseURL:http://127.0.0.1:9/s/s1/mine]] openai:map[options:map[baseURL:http://127.0.0.1:9/s/s1/openai/v1]]]]"
	if got != want {
		t.Errorf("configuration %s, want %s", got, want)
	}
}

func TestArguments(t *testing.T) {
	f := func(c Config, line, want string) {
		t.Helper()
		got, err := Arguments(Detect(strings.Fields(line)), c)
		text := strings.Join(got, " ")
		if err != nil {
			text = "error: " + err.Error()
		}
		if text != want {
			t.Errorf("Arguments(%q) = %s, want %s", line, text, want)
		}
	}
	f(config("codex", Connect), "codex exec hi", "codex exec hi")
	f(config("codex", BaseURL), "npx @openai/codex exec hi", `npx @openai/codex -c openai_base_url="http://127.0.0.1:9/s/s1/openai/v1" exec hi`)
	c := config("codex", Connect)
	c.Settings = []Setting{{Provider: "mine", URL: "http://localhost:1/v1"}, {Provider: "other", URL: "https://chatgpt.com/x"}}
	c.Providers = map[string]string{"mine": "http://localhost:1/v1"}
	f(c, "codex", `codex -c model_providers.mine.base_url="http://127.0.0.1:9/s/s1/mine"`)
	f(config("codex", BaseURL), "sh -c codex", "error: codex takes its base URL from arguments, and this command line has no place for them: call codex directly")
	f(config("pi", BaseURL), "pi -p hi", "pi -e /run/pi-base-urls.js -p hi")
	f(config("pi", Connect), "pi -p hi", "pi -p hi")
	f(config("claude", Connect), "claude -p hi", "claude -p hi")
	c = config("claude", Connect)
	c.Settings = []Setting{{Variable: "HTTPS_PROXY"}, {Variable: "NO_PROXY"}, {Variable: "NO_PROXY"}}
	f(c, "claude -p hi", `claude --settings {"env":{"HTTPS_PROXY":"http://s1:x@127.0.0.1:9","NO_PROXY":"localhost,127.0.0.1,::1"}} -p hi`)
	f(c, "claude --settings mine.json", "error: claude's configuration sets HTTPS_PROXY, NO_PROXY, which a recording has to override with --settings, and the command line has its own: set them there")
}

func TestPiFiles(t *testing.T) {
	if got := Files(config("pi", Connect)); got != nil {
		t.Errorf("Files = %v, want none", got)
	}
	c := config("pi", Connect)
	c.Settings = []Setting{{Provider: `a"b`, URL: "http://localhost:1"}}
	c.Providers = map[string]string{`a"b`: "http://localhost:1", "anthropic": "http://localhost:2"}
	want := "export default function (pi) {\n" +
		"  pi.registerProvider(\"a\\\"b\", { baseUrl: \"http://127.0.0.1:9/s/s1/a\\\"b\" });\n" +
		"  pi.registerProvider(\"anthropic\", { baseUrl: \"http://127.0.0.1:9/s/s1/anthropic\" });\n}\n"
	if d := cmp.Diff(want, string(Files(c)[piExtension])); d != "" {
		t.Errorf("Files (-want +got):\n%s", d)
	}
}

func TestInherit(t *testing.T) {
	f := func(harness string, base []string, settings []Setting, hosts []string, want string) {
		t.Helper()
		h, _ := Find(harness)
		in := Inherit(base, h, settings, hosts)
		via := ""
		if in.Via != nil {
			via = in.Via.Redacted()
		}
		if got := strings.TrimSpace(fmt.Sprintf("%s %v %d", via, in.Providers, len(in.Notes))); got != want {
			t.Errorf("Inherit(%v) = %s %v, want %s", base, got, in.Notes, want)
		}
		for _, n := range in.Notes {
			if strings.Contains(n, "hidden") {
				t.Errorf("the note %q shows a password", n)
			}
		}
	}
	f("claude", nil, nil, testHosts, "map[] 0")
	f("claude", []string{"HTTPS_PROXY=http://u:hidden@corp:3128"}, nil, testHosts, "http://u:xxxxx@corp:3128 map[] 0")
	f("claude", []string{"https_proxy=corp:3128", "no_proxy=*"}, nil, testHosts, "map[] 0")
	f("claude", []string{"https_proxy=corp:3128"}, nil, testHosts, "http://corp:3128 map[] 0")
	f("claude", []string{"ALL_PROXY=socks5://u:hidden@corp"}, nil, testHosts, "map[] 1")
	f("claude", []string{"HTTPS_PROXY=http://u:hidden@[bad"}, nil, testHosts, "map[] 1")
	f("claude", []string{"ANTHROPIC_BASE_URL=https://api.anthropic.com"}, nil, testHosts, "map[] 0")
	f("claude", []string{"ANTHROPIC_BASE_URL=https://api.anthropic.com"}, nil, nil, "map[anthropic:https://api.anthropic.com] 0")
	f("claude", []string{"ANTHROPIC_BASE_URL=https://gateway.corp/x"}, nil, testHosts, "map[anthropic:https://gateway.corp/x] 0")
	f("claude", []string{"ANTHROPIC_BASE_URL=http://u:hidden@gateway.corp/x"}, nil, testHosts, "map[] 1")
	f("claude", []string{"ANTHROPIC_BASE_URL=nonsense"}, nil, testHosts, "map[] 1")
	f("aider", []string{"OPENAI_API_BASE=http://a/v1", "OPENAI_BASE_URL=http://b/v1"}, nil, testHosts, "map[openai:http://a/v1] 1")
	f("claude", []string{"ANTHROPIC_BASE_URL=http://a"}, []Setting{{Provider: "anthropic", URL: "http://b", Variable: "ANTHROPIC_BASE_URL"}, {Provider: "anthropic", URL: "http://c", Variable: "ANTHROPIC_BASE_URL"}}, testHosts, "map[anthropic:http://c] 0")
	f("claude", []string{"ANTHROPIC_BASE_URL=http://a"}, []Setting{{Provider: "anthropic", URL: "https://api.anthropic.com", Variable: "ANTHROPIC_BASE_URL"}}, testHosts, "map[] 0")
	f("qwen", []string{"OPENAI_BASE_URL=http://a"}, []Setting{{Provider: "openai", URL: "http://b"}}, testHosts, "map[openai:http://a] 0")
	f("codex", nil, []Setting{{Provider: "mine", URL: "http://localhost:1/v1"}, {Provider: "x"}, {Provider: "a/b", URL: "http://l"}}, testHosts, "map[mine:http://localhost:1/v1] 1")
}

func TestHidesRecorded(t *testing.T) {
	f := func(list, want string) {
		t.Helper()
		if got := strings.Join(HidesRecorded(list, testHosts), " "); got != want {
			t.Errorf("HidesRecorded(%q) = %q, want %q", list, got, want)
		}
	}
	f("", "")
	f("localhost,127.0.0.1,10.0.0.0/8,corp.example", "")
	f("*", "*")
	f("anthropic.com .Anthropic.com,*.anthropic.com", "anthropic.com .Anthropic.com *.anthropic.com")
	f("api.anthropic.com:443", "api.anthropic.com:443")
	f("x.githubcopilot.com,githubcopilot.com,com", "x.githubcopilot.com githubcopilot.com com")
	f("notchatgpt.com,console.anthropic.com", "")
}

func TestBypassed(t *testing.T) {
	f := func(list, host string, want bool) {
		t.Helper()
		if got := Bypassed([]string{"no_proxy=" + list}, host); got != want {
			t.Errorf("Bypassed(%q, %q) = %v, want %v", list, host, got, want)
		}
	}
	f("", "llm.corp.example", false)
	f("localhost,.corp.example", "llm.corp.example", true)
	f("LLM.corp.example:443", "llm.Corp.example", true)
	f("orp.example", "llm.corp.example", false)
}

func TestValidSession(t *testing.T) {
	f := func(name string, want bool) {
		t.Helper()
		if got := ValidSession(name); got != want {
			t.Errorf("ValidSession(%q) = %v, want %v", name, got, want)
		}
	}
	f("claude-20261125-161455-4f2a", true)
	f("a.b_C-9", true)
	f("", false)
	f(".", false)
	f("..", false)
	f("a/b", false)
	f("a:b", false)
	f("ä", false)
	f(strings.Repeat("a", 65), false)
}

// TestLearn: what the child knows of credentials is taken out of bodies.
func TestLearn(t *testing.T) {
	l := secrets.NewLearned([]byte("k"))
	Learn(l, []string{"MY_API_KEY=Zx9-plain-credential-77", "HTTPS_PROXY=http://s1:Hq8-proxy-Password-3@h", "PATH=/usr/local/bin"})
	text := string(l.Redact([]byte("a Zx9-plain-credential-77 b Hq8-proxy-Password-3 c s1 /usr/local/bin")))
	if strings.Contains(text, "Zx9") || strings.Contains(text, "Hq8") || !strings.Contains(text, "c s1 /usr/local/bin") {
		t.Errorf("Redact = %q, want the two credentials taken out and nothing else", text)
	}
}
