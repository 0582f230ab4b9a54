package assemble

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/capstan-bench/capstan/proxy/journal"
	"github.com/capstan-bench/capstan/schema/wire"
)

// identity is what a request says about where it belongs. All of it is a claim:
// ids are believed within one session tag only.
type identity struct {
	session string // run of the agent tool
	parent  string // session of the agent that this one was spawned by, where agents have sessions of their own
	lane    string // agent within the session; "" where the request does not say
	above   string // lane of the agent that spawned it
	sub     bool   // it says that it is a sub-agent
	agent   string // kind of sub-agent
	tool    string // tool call that spawned it
	role    role   // what it says that it is for
	retry   bool   // it says that it is a retry
	ran     string // durations of the tools before it, as the harness wrote them
}

// mainLane is the agent that a harness does not name.
const mainLane = "main"

// sessionHeaders name a session, the surest first.
var sessionHeaders = []string{
	"x-capstan-session-id", "x-claude-code-session-id", "session-id", "session_id", "conversation-id", "conversation_id",
	"x-opencode-session", "x-session-id", "x-session-affinity", "agent-session-id", "goose-session-id", "x-client-session-id",
	"x-kilocode-taskid", "x-agent-task-id", "x-mux-workspace-id", "x-qwen-code-session-id", "x-litellm-session-id",
	"x-dynamo-session-id", "helicone-session-id", "x-affinity",
}

// fields are a head's fields by lower-case name; of several, the first.
type fields map[string]string

func fieldsOf(x *journal.Exchange) fields {
	f := fields{}
	if h := mainHead(&x.Request); h != nil {
		f.add(h.Fields)
	}
	return f
}

func (f fields) add(list []journal.Field) {
	for _, h := range list {
		name := strings.ToLower(h.Name)
		if _, ok := f[name]; !ok && !strings.HasPrefix(h.Value, "[not kept:") {
			f[name] = h.Value
		}
	}
}

// mainHead is the request line, or the final response's status line.
func mainHead(s *journal.Side) *journal.HeadAt {
	for i := range s.Heads {
		if s.Heads[i].Kind == journal.Main {
			return &s.Heads[i]
		}
	}
	return nil
}

// headIdentity reads what a request's fields say.
func headIdentity(f fields) (who identity) {
	for _, name := range sessionHeaders {
		if who.session = clean(f[name]); who.session != "" {
			break
		}
	}
	who.retry = f["x-stainless-retry-count"] != "" && f["x-stainless-retry-count"] != "0"
	switch {
	case f["x-claude-code-session-id"] != "":
		who.claude(f)
	case f["thread-id"] != "" || f["x-codex-turn-metadata"] != "" || f["x-codex-parent-thread-id"] != "" || f["x-openai-subagent"] != "":
		who.codex(f)
	case f["x-parent-session-id"] != "" || f["x-session-id"] != "" && f["x-session-affinity"] != "":
		who.parent = clean(f["x-parent-session-id"])
		who.lane, who.above, who.sub = who.session, who.parent, who.parent != ""
	case f["x-interaction-type"] == "conversation-subagent":
		who.sub = true
	}
	return who
}

func (who *identity) claude(f fields) {
	who.lane, who.above = clean(f["x-claude-code-agent-id"]), clean(f["x-claude-code-parent-agent-id"])
	who.sub = who.lane != ""
	if who.agent = clean(f["x-claude-code-agent-type"]); !who.sub {
		who.lane, who.agent = mainLane, ""
	} else if who.above == "" {
		who.above = mainLane
	}
	who.ran = short(plain(f["x-claude-code-prev-tool-durations"]), 4096)
	switch class := f["x-claude-code-request-class"]; {
	case class == "compaction" || f["x-claude-code-compaction"] != "" || f["x-claude-1p-request-class"] == "summary-extraction":
		who.role = roleSummary
	case class == "auxiliary":
		who.role = roleSide
	case class == "main" || class == "subagent":
		who.role = roleTurn
	}
}

// codex reads what Codex says in fields, and over WebSocket in the members of the
// same names.
func (who *identity) codex(f fields) {
	var turn struct {
		Session string `json:"session_id"`
		Thread  string `json:"thread_id"`
		Kind    string `json:"request_kind"`
		Source  string `json:"thread_source"`
		Agent   string `json:"subagent_kind"`
	}
	_ = json.Unmarshal([]byte(f["x-codex-turn-metadata"]), &turn) // a claim that cannot be read says nothing
	set := func(dst *string, values ...string) {
		for _, v := range values {
			if v = clean(v); v != "" {
				*dst = v
				return
			}
		}
	}
	set(&who.session, f["session-id"], f["session_id"], turn.Session)
	set(&who.lane, f["thread-id"], f["thread_id"], turn.Thread)
	set(&who.above, f["x-codex-parent-thread-id"])
	kind := f["x-openai-subagent"]
	who.sub = who.above != "" || kind != "" && kind != "compact" || turn.Source == "subagent"
	set(&who.agent, turn.Agent, kind)
	switch {
	case turn.Kind == "prewarm":
		who.role = rolePrewarm
	case turn.Kind == "compaction" || kind == "compact":
		who.role, who.agent = roleSummary, ""
	case turn.Kind == "memory" || kind == "memory_consolidation":
		who.role = roleSide
	case turn.Kind == "turn":
		who.role = roleTurn
	}
	if who.sub && who.above == "" && who.session != who.lane {
		who.above = who.session // the root's thread bears the session's id
	}
}

// bodyIdentity adds what the members of a body say.
func (who *identity) bodyIdentity(members []wire.Member, billing string) {
	m := map[string]json.RawMessage{}
	for _, member := range members {
		if _, ok := m[member.Key]; !ok {
			m[member.Key] = member.Value
		}
	}
	var metadata struct {
		UserID    string `json:"user_id"`
		SessionID string `json:"session_id"`
		Session   string `json:"sessionId"`
		Prompt    string `json:"promptId"`
	}
	_ = json.Unmarshal(m["metadata"], &metadata) // as above
	who.client(m["client_metadata"])
	prompt := member(m, "user_prompt_id")
	for _, id := range []string{
		userSession(metadata.UserID), metadata.Session, metadata.SessionID, member(m, "session_id"),
		promptSession(metadata.Prompt), promptSession(prompt), cacheKey(member(m, "prompt_cache_key")),
	} {
		if who.session == "" {
			who.session = clean(id)
		}
	}
	who.prompt(metadata.Prompt)
	who.prompt(prompt)
	if strings.Contains(billing, "cc_is_subagent=true") && !who.sub {
		who.sub = true
		if who.lane == mainLane {
			who.lane = "" // which one, the contexts must tell
		}
	}
}

// client reads Codex's client_metadata, whose members are named like the fields.
func (who *identity) client(raw json.RawMessage) {
	var values map[string]any
	if json.Unmarshal(raw, &values) != nil {
		return
	}
	f := fields{}
	for name, v := range values {
		if s, ok := v.(string); ok {
			f[strings.ToLower(name)] = s
		}
	}
	if f["thread_id"] != "" || f["x-codex-turn-metadata"] != "" {
		who.codex(f)
	} else if who.session == "" {
		who.session = clean(f["session_id"])
	}
}

func member(m map[string]json.RawMessage, name string) (s string) {
	_ = json.Unmarshal(m[name], &s) // of another type: not given
	return s
}

// userSession reads Anthropic's metadata.user_id: JSON, or user_…_session_ID.
func userSession(id string) string {
	var v struct {
		Session string `json:"session_id"`
	}
	if json.Unmarshal([]byte(id), &v) == nil {
		return v.Session
	}
	_, session, _ := strings.Cut(id, "_session_")
	return session
}

// cacheKey is a prompt_cache_key that is likely to be a session's own.
func cacheKey(key string) string {
	key = strings.TrimPrefix(key, "guardian:")
	if len(key) < 16 {
		return ""
	}
	return key
}

// promptSession is the session of a prompt id as Gemini CLI and Qwen Code write
// it: SESSION########N.
func promptSession(id string) string {
	session, rest, _ := strings.Cut(id, "#")
	if !strings.HasPrefix(rest, "#") {
		return ""
	}
	return session
}

// prompt reads the agent of such an id. Qwen Code names a sub-agent as
// KIND-TOOLCALL, SESSION#general-purpose-call_n93W#0; Gemini CLI's sub-agents have
// ids of their own, AGENT#N.
func (who *identity) prompt(id string) {
	session, rest, ok := strings.Cut(id, "#")
	if !ok || session == "" || who.lane != "" {
		return
	}
	if strings.HasPrefix(rest, "#") {
		who.lane = mainLane
		return
	}
	name, _, counted := strings.Cut(rest, "#")
	if !counted {
		name = session
	}
	who.lane, who.above, who.sub = clean(name), mainLane, true
	if i := strings.Index(name, "-call_"); i >= 0 {
		who.agent, who.tool = clean(name[:i]), name[i+1:]
	}
}

// product is the agent that a request's User-Agent names, and its version.
func product(userAgent string) (name, version string) {
	first, _, _ := strings.Cut(strings.TrimSpace(userAgent), " ")
	name, version, _ = strings.Cut(first, "/")
	version, _, _ = strings.Cut(version, "/")
	for _, known := range products {
		if slices.ContainsFunc(known[1:], func(p string) bool { return strings.HasPrefix(strings.ToLower(name), p) }) {
			name = known[0]
			break
		}
	}
	return clean(name), clean(version)
}

// products are harnesses with how their User-Agent begins, in lower case.
var products = [][]string{
	{"claude", "claude-cli", "claude-code"}, {"codex", "codex"}, {"opencode", "opencode"}, {"kilo", "kilo"},
	{"gemini", "geminicli"}, {"qwen", "qwencode"}, {"pi", "pi-coding-agent", "pi_coding_agent"}, {"copilot", "copilot", "githubcopilot"},
	{"cline", "cline"}, {"continue", "continue"}, {"crush", "charm-crush"}, {"goose", "goose"}, {"aider", "aider"},
}
