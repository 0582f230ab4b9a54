// Package wire knows the dialects in which models are talked to, and does no
// I/O: it tells what a request is, takes request bodies apart and puts them
// together again, decodes answers (streams, plain JSON, messages of a WebSocket,
// errors) and encodes what a client or a scripted server sends. A dialect is named
// by its format string, as in the api_format column of the calls table:
// [FormatChat], [FormatMessages], [FormatResponses], [FormatGemini].
//
// # Promises
//
// [Split] and [Join] are exact: joining what was split gives the same bytes,
// whatever the whitespace, the order of keys and the escapes. Split reads strict
// JSON (RFC 8259, except that, like encoding/json, it takes invalid UTF-8 inside
// strings and duplicate keys as they are) and says at which byte a body breaks.
//
// Streams decode alike however the bytes are cut into chunks, in bounded memory,
// and the common event costs no allocation. A [Collector] decodes the same and
// also keeps the answer, for use where time does not matter.
//
// Text of tool calls counts what the dialect streams of them: names too in Chat
// Completions and Gemini, arguments alone elsewhere, where names come before the
// first token.
//
// # Limits
//
// The package does not judge whether an endpoint would accept a request, does
// not fetch anything, has no clock, and does not decode compressed bodies.
package wire
