package secrets_test

import (
	"strings"
	"testing"

	"github.com/capstan-bench/capstan/schema/secrets"
)

func newPolicy(l *secrets.Learned) *secrets.Policy {
	if l == nil {
		l = secrets.NewLearned(key)
	}
	return secrets.NewPolicy(key, l)
}

func TestPolicyField(t *testing.T) {
	p := newPolicy(nil)
	for _, f := range [][2]string{
		{"Content-Type", "application/json"}, {"User-Agent", "claude-cli/2.1.330 (external, sdk-cli)"},
		{"X-Stainless-Retry-Count", "0"}, {"anthropic-version", "2023-06-01"}, {"Anthropic-Beta", "oauth-2025-04-20,context-1m"},
		{"X-Claude-Code-Session-Id", "bd4c61a8-6d54-4762-b4c9-36659b7c62d3"}, {"x-claude-code-prev-tool-durations", "Bash=742;Read=9"},
		{"Session-Id", "01a20a71-8600-7000-8000-000000000001"}, {"Thread-Id", "x"}, {"X-Codex-Window-Id", "x:1"}, {"retry-after", "2"},
		{"anthropic-ratelimit-tokens-remaining", "79000"}, {"x-ratelimit-remaining-tokens", "1"}, {"openai-processing-ms", "312"},
		{"request-id", "req_011CSHoEeqs5C35K2UUqR7Fy"}, {"x-request-id", "4fe2c1a8"}, {"x-session-affinity", "ses_df58cdb5fffe"},
		{"X-Initiator", "agent"}, {"sec-websocket-extensions", "permessage-deflate"}, {"accept-encoding", "gzip, br"},
	} {
		if got := p.Field(f[0], f[1]); !got.Kept || got.Value != f[1] || got.Name != f[0] || got.Hash != "" || got.Len != len(f[1]) {
			t.Errorf("Field(%q, %q) = %+v, want it kept", f[0], f[1], got)
		}
	}
	value := token(1, alnums, 40)
	for _, name := range []string{
		"Authorization", "X-Api-Key", "api-key", "x-goog-api-key", "x-amz-security-token", "Proxy-Authorization", "Cookie", "Set-Cookie",
		"chatgpt-account-id", "openai-organization", "anthropic-organization-id", "x-codex-turn-state", "X-My-Gateway", "www-authenticate",
		"sec-websocket-protocol", "sec-websocket-key", "x-github-token", "x-gemini-api-privileged-user-id",
	} {
		got := p.Field(name, value)
		if got.Kept || got.Value != "" || len(got.Hash) != 16 || got.Len != 40 || strings.Contains(got.Hash, value[:4]) {
			t.Errorf("Field(%q) = %+v, want it hashed", name, got)
		}
		if again := p.Field(name, value); again != got {
			t.Errorf("Field(%q) = %+v and %+v", name, got, again)
		}
		if other := secrets.NewPolicy([]byte("other"), secrets.NewLearned(key)).Field(name, value); other.Hash == got.Hash {
			t.Errorf("Field(%q): the same hash under another key", name)
		}
	}
}

// A kept header may hold a credential in the middle.
func TestPolicyScansKeptValues(t *testing.T) {
	l := secrets.NewLearned(key)
	known, unknown := "letmein-"+token(1, alnums, 10), token(2, alnums, 36)
	l.Add("test", known, false)
	p := newPolicy(l)
	value := `{"request_kind":"turn","workspaces":{"/src":{"remote":"https://me:` + known + `@git.internal/x.git","other":"https://gh` + `p_` + unknown + `@github.com/x"}}}`
	got := p.Field("x-codex-turn-metadata", value)
	if !got.Kept || len(got.Value) != len(value) || strings.Contains(got.Value, known) || strings.Contains(got.Value, unknown) || !strings.Contains(got.Value, `{"request_kind":"turn","workspaces":{"/src":{"remote":"https://me:`) {
		t.Errorf("Field() = %+v", got)
	}
}

func TestPolicyTarget(t *testing.T) {
	p := newPolicy(nil)
	for _, same := range []string{
		"/v1/messages?beta=true", "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse", "/s/sess42/anthropic/v1/messages",
		"/openai/deployments/x/chat/completions?api-version=2024-10-21", "https://api.openai.com/v1/responses", "*", "", "/v1/x?flag=&stream=true",
	} {
		if got := p.Target(same); got != same {
			t.Errorf("Target(%q) = %q", same, got)
		}
	}
	secret := token(3, alnums, 39)
	for _, c := range []struct{ in, keep string }{
		{"/v1beta/models/m:generateContent?key=" + secret + "&alt=sse", "&alt=sse"},
		{"https://user:" + secret + "@host:8080/v1?x=y", "https://host:8080/v1?x="},
		{"http://" + secret + "@host", "http://host"},
		{"/bot123456789:" + secret + "/sendMessage", "/sendMessage"},
		{"/services/T01ABCDEF/B01ABCDEF/" + secret, "/services/T01ABCDEF/B01ABCDEF/"},
		{"/api/webhooks/1234567890/" + secret, "/api/webhooks/1234567890/"},
		{"/v1/x?" + secret, "/v1/x?"},
		{"/v1/x?beta=gh" + "p_" + token(4, alnums, 36), "/v1/x?beta=[REDACTED"},
		{"/v1/keys/sk-" + "ant-api03-" + secret + "/x", "/v1/keys/"},
	} {
		got := p.Target(c.in)
		if strings.Contains(got, secret) || !strings.Contains(got, c.keep) {
			t.Errorf("Target(%q) = %q, want %q in it", c.in, got, c.keep)
		}
	}
}

// learnsFrom reports which of the texts a learner picked up.
func learnsFrom(t *testing.T, teach func(*secrets.Learned), want, not []string) {
	t.Helper()
	l := secrets.NewLearned(key)
	teach(l)
	for _, s := range want {
		if got := l.Redact([]byte("x " + s + " y")); strings.Contains(string(got), s) {
			t.Errorf("%q was not learned", s)
		}
	}
	for _, s := range not {
		if got := l.Redact([]byte("x " + s + " y")); string(got) != "x "+s+" y" {
			t.Errorf("%q was learned: %s", s, got)
		}
	}
}

func TestLearnedHeader(t *testing.T) {
	a, b, c := token(1, alnums, 40), token(2, alnums, 40), token(3, alnums, 40)
	for name, x := range map[string]struct {
		value     string
		want, not []string
	}{
		"Authorization":          {"Bearer " + a, []string{a}, []string{"Bearer"}},
		"AUTHORIZATION":          {a, []string{a}, nil},
		"authorization":          {"Basic " + b64("someuser1234:"+b), []string{b, b64("someuser1234:" + b)}, []string{"someuser1234"}},
		"Proxy-Authorization":    {"Basic " + b64("session-Name42-of-mine:"+b), []string{b}, []string{"session-Name42-of-mine"}},
		"proxy-authorization":    {"Basic " + b64("session-Name42-of-mine:x"), nil, []string{"session-Name42-of-mine", b64("session-Name42-of-mine:x")}},
		"x-api-key":              {a, []string{a}, nil},
		"X-Goog-Api-Key":         {a, []string{a}, nil},
		"x-amz-security-token":   {a, []string{a}, nil},
		"X-My-Gateway-Token":     {"Token " + a, []string{a}, nil},
		"Cookie":                 {"theme=dark; session=" + a + "; id=\"" + b + "\"", []string{a, b}, nil},
		"Sec-WebSocket-Protocol": {"realtime, openai-insecure-api-key." + a + ", base64url.bearer.authorization.k8s.io." + b64(b + c)[:80], []string{a}, []string{"realtime"}},
		"x-request-id":           {a, nil, []string{a}},
		"Authorization ":         {"x", nil, nil},
	} {
		learnsFrom(t, func(l *secrets.Learned) { l.Header(name, x.value) }, x.want, x.not)
	}
	learnsFrom(t, func(l *secrets.Learned) {
		l.Header("Authorization", "AWS4-HMAC-SHA256 Credential=x/20261125, Signature="+a)
	}, nil, []string{a})
}

func TestLearnedTarget(t *testing.T) {
	a, b := token(1, alnums, 40), token(2, alnums, 20)
	learnsFrom(t, func(l *secrets.Learned) { l.Target("/v1/m:generateContent?key=" + a + "&alt=sse") }, []string{a}, nil)
	learnsFrom(t, func(l *secrets.Learned) { l.Target("https://me:" + b + "@host/x?access_token=" + a) }, []string{a, b}, nil)
	learnsFrom(t, func(l *secrets.Learned) { l.Target("https://" + b + "@host/?q=" + a) }, []string{b}, []string{a})
	learnsFrom(t, func(l *secrets.Learned) { l.Target("/b?X-Amz-Signature=" + a + "&X-Amz-Security-Token=" + b) }, []string{b}, []string{a})
	learnsFrom(t, func(l *secrets.Learned) { l.Target("%zz://\x00") }, nil, nil)
}

func TestLearnedEnvironment(t *testing.T) {
	a, b, c, d := token(1, alnums, 40), token(2, alnums, 20), token(3, alnums, 36), token(4, alnums, 30)
	learnsFrom(t, func(l *secrets.Learned) {
		l.Environment([]string{
			"ANTHROPIC_API_KEY=" + a, "DATABASE_URL=postgres://app:" + b + "@db/x", "WHATEVER=gh" + "p_" + c,
			"ANTHROPIC_CUSTOM_HEADERS=X-Gateway-Token: " + d, "EMPTY", "=", "X=",
		})
	}, []string{a, b, "gh" + "p_" + c, d}, nil)
	ordinary := token(5, alnums, 40)
	learnsFrom(t, func(l *secrets.Learned) {
		l.Environment([]string{
			"SSH_AUTH_SOCK=/tmp/" + ordinary, "PWD=/home/" + ordinary, "SSL_KEY_FILE=" + ordinary, "EDITOR=" + ordinary,
			"MAX_TOKENS=1234567890123", "GIT_COMMIT=" + ordinary, "API_KEY_NAME=" + ordinary, "TOKENIZERS_PARALLELISM=true",
		})
	}, nil, []string{ordinary, "1234567890123", "true"})
}

// Learning and redacting at once must be safe: run it with -race.
func TestLearnedConcurrently(t *testing.T) {
	l := secrets.NewLearned(key)
	done := make(chan bool)
	for w := range 4 {
		go func() {
			defer func() { done <- true }()
			for i := range 20 {
				s := token(uint64(w*1000+i), alnums, 30)
				l.Header("x-api-key", s)
				if got := l.Redact([]byte("k " + s)); strings.Contains(string(got), s) {
					t.Errorf("%q was learned and is not replaced", s)
				}
			}
		}()
	}
	for range 4 {
		<-done
	}
}
