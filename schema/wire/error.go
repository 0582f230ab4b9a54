package wire

import (
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// tooManyRequests is the HTTP status of a rate limit.
const tooManyRequests = 429

// maxMessage is the most bytes of an error message that are kept.
const maxMessage = 500

// ErrorText reads an error body: of OpenAI, vLLM (both generations), llama-server,
// ollama, Anthropic, Gemini, FastAPI and gateways. A body that is no JSON is the
// message itself, cut to its first 500 bytes. code is the most telling of what is
// there (a named code, a type or status, a number), or "".
func ErrorText(body []byte) (code, message string) {
	text := strings.TrimSpace(strings.ToValidUTF8(string(body), "\ufffd"))
	for range 3 { // ollama wraps the error of its engine as JSON in a string
		if !gjson.Valid(text) {
			break
		}
		c, m := errorMembers(gjson.Parse(text))
		if c != "" {
			code = c
		}
		if m == "" {
			break
		}
		text = strings.TrimSpace(m)
	}
	return code, clip(text)
}

func errorMembers(v gjson.Result) (code, message string) {
	if v.IsArray() { // Gemini
		v = v.Get("0")
	}
	if !v.IsObject() {
		return "", ""
	}
	e := v
	switch inner := v.Get("error"); {
	case inner.IsObject():
		e = inner
	case inner.Type == gjson.String:
		return "", inner.String()
	}
	return errorCode(e), errorMessage(e)
}

// errorCode prefers words to numbers, and the narrower word to the wider one.
func errorCode(e gjson.Result) string {
	for _, name := range []string{"code", "type", "status"} {
		if v := e.Get(name); v.Type == gjson.String && v.String() != "" {
			return v.String()
		}
	}
	if v := e.Get("code"); v.Type == gjson.Number {
		return v.Raw
	}
	return ""
}

func errorMessage(e gjson.Result) string {
	for _, name := range []string{"message", "detail.0.msg", "detail", "msg"} {
		if v := e.Get(name); v.Type == gjson.String {
			return v.String()
		}
	}
	return ""
}

// clip cuts text to maxMessage bytes at a rune's border.
func clip(text string) string {
	if len(text) <= maxMessage {
		return text
	}
	n := maxMessage
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// IsContextOverflow says whether an error means that the prompt, or the prompt and
// its answer, does not fit the model's context. It goes by the codes and phrases of
// OpenAI, vLLM, SGLang, llama-server, TGI, TensorRT-LLM, Anthropic and Gemini. body may
// be the text of an error inside a stream, with status 200. A 429 is a rate limit
// whatever it says.
func IsContextOverflow(status int, body []byte) bool {
	if status == tooManyRequests {
		return false
	}
	if status < 300 && gjson.ValidBytes(body) {
		if v := gjson.ParseBytes(body); !v.Get("error").Exists() && v.Get("object").String() != "error" {
			return false
		}
	}
	code, message := ErrorText(body)
	text := strings.ToLower(code + " " + message)
	for _, phrase := range overflowPhrases() {
		if strings.Contains(text, phrase) {
			return true
		}
	}
	return false
}

func overflowPhrases() []string {
	return []string{
		"context_length_exceeded",         // OpenAI
		"exceed_context_size",             // llama-server
		"available context size",          // llama-server
		"maximum context length",          // OpenAI, vLLM
		"maximum model length",            // vLLM
		"max_model_len",                   // vLLM
		"model's context length",          // SGLang
		"maximum allowed length",          // SGLang
		"context window",                  // OpenAI Responses, gateways
		"context length exceeded",         // ollama, gateways
		"exceeds the context length",      // gateways
		"prompt is too long",              // Anthropic
		"input is too long",               // Bedrock
		"`inputs` tokens +",               // TGI
		"`inputs` must have less than",    // TGI
		"should not exceed max_seq_len",   // TensorRT-LLM
		"should not exceed max_num_tok",   // TensorRT-LLM
		"exceeds the maximum number of t", // Gemini
	}
}
