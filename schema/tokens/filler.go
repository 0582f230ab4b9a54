package tokens

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
)

// FillerBytes is the length in bytes of every token of filler.
const FillerBytes = 4

// wordTable holds words of filler, each a space and three letters packed in a
// little-endian uint32. Its length is a power of two, 1<<bits.
type wordTable struct {
	words []uint32
	bits  int
}

// Filler appends text of exactly n tokens, n*FillerBytes bytes: words of three
// lowercase letters, each behind a space and each one token of the vocabulary.
// A word never merges with its neighbours, so filler behind filler has the sum of
// their tokens. The same seed gives the same text, and a shorter filler of a seed
// is the beginning of a longer one. It needs no escaping in JSON. n below 1
// appends nothing.
func (t *Tokenizer) Filler(dst []byte, seed uint64, n int) []byte {
	if n <= 0 {
		return dst
	}
	table := t.words()
	start := len(dst)
	dst = slices.Grow(dst, n*FillerBytes)[:start+n*FillerBytes]
	fill(dst[start:], table, seed)
	return dst
}

// fill writes words over b, taking several from each random number.
func fill(b []byte, table *wordTable, seed uint64) {
	words, size := table.words, table.bits
	mask, each := uint64(len(words)-1), 64/size
	for len(b) > 0 {
		seed += 0x9e3779b97f4a7c15
		random := mix(seed)
		for range each {
			if len(b) < FillerBytes {
				return
			}
			binary.LittleEndian.PutUint32(b, words[random&mask])
			b = b[FillerBytes:]
			random >>= size
		}
	}
}

// mix is the output function of SplitMix64 (Steele, Lea, Flood: Fast Splittable
// Pseudorandom Number Generators, 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// makeWords keeps the candidates that are one token of the vocabulary, in
// alphabetical order, and of these the largest power of two.
func (t *Tokenizer) makeWords() *wordTable {
	var words []uint32
	for _, word := range candidates() {
		if t.single(word) {
			words = append(words, binary.LittleEndian.Uint32([]byte(word)))
		}
	}
	if len(words) < 2 {
		panic(fmt.Sprintf("tokens: internal error: %s has %d words of filler", t.name, len(words)))
	}
	size := bits.Len(uint(len(words))) - 1
	return &wordTable{words: words[:1<<size], bits: size}
}

func (t *Tokenizer) single(word string) bool {
	return t.Count([]byte(word)) == 1
}

// candidates are consonant, vowel, consonant from letters that spell nothing
// rude, each behind a space.
func candidates() []string {
	var out []string
	for _, first := range "bdlmprvw" {
		for _, vowel := range "aeiou" {
			for _, last := range "dlmnrt" {
				out = append(out, " "+string(first)+string(vowel)+string(last))
			}
		}
	}
	return out
}
