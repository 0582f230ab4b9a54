package launch

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Arguments returns the command line that starts the child: the user's, and what
// the harness takes from arguments alone, behind its name. It is pure.
func Arguments(cmd Command, c Config) ([]string, error) {
	if c.Harness.arguments == nil {
		return cmd.Argv, nil
	}
	more := c.Harness.arguments(c)
	if len(more) == 0 {
		return cmd.Argv, nil
	}
	if cmd.At < 0 {
		return nil, fmt.Errorf("%s takes its base URL from arguments, and this command line has no place for them: call %s directly", c.Harness.Name, c.Harness.Name)
	}
	if c.Harness.Name == "claude" && slices.ContainsFunc(cmd.Argv[cmd.At:], isSettingsFlag) {
		return nil, fmt.Errorf("claude's configuration sets %s, which a recording has to override with --settings, and the command line has its own: set them there", strings.Join(overridden(c), ", "))
	}
	return slices.Concat(cmd.Argv[:cmd.At+1], more, cmd.Argv[cmd.At+1:]), nil
}

func isSettingsFlag(a string) bool { return a == "--settings" || strings.HasPrefix(a, "--settings=") }

// Files returns the files that the child needs in Config.Folder, by name. It is
// pure.
func Files(c Config) map[string][]byte {
	if c.Harness.files == nil {
		return nil
	}
	return c.Harness.files(c)
}

// overridden are the variables that the harness's configuration would set over
// ours.
func overridden(c Config) []string {
	names := map[string]bool{}
	for _, s := range c.Settings {
		if s.Variable != "" {
			names[s.Variable] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// claudeArguments overrides what the settings of Claude Code would set over the
// child's environment.
func claudeArguments(c Config) []string {
	env := map[string]string{}
	ours := Environment(nil, c)
	for _, name := range overridden(c) {
		if value := lookup(ours, name); value != "" {
			env[name] = value
		}
	}
	if len(env) == 0 {
		return nil
	}
	return []string{"--settings", marshal(map[string]any{"env": env})}
}

// codexArguments names base URLs, which Codex reads from no variable. Providers
// of the user's configuration have to be there already.
func codexArguments(c Config) []string {
	var out []string
	if c.wants("openai") {
		out = append(out, "-c", "openai_base_url="+strconv.Quote(c.URL("openai", "/v1")))
	}
	done := map[string]bool{"openai": true}
	for _, s := range c.Settings {
		if _, named := c.Providers[s.Provider]; named && !done[s.Provider] {
			done[s.Provider] = true
			out = append(out, "-c", "model_providers."+s.Provider+".base_url="+strconv.Quote(c.URL(s.Provider, "")))
		}
	}
	return out
}

// served is a provider under the name that a harness has for it.
type served struct {
	theirs, ours, suffix string
	keys                 []string // variables that hold its key
}

var piProviders = []served{
	{theirs: "anthropic", ours: "anthropic"},
	{theirs: "openai", ours: "openai", suffix: "/v1"},
	{theirs: "google", ours: "gemini", suffix: "/v1beta"},
	{theirs: "openrouter", ours: "openrouter", suffix: "/api/v1"},
	{theirs: "opencode", ours: "opencode", suffix: "/zen/v1"},
	{theirs: "mistral", ours: "mistral"},
	{theirs: "xai", ours: "xai", suffix: "/v1"},
	{theirs: "groq", ours: "groq", suffix: "/openai/v1"},
	{theirs: "zai", ours: "zai", suffix: "/api/coding/paas/v4"},
	{theirs: "deepseek", ours: "deepseek"},
	{theirs: "fireworks", ours: "fireworks", suffix: "/inference"},
}

// piExtension is the file that tells pi where its providers are.
const piExtension = "pi-base-urls.js"

func piArguments(c Config) []string {
	if len(piURLs(c)) == 0 {
		return nil
	}
	return []string{"-e", filepath.Join(c.Folder, piExtension)}
}

// piFiles makes an extension of pi for this run: its own configuration would have
// to be changed otherwise.
func piFiles(c Config) map[string][]byte {
	urls := piURLs(c)
	if len(urls) == 0 {
		return nil
	}
	var b strings.Builder
	b.WriteString("export default function (pi) {\n")
	for _, name := range slices.Sorted(maps.Keys(urls)) {
		fmt.Fprintf(&b, "  pi.registerProvider(%s, { baseUrl: %s });\n", marshal(name), marshal(urls[name]))
	}
	b.WriteString("}\n")
	return map[string][]byte{piExtension: []byte(b.String())}
}

func piURLs(c Config) map[string]string {
	urls := map[string]string{}
	for _, p := range piProviders {
		if c.wants(p.ours) {
			urls[p.theirs] = c.URL(p.ours, p.suffix)
		}
	}
	configured(c, urls)
	return urls
}

// configured adds the providers of the harness's configuration that the proxy
// stands in for.
func configured(c Config, urls map[string]string) {
	for _, s := range c.Settings {
		if _, named := c.Providers[s.Provider]; named && s.Variable == "" {
			urls[s.Provider] = c.URL(s.Provider, "")
		}
	}
}

var opencodeProviders = []served{
	{"anthropic", "anthropic", "/v1", []string{"ANTHROPIC_API_KEY"}},
	{"openai", "openai", "/v1", []string{"OPENAI_API_KEY"}},
	{"google", "gemini", "/v1beta", []string{"GEMINI_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"}},
	{"openrouter", "openrouter", "/api/v1", []string{"OPENROUTER_API_KEY"}},
	{"opencode", "opencode", "/zen/v1", []string{"OPENCODE_API_KEY"}},
	{"mistral", "mistral", "/v1", []string{"MISTRAL_API_KEY"}},
	{"xai", "xai", "/v1", []string{"XAI_API_KEY"}},
	{"groq", "groq", "/openai/v1", []string{"GROQ_API_KEY"}},
	{"deepseek", "deepseek", "", []string{"DEEPSEEK_API_KEY"}},
}

// opencodeVariables puts base URLs into the variable that holds configuration,
// on top of what the user had in it. Only providers that the user has are named:
// OpenCode takes one that is configured for one that can be used.
func opencodeVariables(variable string) func(func(string) string, Config) []string {
	return func(get func(string) string, c Config) []string {
		urls := map[string]string{}
		for _, p := range opencodeProviders {
			_, named := c.Providers[p.ours]
			if has := slices.ContainsFunc(p.keys, func(k string) bool { return get(k) != "" }) || c.knows(p.theirs); named || has && c.way() == BaseURL {
				urls[p.theirs] = c.URL(p.ours, p.suffix)
			}
		}
		configured(c, urls)
		if len(urls) == 0 {
			return nil
		}
		config := map[string]any{}
		if had := get(variable); had != "" && json.Unmarshal(plainJSON([]byte(had)), &config) != nil {
			config = map[string]any{} // OpenCode cannot read it either
		}
		providers := member(config, "provider")
		for name, u := range urls {
			member(member(providers, name), "options")["baseURL"] = u
		}
		return []string{variable + "=" + marshal(config)}
	}
}

// knows tells whether the user's configuration names a provider.
func (c Config) knows(provider string) bool {
	return slices.ContainsFunc(c.Settings, func(s Setting) bool { return s.Provider == provider })
}

// member returns an object's member that is an object, and makes it one.
func member(object map[string]any, name string) map[string]any {
	if m, ok := object[name].(map[string]any); ok {
		return m
	}
	m := map[string]any{}
	object[name] = m
	return m
}

// marshal is JSON of what can be nothing else.
func marshal(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("launch: internal error: " + err.Error())
	}
	return string(b)
}
