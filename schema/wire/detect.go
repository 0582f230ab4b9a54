package wire

import (
	"net/url"
	"strings"
)

// Op is what a request asks an endpoint to do.
type Op string

// Operations.
const (
	OpCall        Op = "call"         // answer a context
	OpSocket      Op = "socket"       // open a WebSocket, each of whose requests is a message
	OpCountTokens Op = "count_tokens" // count a context, without an answer
	OpCompact     Op = "compact"      // summarise a context
	OpModels      Op = "models"       // list models, or describe one
	OpEmbeddings  Op = "embeddings"
	OpOther       Op = "other"
)

// Route is what a request is, as far as its head and the shape of its body tell.
type Route struct {
	Format string // "" where Op does not depend on the dialect, or none is known
	Op     Op
	Model  string // where the path names it
	Stream bool   // the path asks for a stream; in most dialects the body says it
}

// DetectFormat tells what a request is. path may have a query and any base in
// front of the dialect's own path. Where the path tells nothing, the shape of the
// body does, if its content type says JSON or nothing: so a message of a WebSocket,
// which has neither method nor path, is told too. A nil body has no shape.
func DetectFormat(method, path, contentType string, body []byte) Route {
	path, query, _ := strings.Cut(path, "?")
	path = strings.TrimRight(path, "/")
	r, known := routeOf(strings.ToUpper(method), path)
	if !known && (method == "" || strings.EqualFold(method, "POST")) && saysJSON(contentType) {
		r = shapeOf(body)
	}
	if r.Format == FormatGemini && r.Op == OpCall && strings.Contains(query, "alt=sse") {
		r.Stream = true
	}
	return r
}

// routeOf goes by the last elements of a path. A path that another method makes
// something else of is known to be other.
func routeOf(method, path string) (r Route, known bool) {
	if model, verb, ok := googleVerb(path); ok {
		r = verbRoute(verb)
		r.Model = model
		return r, true
	}
	post := func(format string, op Op) (Route, bool) {
		if method != "POST" {
			return Route{Op: OpOther}, true
		}
		return Route{Format: format, Op: op}, true
	}
	last, before := lastTwo(path)
	switch both := before + "/" + last; {
	case both == "chat/completions":
		return post(FormatChat, OpCall)
	case both == "messages/count_tokens":
		return post(FormatMessages, OpCountTokens)
	case last == "messages":
		return post(FormatMessages, OpCall)
	case both == "responses/compact":
		return post(FormatResponses, OpCompact)
	case both == "responses/input_tokens":
		return post(FormatResponses, OpCountTokens)
	case last == "responses" && method == "GET":
		return Route{Format: FormatResponses, Op: OpSocket}, true
	case last == "responses":
		return post(FormatResponses, OpCall)
	case last == "embeddings":
		return post("", OpEmbeddings)
	case (last == "models" || before == "models") && method == "GET":
		return Route{Op: OpModels}, true
	case before == "messages" || before == "responses": // batches, input_items, a stored answer
		return Route{Op: OpOther}, true
	case both == "api/chat" || both == "api/generate": // ollama's own dialect
		return Route{Op: OpOther}, true
	case last == "invoke" || last == "invoke-with-response-stream":
		return bedrockRoute(before, last), true
	}
	return Route{Op: OpOther}, false
}

// googleVerb takes apart a path in Google's manner, …/models/MODEL:verb.
func googleVerb(path string) (model, verb string, ok bool) {
	last, before := lastTwo(path)
	last, verb, ok = strings.Cut(last, ":")
	if !ok {
		// Model names of Bedrock and of some gateways hold a colon, not the verb.
		return "", "", false
	}
	if before == "models" || before == "tunedModels" {
		model = last
	}
	return model, verb, verbRoute(verb).Op != ""
}

func verbRoute(verb string) Route {
	switch verb {
	case "generateContent":
		return Route{Format: FormatGemini, Op: OpCall}
	case "streamGenerateContent":
		return Route{Format: FormatGemini, Op: OpCall, Stream: true}
	case "countTokens":
		return Route{Format: FormatGemini, Op: OpCountTokens}
	case "rawPredict": // Anthropic's models on Vertex
		return Route{Format: FormatMessages, Op: OpCall}
	case "streamRawPredict":
		return Route{Format: FormatMessages, Op: OpCall, Stream: true}
	case "embedContent", "batchEmbedContents", "asyncBatchEmbedContent":
		return Route{Op: OpEmbeddings}
	case "loadCodeAssist", "onboardUser", "fetchAdminControls", "listExperiments", "recordCodeAssistMetrics", "retrieveUserQuota", "predict":
		return Route{Op: OpOther}
	}
	return Route{}
}

// bedrockRoute is a call of an Anthropic model on Bedrock; others speak dialects of
// their own.
func bedrockRoute(model, last string) Route {
	if name, err := url.PathUnescape(model); err == nil {
		model = name
	}
	if !strings.Contains(model, "anthropic.") && !strings.Contains(model, "claude") {
		return Route{Op: OpOther}
	}
	return Route{Format: FormatMessages, Op: OpCall, Model: model, Stream: last != "invoke"}
}

func lastTwo(path string) (last, before string) {
	i := strings.LastIndexByte(path, '/')
	last, path = path[i+1:], path[:max(i, 0)]
	return last, path[strings.LastIndexByte(path, '/')+1:]
}

func saysJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	return media == "" || media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json")
}

// shapeOf tells a call by the members of its body.
func shapeOf(body []byte) Route {
	other := Route{Op: OpOther}
	if len(body) == 0 {
		return other
	}
	has := map[string]byte{} // first byte of each member's value
	kind := ""
	for m, err := range Members(body) {
		if err != nil {
			return other
		}
		if m.Key == "type" {
			kind = word(m.Value)
		}
		has[m.Key] = m.Value[0]
	}
	_, limited := has["max_tokens"]
	_, system := has["system"]
	_, version := has["anthropic_version"]
	_, cached := has["cache_control"]
	switch {
	case kind == "response.create" || kind == "response.append":
		return Route{Format: FormatResponses, Op: OpCall}
	case has["contents"] == '[' || has["request"] == '{' && has["project"] == '"':
		return Route{Format: FormatGemini, Op: OpCall}
	case has["messages"] == '[' && (version || limited && (system || cached)):
		return Route{Format: FormatMessages, Op: OpCall}
	case has["messages"] == '[' && has["model"] == '"':
		return Route{Format: FormatChat, Op: OpCall}
	case has["input"] != 0 && has["model"] == '"' && anyOf(has, "instructions", "tools", "reasoning", "store", "stream", "max_output_tokens"):
		return Route{Format: FormatResponses, Op: OpCall}
	}
	return other
}

func anyOf(has map[string]byte, names ...string) bool {
	for _, name := range names {
		if has[name] != 0 {
			return true
		}
	}
	return false
}
