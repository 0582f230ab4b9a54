package wire_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/capstan-bench/capstan/schema/wire"
)

const (
	openaiOverflow = `{"error":{"message":"This model's maximum context length is 8192 tokens. However, your messages resulted in 9033 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`
	vllmOverflow   = `{"object":"error","message":"This model's maximum context length is 8192 tokens. However, you requested 9033 tokens.","type":"BadRequestError","param":null,"code":400}`
	vllmNew        = `{"error":{"message":"The decoder prompt (length 9033) is longer than the maximum model length of 8192.","type":"BadRequestError","param":null,"code":400}}`
	llamaOverflow  = `{"error":{"code":400,"message":"request (9033 tokens) exceeds the available context size (8192 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":9033,"n_ctx":8192}}`
	ollamaOverflow = `{"error":{"message":"{\"error\":{\"code\":400,\"message\":\"request (9033 tokens) exceeds the available context size (8192 tokens)\",\"type\":\"exceed_context_size_error\"}}","type":"invalid_request_error","param":null,"code":null}}`
	rateLimit      = `{"error":{"message":"Request too large: maximum context length per minute","type":"tokens","code":"rate_limit_exceeded"}}`
)

func TestErrorText(t *testing.T) {
	f := func(body, code, message string) {
		t.Helper()
		c, m := wire.ErrorText([]byte(body))
		if c != code || !strings.HasPrefix(m, message) || (message == "") != (m == "") {
			t.Errorf("ErrorText(%s) = %q, %q, want %q, %q…", body, c, m, code, message)
		}
	}
	f(openaiOverflow, "context_length_exceeded", "This model's")
	f(vllmOverflow, "BadRequestError", "This model's")
	f(vllmNew, "BadRequestError", "The decoder prompt")
	f(llamaOverflow, "exceed_context_size_error", "request (9033")
	f(ollamaOverflow, "exceed_context_size_error", "request (9033")
	f(`{"error":"model 'x' not found"}`, "", "model 'x' not found")
	f(`{"error":{"code":500,"message":"boom"}}`, "500", "boom")
	f(`{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, "overloaded_error", "Overloaded")
	f(`[{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT"}}]`, "INVALID_ARGUMENT", "bad")
	f(`{"detail":"Not Found"}`, "", "Not Found")
	f(`{"detail":[{"loc":["body"],"msg":"field required","type":"missing"}]}`, "", "field required")
	f(`{"message":"Forbidden"}`, "", "Forbidden")
	f(`{"error":{"type":"x"}}`, "x", `{"error"`)
	f(" <html>502</html>\n", "", "<html>502</html>")
	f(``, "", "")
	if _, m := wire.ErrorText([]byte(strings.Repeat("é", 400) + "x")); len(m) > 500 || !utf8.ValidString(m) {
		t.Errorf("long message kept as %d bytes, valid UTF-8 %v", len(m), utf8.ValidString(m))
	}
}

func TestIsContextOverflow(t *testing.T) {
	f := func(status int, body string, want bool) {
		t.Helper()
		if got := wire.IsContextOverflow(status, []byte(body)); got != want {
			t.Errorf("IsContextOverflow(%d, %s) = %v, want %v", status, body, got, want)
		}
	}
	for _, body := range []string{openaiOverflow, vllmOverflow, vllmNew, llamaOverflow, ollamaOverflow} {
		f(400, body, true)
		f(200, body, true)
		f(429, body, false)
	}
	f(429, rateLimit, false)
	f(400, `{"error":{"message":"The input (9033 tokens) is longer than the model's context length (8192 tokens)."}}`, true)
	f(422, "{\"error\":\"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096\"}", true)
	f(400, `{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 209000 tokens > 200000 maximum"}}`, true)
	f(500, `{"error":{"message":"context length exceeded"}}`, true)
	f(200, `exceed_context_size_error: request (9033 tokens) exceeds the available context size`, true)
	f(400, `{"error":{"message":"max_tokens must be at least 1","code":400}}`, false)
	f(500, `{"error":{"message":"slot unavailable"}}`, false)
	f(500, `the kv cache does not have sufficient capacity to store this request`, false)
	f(200, `{"choices":[{"message":{"content":"the maximum context length is"}}]}`, false)
	f(400, ``, false)
}
