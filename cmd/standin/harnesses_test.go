//go:build linux

package main

import (
	"fmt"
	"path/filepath"

	"github.com/capstan-bench/capstan/schema/wire"
)

// harness is a way to run an agent.
type harness struct {
	name    string
	command string
	format  string // that it speaks
	host    string // that it asks; "127.0.0.1" is the base URL
	alone   bool   // has no sub-agents
	env     func(*stage) []string
	args    func(s *stage, prompt string) []string // writes its configuration too
}

const local = "127.0.0.1"

var harnesses = []harness{
	claude("claude/base", local, "ANTHROPIC_BASE_URL"),
	claude("claude/tunnel", "api.anthropic.com", ""),
	codex("codex/base", local, `model_provider = "standin"
[model_providers.standin]
name = "standin"
base_url = "%s/v1"
env_key = "CODEX_API_KEY"
wire_api = "responses"
`),
	codex("codex/socket", local, "openai_base_url = \"%s/v1\"\n"),
	codex("codex/tunnel", "api.openai.com", ""),
	opencode("opencode/chat", local, wire.FormatChat, `"model":"standin/standin","provider":{"standin":{"npm":"@ai-sdk/openai-compatible",
"options":{"baseURL":"%s/v1","apiKey":"x"},"models":{"standin":{"limit":{"context":200000,"output":32000},"tool_call":true}}}}`),
	opencode("opencode/messages", local, wire.FormatMessages, `"model":"anthropic/claude-sonnet-4-5","provider":{"anthropic":{"options":{"baseURL":"%s/v1","apiKey":"x"}}}`),
	opencode("opencode/tunnel", "api.anthropic.com", wire.FormatMessages, `"model":"anthropic/claude-sonnet-4-5","provider":{"anthropic":{"options":{"apiKey":"x"}}}`),
	pi("pi/base", local, wire.FormatChat, "standin", `{"providers":{"standin":{"baseUrl":"%s/v1","apiKey":"x","api":"openai-completions","models":[
{"id":"standin","name":"standin","reasoning":false,"input":["text"],"cost":{"input":0,"output":0,"cacheRead":0,"cacheWrite":0},"contextWindow":200000,"maxTokens":32000}]}}}`),
	pi("pi/tunnel", "api.anthropic.com", wire.FormatMessages, "anthropic", ""),
	gemini("gemini/base", local, "GOOGLE_GEMINI_BASE_URL"),
	gemini("gemini/tunnel", "generativelanguage.googleapis.com", ""),
	qwen("qwen/base", local, ""),
	qwen("qwen/tunnel", "dashscope.aliyuncs.com", "https://dashscope.aliyuncs.com/compatible-mode/v1"),
}

func claude(name, host, baseVariable string) harness {
	return harness{
		name: name, command: "claude", format: wire.FormatMessages, host: host,
		env: func(s *stage) []string {
			env := []string{"ANTHROPIC_API_KEY=sk-ant-x", "DISABLE_TELEMETRY=1", "DISABLE_ERROR_REPORTING=1", "DISABLE_AUTOUPDATER=1", "IS_SANDBOX=1"}
			if baseVariable != "" {
				env = append(env, baseVariable+"="+s.base)
			}
			return env
		},
		args: func(_ *stage, prompt string) []string {
			return []string{"-p", prompt, "--output-format", "stream-json", "--verbose", "--allowedTools", "Bash", "Read", "Write", "Edit", "Agent"}
		},
	}
}

func codex(name, host, config string) harness {
	return harness{
		name: name, command: "codex", format: wire.FormatResponses, host: host,
		env: func(*stage) []string { return []string{"CODEX_API_KEY=x"} },
		args: func(s *stage, prompt string) []string {
			own := config
			if host == local {
				own = fmt.Sprintf(config, s.base)
			}
			s.write(filepath.Join(s.home, ".codex", "config.toml"), "model = \"gpt-5.4\"\n"+own+"[analytics]\nenabled = false\n")
			return []string{"exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", prompt}
		},
	}
}

func opencode(name, host, format, config string) harness {
	return harness{
		name: name, command: "opencode", format: format, host: host,
		env: func(*stage) []string {
			return []string{"OPENCODE_DISABLE_AUTOUPDATE=1", "OPENCODE_DISABLE_MODELS_FETCH=1", "OPENCODE_DISABLE_LSP_DOWNLOAD=1"}
		},
		args: func(s *stage, prompt string) []string {
			own := config
			if host == local {
				own = fmt.Sprintf(config, s.base)
			}
			s.write(filepath.Join(s.home, ".config", "opencode", "opencode.json"), `{"autoupdate":false,"share":"disabled","permission":"allow",`+own+`}`)
			return []string{"run", "--format", "json", prompt}
		},
	}
}

func pi(name, host, format, provider, config string) harness {
	return harness{
		name: name, command: "pi", format: format, host: host, alone: true,
		env: func(*stage) []string { return []string{"PI_OFFLINE=1", "PI_TELEMETRY=0", "ANTHROPIC_API_KEY=sk-ant-x"} },
		args: func(s *stage, prompt string) []string {
			model := "claude-sonnet-4-5"
			if config != "" {
				model = "standin"
				s.write(filepath.Join(s.home, ".pi", "agent", "models.json"), fmt.Sprintf(config, s.base))
			}
			return []string{"--provider", provider, "--model", model, "--mode", "json", "-p", prompt}
		},
	}
}

func gemini(name, host, baseVariable string) harness {
	return harness{
		name: name, command: "gemini", format: wire.FormatGemini, host: host,
		env: func(s *stage) []string {
			env := []string{"GEMINI_API_KEY=x"}
			if baseVariable != "" {
				env = append(env, baseVariable+"="+s.base)
			}
			return env
		},
		args: func(s *stage, prompt string) []string {
			s.write(filepath.Join(s.home, ".gemini", "settings.json"),
				`{"security":{"auth":{"selectedType":"gemini-api-key"}},"privacy":{"usageStatisticsEnabled":false}}`)
			return []string{"--skip-trust", "-y", "-m", "gemini-2.5-pro", "-o", "json", "-p", prompt}
		},
	}
}

func qwen(name, host, url string) harness {
	return harness{
		name: name, command: "qwen", format: wire.FormatChat, host: host,
		env: func(s *stage) []string {
			base := url
			if base == "" {
				base = s.base + "/v1"
			}
			return []string{"OPENAI_API_KEY=x", "OPENAI_BASE_URL=" + base, "OPENAI_MODEL=qwen3-coder-plus"}
		},
		args: func(_ *stage, prompt string) []string {
			return []string{"--auth-type", "openai", "-y", "-o", "stream-json", prompt}
		},
	}
}
