// Package simhttp serves a simulated engine over HTTP, in real time: Chat
// Completions, streamed and plain, with /v1/models, /health and /metrics beside
// it, worded like vLLM's.
//
// Tokens leave when the engine says so. The header of a stream goes out when the
// request is accepted, before the first token. A client that goes away takes its
// request out of the engine; one that reads slowly gets several tokens in one
// chunk and holds up nobody. The prompt is what the messages and tools are as
// bytes of JSON, leading system messages first, then tools, then the rest, and
// its tokens are counted by the engine's bytes_per_token.
//
// It answers with filler and obeys no prompt: no tool is called, no stop string
// ends an answer. It asks for no key.
package simhttp
