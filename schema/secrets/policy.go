package secrets

import (
	"bytes"
	"slices"
	"strings"
)

// Policy says which parts of a head may be kept. It is safe for any number of
// goroutines.
type Policy struct {
	seal    seal
	learned *Learned
	scanner *Scanner
}

// NewPolicy returns a policy that hashes with key, which is kept for each
// installation so that equal values can be told to be equal in its journals and
// nowhere else.
func NewPolicy(key []byte, l *Learned) *Policy {
	return &Policy{seal{key}, l, NewScanner(key)}
}

// Field is a header field as it may be kept.
type Field struct {
	Name  string // as it was
	Value string // empty if it is not kept
	Kept  bool
	Len   int    // of the value
	Hash  string // keyed, 16 hexadecimal digits; only of a value that is not kept
}

// Field decides about a header field. Values are kept for the names that are
// known to hold no credentials, and even in those, what is learned or looks like
// one is replaced.
func (p *Policy) Field(name, value string) Field {
	f := Field{Name: name, Len: len(value)}
	if !keeps(strings.ToLower(name)) {
		f.Hash = p.seal.hash16(value)
		return f
	}
	f.Kept, f.Value = true, p.Text(value)
	return f
}

// Text replaces what is learned or looks like a credential in a short text.
func (p *Policy) Text(s string) string {
	b := p.learned.Redact([]byte(s))
	p.scanner.Replace(b)
	return string(b)
}

// Redact returns a copy of a whole text with the learned secrets replaced.
func (l *Learned) Redact(text []byte) []byte {
	out := bytes.Clone(text)
	r := Redactor{learned: l}
	r.pass(out, true, true) // changes it in place, and has no reads to hand out
	return out
}

// keptNames are kept whatever their value. Names end in * for all that start so.
var keptNames = []string{
	// HTTP
	"accept", "accept-*", "age", "allow", "alt-svc", "cache-control", "connection", "content-encoding", "content-language",
	"content-length", "content-range", "content-type", "date", "etag", "expect", "host", "keep-alive", "last-modified",
	"retry-after", "retry-after-ms", "server", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "vary", "via",
	"sec-websocket-version", "sec-websocket-extensions", "sec-fetch-*", "priority", "server-timing", "origin-agent-cluster",
	"traceparent", "x-accel-buffering", "x-content-type-options", "x-envoy-upstream-service-time", "x-powered-by",
	"x-should-retry", "cf-ray", "cf-cache-status", "x-cache", "x-served-by",
	// which request, which answer
	"request-id", "x-request-id", "x-client-request-id", "x-correlation-id", "x-trace-id", "x-amzn-requestid", "x-goog-request-id",
	"apim-request-id", "x-ms-request-id", "x-github-request-id",
	// limits and timings of providers
	"anthropic-ratelimit-*", "x-ratelimit-*", "ratelimit-*", "ratelimit", "openai-processing-ms", "openai-version", "openai-model",
	"x-litellm-call-id", "x-litellm-model-id", "x-litellm-version", "x-litellm-overhead-duration-ms",
	"x-litellm-response-duration-ms", "x-litellm-session-id", "x-amzn-bedrock-*", "x-groq-region", "nvcf-status",
	"x-codex-primary-*", "x-codex-secondary-*", "x-codex-credits-*", "x-codex-plan-type", "x-models-etag", "x-reasoning-included",
	// dialects and libraries
	"anthropic-version", "anthropic-beta", "anthropic-dangerous-direct-browser-access", "openai-beta", "openai-intent",
	"x-stainless-*", "x-goog-api-client", "x-app", "api-version", "x-openai-internal-codex-responses-lite", "originator", "version",
	"http-referer", "x-title", "x-dashscope-useragent", "x-dashscope-cachecontrol", "editor-version", "editor-plugin-version",
	"copilot-integration-id", "x-github-api-version",
	// sessions, agents, turns
	"x-claude-code-*", "x-claude-1p-request-class", "session-id", "session_id", "thread-id", "conversation_id", "conversation-id",
	"x-codex-turn-metadata", "x-codex-window-id", "x-codex-parent-thread-id", "x-codex-beta-features", "x-openai-subagent",
	"x-session-id", "x-session-affinity", "x-parent-session-id", "x-affinity", "x-opencode-session", "x-opencode-request",
	"x-opencode-client", "x-opencode-project", "agent-session-id", "goose-session-id", "x-client-session-id", "x-interaction-id",
	"x-interaction-type", "x-initiator", "x-agent-task-id", "x-kilocode-taskid", "x-kilocode-version", "x-mux-workspace-id",
	"x-qwen-code-session-id", "helicone-session-id", "helicone-session-path", "x-dynamo-session-id", "x-capstan-*",
}

func keeps(name string) bool {
	return slices.ContainsFunc(keptNames, func(k string) bool {
		if start, many := strings.CutSuffix(k, "*"); many {
			return strings.HasPrefix(name, start)
		}
		return name == k
	})
}

// keptQueries are the parameters of a URL whose values are kept.
var keptQueries = []string{"alt", "beta", "stream", "api-version"}

// Target decides about the target of a request, or a URL: user information is
// removed, values of the query are replaced but for a few, and segments of the
// path that are credentials by their place are replaced.
func (p *Policy) Target(target string) string {
	path, query, has := strings.Cut(target, "?")
	frag := ""
	if i := strings.IndexByte(path, '#'); i >= 0 && !has {
		path, frag = path[:i], "#"
	}
	path = p.Text(bareSegments(p, withoutUser(path)))
	if !has {
		return path + frag
	}
	query, _, _ = strings.Cut(query, "#")
	params := strings.Split(query, "&")
	for i, param := range params {
		name, value, assigned := strings.Cut(param, "=")
		switch {
		case !assigned && !slices.Contains(keptQueries, name):
			params[i] = p.placeholder("query", name) // all of it may be a token
		case slices.Contains(keptQueries, strings.ToLower(name)):
			params[i] = p.Text(param)
		case value != "":
			params[i] = p.Text(name) + "=" + p.placeholder("query", value)
		}
	}
	return path + "?" + strings.Join(params, "&")
}

func (p *Policy) placeholder(rule, text string) string {
	b := make([]byte, len(text))
	fill(b, rule, p.seal.hash8(text))
	return string(b)
}

// withoutUser cuts the user information from an absolute URL.
func withoutUser(url string) string {
	scheme := strings.Index(url, "://")
	if scheme < 0 {
		return url
	}
	rest := url[scheme+3:]
	end := len(rest)
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		end = i
	}
	if at := strings.LastIndexByte(rest[:end], '@'); at >= 0 {
		return url[:scheme+3] + rest[at+1:]
	}
	return url
}

// bareSegments replaces the segments that are credentials by their place: those
// of webhooks, and of bots' addresses.
func bareSegments(p *Policy, path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		before := func(n int) string {
			if i < n {
				return ""
			}
			return parts[i-n]
		}
		switch {
		case strings.HasPrefix(part, "bot") && strings.Contains(part, ":"):
			parts[i] = "bot" + p.placeholder("path", part[3:])
		case before(1) == "hooks", before(1) == "token", before(1) == "tokens", before(2) == "webhooks",
			before(3) == "services" && len(part) >= 20, before(3) == "workflows" && len(part) >= 16:
			parts[i] = p.placeholder("path", part)
		}
	}
	return strings.Join(parts, "/")
}
