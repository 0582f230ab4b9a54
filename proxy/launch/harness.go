package launch

import "slices"

// Way is how a harness reaches the proxy.
type Way string

// The two ways.
const (
	// Connect makes the proxy the harness's HTTP proxy. The harness talks to the
	// hosts that it knows, so it behaves as it does without a recording.
	Connect Way = "connect"
	// BaseURL gives the harness the proxy in the place of its providers. It needs
	// no certificate, but some harnesses treat a host that they do not know
	// differently.
	BaseURL Way = "base-url"
)

// Harness is what has to be known of an agent tool to record it.
type Harness struct {
	Name     string
	Commands []string // names of its program
	Packages []string // that npx, uvx and the like run it from, and modules of Python
	Way      Way      // the one to take unless the user says otherwise

	// urls are the variables that name the base URL of a provider.
	urls []urlVariable
	// set are variables, NAME=value, that the base-URL way needs besides.
	set []string
	// arguments and files are what variables cannot say.
	arguments func(Config) []string
	files     func(Config) map[string][]byte
	variables func(get func(string) string, c Config) []string
	settings  func(reading) []Setting
}

// urlVariable is a variable that holds a base URL.
type urlVariable struct {
	name     string
	provider string
	suffix   string // path that the built-in provider's base URL has
	ifSet    bool   // means something only where the user set it
}

// Harnesses are those that are known, by name. Every one of them was seen to use
// an HTTP proxy from its environment, so that is the way of all.
func Harnesses() []Harness {
	all := slices.Concat(cliHarnesses(), pythonHarnesses())
	for i := range all {
		all[i].Way = Connect
	}
	return all
}

// Find returns the harness of that name.
func Find(name string) (Harness, bool) {
	for _, h := range Harnesses() {
		if h.Name == name {
			return h, true
		}
	}
	return Harness{}, false
}

// Unknown stands for a harness that is not known: what it may understand is set.
func Unknown() Harness {
	return Harness{Way: Connect, urls: []urlVariable{
		{name: "ANTHROPIC_BASE_URL", provider: "anthropic"},
		{name: "OPENAI_BASE_URL", provider: "openai", suffix: "/v1"},
		{name: "OPENAI_API_BASE", provider: "openai", suffix: "/v1"},
		{name: "GOOGLE_GEMINI_BASE_URL", provider: "gemini"},
		{name: "LLM_BASE_URL", provider: "llm", ifSet: true},
	}}
}

func cliHarnesses() []Harness {
	return []Harness{
		{
			Name: "claude", Commands: []string{"claude"}, Packages: []string{"@anthropic-ai/claude-code"},
			urls:      []urlVariable{{name: "ANTHROPIC_BASE_URL", provider: "anthropic"}},
			set:       []string{"CLAUDE_CODE_GATEWAY_HINT_HEADERS=1"}, // labels that it sends by itself to the host it knows
			arguments: claudeArguments, settings: claudeSettings,
		},
		{
			Name: "codex", Commands: []string{"codex"}, Packages: []string{"@openai/codex"},
			arguments: codexArguments, settings: codexSettings,
		},
		{
			Name: "opencode", Commands: []string{"opencode"}, Packages: []string{"opencode-ai"},
			variables: opencodeVariables("OPENCODE_CONFIG_CONTENT"), settings: opencodeSettings("opencode"),
		},
		{
			Name: "kilo", Commands: []string{"kilo"}, Packages: []string{"@kilocode/cli"},
			variables: opencodeVariables("KILO_CONFIG_CONTENT"), settings: opencodeSettings("kilo"),
		},
		{
			Name: "pi", Commands: []string{"pi"}, Packages: []string{"@mariozechner/pi-coding-agent", "@earendil-works/pi-coding-agent"},
			arguments: piArguments, files: piFiles, settings: piSettings,
		},
		{
			Name: "gemini", Commands: []string{"gemini"}, Packages: []string{"@google/gemini-cli"},
			urls:     []urlVariable{{name: "GOOGLE_GEMINI_BASE_URL", provider: "gemini"}},
			settings: geminiSettings(".gemini"),
		},
		{
			Name: "qwen", Commands: []string{"qwen"}, Packages: []string{"@qwen-code/qwen-code"},
			urls:     []urlVariable{{name: "OPENAI_BASE_URL", provider: "openai", suffix: "/v1"}},
			settings: geminiSettings(".qwen"),
		},
		{
			Name: "copilot", Commands: []string{"copilot"}, Packages: []string{"@github/copilot"},
			urls: []urlVariable{{name: "COPILOT_PROVIDER_BASE_URL", provider: "copilot-provider", ifSet: true}},
		},
		{Name: "cline", Commands: []string{"cline"}, Packages: []string{"cline"}},
		{Name: "continue", Commands: []string{"cn"}, Packages: []string{"@continuedev/cli"}},
		{Name: "crush", Commands: []string{"crush"}, Packages: []string{"@charmland/crush"}},
		{
			Name: "goose", Commands: []string{"goose"},
			urls: []urlVariable{{name: "OPENAI_HOST", provider: "openai"}, {name: "ANTHROPIC_HOST", provider: "anthropic"}},
		},
	}
}

// pythonHarnesses go through LiteLLM.
func pythonHarnesses() []Harness {
	litellm := []urlVariable{
		{name: "OPENAI_API_BASE", provider: "openai", suffix: "/v1"},
		{name: "OPENAI_BASE_URL", provider: "openai", suffix: "/v1"},
		{name: "ANTHROPIC_API_BASE", provider: "anthropic"},
		{name: "ANTHROPIC_BASE_URL", provider: "anthropic"},
		{name: "LLM_BASE_URL", provider: "llm", ifSet: true},
	}
	return []Harness{
		{Name: "aider", Commands: []string{"aider"}, Packages: []string{"aider", "aider-chat", "aider-install"}, urls: litellm},
		{Name: "openhands", Commands: []string{"openhands"}, Packages: []string{"openhands", "openhands-ai", "openhands.cli"}, urls: litellm},
		{Name: "mini-swe-agent", Commands: []string{"mini", "mini-swe-agent"}, Packages: []string{"mini-swe-agent", "minisweagent"}, urls: litellm},
		{Name: "swe-agent", Commands: []string{"sweagent"}, Packages: []string{"sweagent"}, urls: litellm},
	}
}
