// Package tokens counts the tokens of text by named tokenizers, and makes filler
// text of an exact count.
//
// It promises that a name always means the same counts, and that filler depends
// on nothing but the tokenizer, the seed and the length. It counts text, not
// chats: what a model's template puts around messages is not in a count. Counts
// stand beside a system's own, they do not replace them.
package tokens

import (
	"fmt"
	"sync"

	"github.com/tiktoken-go/tokenizer"
)

// Names of the tokenizers.
const (
	O200k  = "o200k_base"  // OpenAI models since GPT-4o
	Cl100k = "cl100k_base" // GPT-4, GPT-3.5
	Bytes4 = "bytes/4"     // one token for every 4 bytes begun; where nothing is known
)

// Tokenizer counts tokens. It may be used from many goroutines at once.
type Tokenizer struct {
	name  string
	codec tokenizer.Codec // nil for Bytes4
	words func() *wordTable
}

// Open returns the tokenizer with that name. An unknown name is an error that
// lists the known ones.
func Open(name string) (*Tokenizer, error) {
	t := &Tokenizer{name: name}
	switch name {
	case Bytes4:
	case O200k, Cl100k:
		codec, err := tokenizer.Get(tokenizer.Encoding(name))
		if err != nil {
			return nil, fmt.Errorf("open tokenizer %q: %w", name, err)
		}
		t.codec = codec
	default:
		return nil, fmt.Errorf("open tokenizer %q: unknown, want %s, %s or %s", name, O200k, Cl100k, Bytes4)
	}
	t.words = sync.OnceValue(t.makeWords)
	return t, nil
}

// Name is the name that the tokenizer was opened by.
func (t *Tokenizer) Name() string { return t.name }

// Count is the number of tokens of text. Words that stand for control tokens of a
// model count as ordinary text, as they do in a message. Invalid UTF-8 has a count
// too, which other implementations may not share.
func (t *Tokenizer) Count(text []byte) int {
	if t.codec == nil {
		return (len(text) + 3) / 4
	}
	n, err := t.codec.Count(string(text))
	if err != nil {
		// Only a matching time limit or a strict error mode can fail, and neither is set.
		panic(fmt.Sprintf("tokens: internal error: count: %v", err))
	}
	return n
}
