package secrets

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
)

// seal makes keyed hashes: without the key, nobody can try out guesses.
type seal struct{ key []byte }

func (s seal) sum(text string) []byte {
	m := hmac.New(sha256.New, s.key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// hash8 is 8 hexadecimal digits, for placeholders.
func (s seal) hash8(text string) string { return hex.EncodeToString(s.sum(text)[:4]) }

// hash16 is 16 hexadecimal digits, for values that are not kept.
func (s seal) hash16(text string) string { return hex.EncodeToString(s.sum(text)[:8]) }

const mark = "[REDACTED:"

// fill overwrites b with the placeholder of a secret: "[REDACTED:rule:hash]"
// padded before the bracket, without part of the rule, "[hash]", or part of the
// hash, whatever fits.
func fill(b []byte, rule, hash string) {
	n := len(b)
	head := hash
	if over := n - len(mark) - len(hash) - 2; over > 0 {
		head = mark + rule[:min(len(rule), over)] + ":" + hash
	} else if n >= len(hash)+2 {
		head = "[" + hash
	} else {
		copy(b, hash)
		return
	}
	for i := copy(b, head); i < n; i++ {
		b[i] = '.'
	}
	b[n-1] = ']'
}

// fillDigits overwrites b with digits that look like a number.
func fillDigits(b []byte, hash string) {
	sum, _ := hex.DecodeString(hash)
	digits := strconv.FormatUint(1e9+uint64(binary.BigEndian.Uint32(sum)), 10)
	for i := range b {
		b[i] = digits[i%len(digits)]
	}
}
