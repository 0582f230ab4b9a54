package wire

import (
	"unicode/utf16"
	"unicode/utf8"
)

// text moves behind the string at the position and returns its length decoded,
// in bytes of UTF-8. A lone surrogate counts as U+FFFD, as decoders put it.
func (s *scanner) text() int {
	start := s.i
	escaped, ok := s.str()
	if !ok {
		return 0
	}
	raw := s.b[start+1 : s.i-1]
	if !escaped {
		return len(raw)
	}
	return decodedLen(raw)
}

// decodedLen is the length in bytes of the inside of a checked JSON string once
// its escapes are decoded.
func decodedLen(raw []byte) int {
	n := 0
	for i := 0; i < len(raw); {
		switch {
		case raw[i] != '\\':
			j := plain(raw, i)
			n += j - i
			i = j
		case raw[i+1] != 'u':
			n++
			i += 2
		default:
			r, size := escapedRune(raw[i:])
			n += utf8.RuneLen(r)
			i += size
		}
	}
	return n
}

// escapedRune decodes the \u escape that b begins with, and its low surrogate
// where one follows, and says how many bytes that took.
func escapedRune(b []byte) (rune, int) {
	r, _ := hex4(b[2:])
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
		low, _ := hex4(b[8:])
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}

// stringValue moves behind the value at the position and returns it decoded
// where it is a string, and "" where it is anything else.
func (s *scanner) stringValue() string {
	start, quoted := s.i, s.peek() == '"'
	if !quoted {
		s.skip()
		return ""
	}
	escaped, ok := s.str()
	if !ok {
		return ""
	}
	if escaped {
		return unquote(s.b[start:s.i])
	}
	return string(s.b[start+1 : s.i-1])
}

// intValue moves behind the value at the position and returns it where it is a
// whole number that fits, and otherwise ok false.
func (s *scanner) intValue() (n int64, ok bool) {
	start := s.i
	if !s.skip() {
		return 0, false
	}
	raw := s.b[start:s.i]
	negative := raw[0] == '-'
	if negative {
		raw = raw[1:]
	}
	for _, c := range raw {
		if c-'0' > 9 || n > (1<<63-10)/10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return n, len(raw) > 0
}

// appendString appends v as a JSON string. Invalid UTF-8 becomes U+FFFD.
func appendString(dst []byte, v string) []byte {
	const hexDigits = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range v {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}
