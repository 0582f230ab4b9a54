package assemble

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxName = 200 // bytes of an id that is taken from the wire
	maxText = 500 // bytes of a text that is kept in extra_json
)

// clean makes text from the wire fit for an id: without control characters and
// of bounded length. Where it is cut, a hash keeps different ones apart.
func clean(s string) string {
	s = strings.TrimSpace(plain(s))
	if len(s) <= maxName {
		return s
	}
	h := sha256.Sum256([]byte(s))
	return short(s, maxName-17) + "-" + hex.EncodeToString(h[:8])
}

// plain is text as UTF-8 without control characters and invisible ones.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			return -1
		}
		return r
	}, s)
}

// short cuts a text to n bytes at most, between runes.
func short(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// valid is text as UTF-8.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// print64 is a fingerprint of a text, without the white space around it.
func print64(s string) uint64 {
	h := sha256.Sum256([]byte(strings.TrimSpace(s)))
	return binary.LittleEndian.Uint64(h[:])
}

func ptr[T any](v T) *T { return &v }

// text returns nil for "".
func text(v string) *string {
	if v = valid(v); v == "" {
		return nil
	}
	return &v
}
