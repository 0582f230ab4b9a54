package wire

// AppendError appends an error body in the manner of the format's own endpoint:
// kind is the error's type, code or (Gemini) status there. An unknown format gets
// that of Chat Completions.
func AppendError(dst []byte, format string, status int, kind, message string) []byte {
	switch format {
	case FormatMessages:
		return object(dst, "type", "error", "error", object(nil, "type", kind, "message", message), "request_id", nil)
	case FormatResponses:
		return object(dst, "error", object(nil, "message", message, "type", kind, "param", nil, "code", kind))
	case FormatGemini:
		return object(dst, "error", object(nil, "code", status, "message", message, "status", kind))
	}
	return AppendChatError(dst, status, kind, message)
}

// ErrorEvent is an error inside a stream that began well. id names the answer,
// where the dialect repeats it.
func ErrorEvent(format, id string, status int, kind, message string) Event {
	switch format {
	case FormatMessages:
		return Event{Name: "error", Data: AppendError(nil, format, status, kind, message)}
	case FormatResponses:
		failed := object(nil, "id", id, "object", "response", "status", "failed",
			"error", object(nil, "code", kind, "message", message), "output", []byte("[]"), "usage", nil)
		return Event{Name: "response.failed", Data: object(nil, "type", "response.failed", "response", failed)}
	}
	return Event{Data: AppendError(nil, format, status, kind, message)}
}

// SocketError is the message with which a WebSocket of Responses refuses a request,
// as a status code would over HTTP.
func SocketError(status int, kind, message string) Event {
	return Event{Name: "error", Data: object(nil, "type", "error", "status", status, "status_code", status,
		"error", object(nil, "type", kind, "code", kind, "message", message))}
}
