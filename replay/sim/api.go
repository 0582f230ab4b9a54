package sim

import "time"

// Ask is one request to the engine.
type Ask struct {
	ID     int64
	Prompt []Run
	Output int32   // tokens to generate, at least 1
	Marks  []int32 // token counts, ascending, to report besides the first and the last
	Every  int32   // report also each token count 1+k*Every; 0: none
}

// Run is a stretch of prompt with an identity. Two prompts share a prefix as
// far as their runs have equal IDs and equal Bytes in order. Tokens are counted
// over the whole prompt: a prompt of b bytes has ceil(b/BytesPerToken) tokens,
// so it does not matter how bytes are cut into runs.
type Run struct {
	ID    uint64
	Bytes int32
}

// Kind of an event.
type Kind uint8

// Kinds.
const (
	Tokens   Kind = iota // Event.Tokens have been generated; the first of these carries the first token
	Done                 // the last token was generated
	Rejected             // the prompt and its answer cannot fit; nothing was generated
)

// Event is something the engine did for an Ask.
type Event struct {
	At     time.Duration
	ID     int64
	Kind   Kind
	Tokens int32 // generated so far
	Input  int32 // tokens of the prompt
	Cached int32 // of Input, found in the prefix cache
}
