package secrets

import (
	"math"
	"strings"
)

func lower(c byte) bool  { return c >= 'a' && c <= 'z' }
func upper(c byte) bool  { return c >= 'A' && c <= 'Z' }
func digit(c byte) bool  { return c >= '0' && c <= '9' }
func letter(c byte) bool { return lower(c | 0x20) }
func alnum(c byte) bool  { return letter(c) || digit(c) }
func word(c byte) bool   { return alnum(c) || c == '_' }
func hexa(c byte) bool   { return digit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }
func wordy(c byte) bool  { return word(c) || c == '-' }
func dotted(c byte) bool { return wordy(c) || c == '.' }
func base64ish(c byte) bool {
	return wordy(c) || c == '+' || c == '/' || c == '='
}
func bigs(c byte) bool { return upper(c) || digit(c) }

func only(s string, class func(byte) bool) bool {
	for i := range len(s) {
		if !class(s[i]) {
			return false
		}
	}
	return true
}

// census counts what a text is made of.
type census struct {
	n, lower, upper, digit, other, distinct int
	bits                                    float64 // of entropy for each character, as they are distributed in the text
}

func count[T string | []byte](s T) census {
	c := census{n: len(s)}
	var freq [256]int
	for i := range len(s) {
		switch b := s[i]; {
		case lower(b):
			c.lower++
		case upper(b):
			c.upper++
		case digit(b):
			c.digit++
		default:
			c.other++
		}
		freq[s[i]]++
	}
	for _, f := range freq {
		if f > 0 {
			c.distinct++
			p := float64(f) / float64(c.n)
			c.bits -= p * math.Log2(p)
		}
	}
	return c
}

// kinds is how many of small and capital letters, digits and others occur.
func (c census) kinds() int {
	return min(c.lower, 1) + min(c.upper, 1) + min(c.digit, 1) + min(c.other, 1)
}

// worthy says whether a text is unlikely to be met by chance: see Learned.Add.
func worthy(s string) bool {
	if len(s) < minSecret || len(s) > maxLength || strings.Contains(s, "://") {
		return false
	}
	if strings.HasPrefix(s, "~/") || strings.HasPrefix(s, "./") || s[0] == '/' && strings.Count(s, "/") > 1 && !strings.ContainsAny(s, "+=") {
		return false
	}
	c := count(s)
	separators := strings.Count(s, "-") + strings.Count(s, "_") + strings.Count(s, ".") + strings.Count(s, " ") + strings.Count(s, "/")
	switch {
	case c.distinct < 6 || c.n >= 16 && c.distinct < 8 && c.digit < c.n:
		return false
	case c.digit == c.n:
		return c.n >= 16
	case c.digit == 0 && c.other == separators:
		return c.n >= 20
	}
	return c.kinds() >= 3 || c.n >= 16
}
