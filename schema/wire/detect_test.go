package wire_test

import (
	"testing"

	"github.com/capstan-bench/capstan/schema/wire"
)

func TestDetectFormat(t *testing.T) {
	f := func(method, path, contentType, body string, want wire.Route) {
		t.Helper()
		var b []byte
		if body != "" {
			b = []byte(body)
		}
		if got := wire.DetectFormat(method, path, contentType, b); got != want {
			t.Errorf("DetectFormat(%s %s, %q, %s) = %+v, want %+v", method, path, contentType, body, got, want)
		}
	}
	const (
		chat, responses, messages, gemini = wire.FormatChat, wire.FormatResponses, wire.FormatMessages, wire.FormatGemini
		json                              = "application/json; charset=utf-8"
	)
	call := func(format string) wire.Route { return wire.Route{Format: format, Op: wire.OpCall} }
	other := wire.Route{Op: wire.OpOther}

	// The bodies do not matter where the path tells.
	for _, path := range []string{"/v1/messages", "/v1/messages?beta=true", "/s/run/anthropic/v1/messages/", "/api/anthropic/v1/messages"} {
		f("POST", path, json, `{"broken`, call(messages))
	}
	for _, path := range []string{"/v1/chat/completions", "/openai/deployments/d/chat/completions?api-version=1", "/api/paas/v4/chat/completions", "/compatible-mode/v1/chat/completions"} {
		f("post", path, json, "", call(chat))
	}
	for _, path := range []string{"/v1/responses", "/backend-api/codex/responses", "/responses"} {
		f("POST", path, json, "", call(responses))
		f("GET", path, "", "", wire.Route{Format: responses, Op: wire.OpSocket})
	}
	f("POST", "/v1/messages/count_tokens?beta=true", json, claudeBody, wire.Route{Format: messages, Op: wire.OpCountTokens})
	f("POST", "/v1/responses/compact", json, codexBody, wire.Route{Format: responses, Op: wire.OpCompact})
	f("POST", "/v1/responses/input_tokens", json, codexBody, wire.Route{Format: responses, Op: wire.OpCountTokens})
	f("POST", "/v1beta/models/gemini-x:streamGenerateContent?alt=sse", json, geminiBody, wire.Route{Format: gemini, Op: wire.OpCall, Model: "gemini-x", Stream: true})
	f("POST", "/v1beta/models/gemini-x:generateContent", json, geminiBody, wire.Route{Format: gemini, Op: wire.OpCall, Model: "gemini-x"})
	f("POST", "/v1beta/models/gemini-x:countTokens", json, geminiBody, wire.Route{Format: gemini, Op: wire.OpCountTokens, Model: "gemini-x"})
	f("POST", "/v1internal:streamGenerateContent?alt=sse", json, geminiBody, wire.Route{Format: gemini, Op: wire.OpCall, Stream: true})
	f("POST", "/v1internal:loadCodeAssist", json, `{"contents":[]}`, other)
	f("POST", "/v1/projects/p/locations/l/publishers/anthropic/models/claude-x:streamRawPredict", json, "", wire.Route{Format: messages, Op: wire.OpCall, Model: "claude-x", Stream: true})
	f("POST", "/model/us.anthropic.claude-x-v1%3A0/invoke-with-response-stream", json, "", wire.Route{Format: messages, Op: wire.OpCall, Model: "us.anthropic.claude-x-v1:0", Stream: true})
	f("POST", "/model/us.anthropic.claude-x-v1:0/invoke", json, "", wire.Route{Format: messages, Op: wire.OpCall, Model: "us.anthropic.claude-x-v1:0"})
	f("POST", "/model/meta.llama/invoke", json, "", other)
	f("POST", "/v1/embeddings", json, `{"input":"x","model":"m"}`, wire.Route{Op: wire.OpEmbeddings})
	f("POST", "/v1beta/models/e:embedContent", json, "", wire.Route{Op: wire.OpEmbeddings, Model: "e"})
	for _, path := range []string{"/v1/models", "/v1beta/models?pageSize=50", "/backend-api/codex/models?client_version=1", "/v1/models/gpt-x"} {
		f("GET", path, "", "", wire.Route{Op: wire.OpModels})
	}
	// What looks like a call and is none.
	f("GET", "/v1/messages", "", "", other)
	f("OPTIONS", "/v1/chat/completions", "", "", other)
	f("POST", "/v1/messages/batches", json, claudeBody, other)
	f("GET", "/v1/responses/resp_1", "", "", other)
	f("POST", "/v1/responses/resp_1/cancel", json, "{}", other)
	f("POST", "/api/event_logging/batch", json, `{"events":[]}`, other)
	f("POST", "/api/chat", json, `{"model":"m","messages":[]}`, other)
	f("HEAD", "/api/hello", "", "", other)

	// Shapes, where the path tells nothing.
	f("", "", "", codexBody, call(responses))
	f("", "", "", `{"type":"response.append","input":[]}`, call(responses))
	f("", "", "", `{"type":"response.cancel"}`, other)
	f("POST", "/x", json, claudeBody, call(messages))
	f("POST", "/x", json, `{"anthropic_version":"bedrock-2023-05-31","messages":[]}`, call(messages))
	f("POST", "/x", "", `{"model":"m","messages":[],"max_tokens":5}`, call(chat))
	f("POST", "/x", json, geminiBody, call(gemini))
	f("POST", "/x", "application/vnd.x+json", `{"contents":[]}`, call(gemini))
	f("POST", "/x", json, `{"model":"m","input":[],"stream":true}`, call(responses))
	f("POST", "/x", json, `{"model":"m","input":"embed me"}`, other)
	f("POST", "/x", json, `{"model":"m","messages":[`, other)
	f("POST", "/x", "multipart/form-data; boundary=x", claudeBody, other)
	f("PUT", "/x", json, claudeBody, other)
	f("POST", "/x", json, `[]`, other)
	f("POST", "", "", "", other)
}

func FuzzDetectFormat(f *testing.F) {
	f.Add("POST", "/v1/messages?beta=true", "application/json", []byte(claudeBody))
	f.Add("POST", "/v1beta/models/m:generateContent", "", []byte(`{"contents":[]}`))
	f.Fuzz(func(t *testing.T, method, path, contentType string, body []byte) {
		r := wire.DetectFormat(method, path, contentType, body)
		if r.Op == "" || r.Format != "" && !wire.Known(r.Format) {
			t.Fatalf("DetectFormat(%q, %q) = %+v", method, path, r)
		}
	})
}
