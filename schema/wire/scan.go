package wire

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/bits"
)

// maxDepth is how deep arrays and objects may nest, as in encoding/json. It
// keeps hostile input from exhausting the stack.
const maxDepth = 10000

// SyntaxError says where JSON text breaks.
type SyntaxError struct {
	Offset int    // in bytes from the start of the text
	Reason string // what was found or missing
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("json byte %d: %s", e.Offset, e.Reason)
}

// scanner walks JSON text once, from left to right, and checks all of it. After
// an error every method returns false and the position stays, so callers look at
// err once, at the end. hole makes it accept the holes of an envelope.
type scanner struct {
	b     []byte
	i     int
	depth int
	key   []byte // of the latest member, without quotes, unescaped
	err   *SyntaxError
	hole  bool
}

func (s *scanner) fail(at int, reason string) bool {
	if s.err == nil {
		s.err = &SyntaxError{Offset: at, Reason: reason}
		s.i = at
	}
	return false
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\n', '\t', '\r':
			s.i++
		default:
			return
		}
	}
}

// peek is the byte at the position, or 0 at the end of the text.
func (s *scanner) peek() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

// open enters an object or array, which must stand at the position.
func (s *scanner) open(brace byte) bool {
	if s.err != nil {
		return false
	}
	if s.peek() != brace {
		return s.fail(s.i, "want "+string(rune(brace)))
	}
	if s.depth++; s.depth > maxDepth {
		return s.fail(s.i, "nested too deep")
	}
	s.i++
	return true
}

// member moves to the value of the next member of the open object and sets key.
// It returns false after the last one, when the object is closed.
func (s *scanner) member(first bool) bool {
	if !s.item(first, '}') {
		return false
	}
	start := s.i
	escaped, ok := s.str()
	if !ok {
		return false
	}
	s.key = s.b[start+1 : s.i-1]
	if escaped {
		s.key = []byte(unquote(s.b[start:s.i]))
	}
	s.space()
	if s.peek() != ':' {
		return s.fail(s.i, "want : after a key")
	}
	s.i++
	s.space()
	return true
}

// item moves to the next element of the open array, or to the next key of the
// open object. It returns false after the last one, when closed by end.
func (s *scanner) item(first bool, end byte) bool {
	if s.err != nil {
		return false
	}
	s.space()
	switch c := s.peek(); {
	case c == end:
		s.i++
		s.depth--
		return false
	case first:
		return true
	case c != ',':
		return s.fail(s.i, "want , or "+string(rune(end)))
	}
	s.i++
	s.space()
	return true
}

// skip moves behind the value at the position.
func (s *scanner) skip() bool {
	if s.err != nil {
		return false
	}
	switch c := s.peek(); c {
	case '"':
		_, ok := s.str()
		return ok
	case '{':
		s.open(c)
		for first := true; s.member(first); first = false {
			s.skip()
		}
		return s.err == nil
	case '[':
		s.open(c)
		for first := true; s.item(first, ']'); first = false {
			s.skip()
		}
		return s.err == nil
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	case holeByte:
		return s.skipHole()
	default:
		return s.number()
	}
}

func (s *scanner) skipHole() bool {
	if !s.hole {
		return s.fail(s.i, "want a value")
	}
	for i := s.i + 1; i < len(s.b); i++ {
		if s.b[i] == holeByte {
			s.i = i + 1
			return true
		}
	}
	return s.fail(s.i, "hole without an end")
}

func (s *scanner) literal(word string) bool {
	if len(s.b)-s.i < len(word) || string(s.b[s.i:s.i+len(word)]) != word {
		return s.fail(s.i, "want "+word)
	}
	s.i += len(word)
	return true
}

func (s *scanner) digits() bool {
	start := s.i
	for s.i < len(s.b) && s.b[s.i]-'0' <= 9 {
		s.i++
	}
	return s.i > start
}

func (s *scanner) number() bool {
	start := s.i
	if s.peek() == '-' {
		s.i++
	}
	if s.peek() == '0' {
		s.i++
	} else if !s.digits() {
		return s.fail(start, "want a value")
	}
	if s.peek() == '.' {
		s.i++
		if !s.digits() {
			return s.fail(s.i, "want a digit after the point")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.i++
		if c := s.peek(); c == '+' || c == '-' {
			s.i++
		}
		if !s.digits() {
			return s.fail(s.i, "want a digit in the exponent")
		}
	}
	return true
}

// str moves behind the string at the position and says whether it has escapes.
func (s *scanner) str() (escaped, ok bool) {
	if s.peek() != '"' {
		return false, s.fail(s.i, "want a string")
	}
	b, i := s.b, s.i+1
	for {
		i = plain(b, i)
		if i >= len(b) {
			return false, s.fail(s.i, "string without an end")
		}
		switch c := b[i]; {
		case c == '"':
			s.i = i + 1
			return escaped, true
		case c == '\\':
			n := escapeLen(b[i:])
			if n == 0 {
				return false, s.fail(i, "unknown escape")
			}
			escaped = true
			i += n
		default:
			return false, s.fail(i, "control character in a string")
		}
	}
}

// plain is the index of the first quote, backslash or control character at or
// after i. It looks at eight bytes at a time: a byte of x^mask minus one borrows
// into its high bit only when it was zero (or already had the high bit set, which
// &^ removes), so the lowest bit found is exact.
func plain(b []byte, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		quote, slash := x^(ones*'"'), x^(ones*'\\')
		found := ((x-ones*0x20)&^x | (quote-ones)&^quote | (slash-ones)&^slash) & highs
		if found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(b); i++ {
		if c := b[i]; c < 0x20 || c == '"' || c == '\\' {
			return i
		}
	}
	return i
}

// escapeLen is the length of the escape that b begins with, 0 if it is none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(b[2:]); ok {
			return 6
		}
	}
	return 0
}

// hex4 is the number that the first four hexadecimal digits of b stand for.
func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20-'a' <= 5:
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// unquote decodes a JSON string that was already checked, quotes included.
func unquote(quoted []byte) string {
	var out string
	if json.Unmarshal(quoted, &out) != nil {
		return ""
	}
	return out
}
