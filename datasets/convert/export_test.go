package convert

import (
	"iter"

	"github.com/capstan-bench/capstan/schema"
)

// PiCounting is Pi with another tokenizer: fuzzing loads one for every input.
func PiCounting(tokenizer string) Importer {
	return func(path string) iter.Seq2[*schema.Session, error] { return pi(path, tokenizer) }
}
