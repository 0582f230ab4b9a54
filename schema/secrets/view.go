package secrets

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// view is a text with one kind of escape undone, and the way back: where each
// unit that changed its length came from.
type view struct {
	text  []byte
	marks []origin // ascending; between two, lengths are equal
	of    *view    // what it was made from, nil for the text itself
}

type origin struct{ here, there int }

// back translates a position. Positions between units go to the start of the
// unit that follows.
func (v *view) back(i int) int {
	for ; v.of != nil; v = v.of {
		lo, hi := 0, len(v.marks)
		for lo < hi {
			if mid := (lo + hi) / 2; v.marks[mid].here <= i {
				lo = mid + 1
			} else {
				hi = mid
			}
		}
		if lo > 0 {
			i += v.marks[lo-1].there - v.marks[lo-1].here
		}
	}
	return i
}

// unit takes over a unit that was written in n bytes at there as the bytes plain.
func (v *view) unit(there, n int, plain ...byte) {
	v.text = append(v.text, plain...)
	v.marks = append(v.marks, origin{len(v.text), there + n})
}

// unescaped undoes the escapes of JSON strings, in all of the text: outside of
// strings JSON has no backslash.
func unescaped(of *view) *view {
	src := of.text
	v := &view{of: of, text: make([]byte, 0, len(src))}
	for i := 0; i < len(src); {
		n := bytes.IndexByte(src[i:], '\\')
		if n < 0 {
			n = len(src) - i
		}
		v.text = append(v.text, src[i:i+n]...)
		if i += n; i == len(src) {
			break
		}
		n, r := unescape(src[i:])
		if n == 0 {
			n, r = 1, '\\'
		}
		v.text = utf8.AppendRune(v.text, r)
		i += n
		if n > 1 {
			v.marks = append(v.marks, origin{len(v.text), i})
		}
	}
	return v
}

// unescape reads the escape that text starts with. It returns its length and
// what it stands for, or no length.
func unescape(text []byte) (int, rune) {
	if len(text) < 2 {
		return 0, 0
	}
	if k := strings.IndexByte(`"\/bfnrt`, text[1]); k >= 0 {
		return 2, rune("\"\\/\b\f\n\r\t"[k])
	}
	r, ok := hex4(text)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return 6, r
	}
	low, ok := hex4(text[6:])
	if full := utf16.DecodeRune(r, low); ok && full != utf8.RuneError {
		return 12, full
	}
	return 6, utf8.RuneError
}

func hex4(text []byte) (rune, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range text[2:6] {
		if !hexa(c) {
			return 0, false
		}
		r = r<<4 | rune(nibble(c))
	}
	return r, true
}

func nibble(c byte) byte {
	if digit(c) {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

// unquoted undoes percent-encoding. In a form, a space is written as a plus sign.
func unquoted(of *view, form bool) *view {
	src := of.text
	v := &view{of: of, text: make([]byte, 0, len(src))}
	for i := 0; i < len(src); i++ {
		if src[i] == '%' && i+2 < len(src) && hexa(src[i+1]) && hexa(src[i+2]) {
			v.unit(i, 3, nibble(src[i+1])<<4|nibble(src[i+2]))
			i += 2
			continue
		}
		c := src[i]
		if form && c == '+' {
			c = ' '
		}
		v.text = append(v.text, c)
	}
	return v
}

// minRun is the shortest text in base64 that is looked into.
const minRun = 24

// unpacked undoes base64 where text in it is readable. What it returns is one
// view of all these places, each between line breaks, which no credential but a
// PEM block spans.
func unpacked(of *view) *view {
	v := &view{of: of}
	src := of.text
	for i := 0; i < len(src); i++ {
		if !base64ish(src[i]) {
			continue
		}
		end := run(src, i, base64ish)
		if end-i >= minRun {
			v.unpack(src, i, end)
		}
		i = end
	}
	return v
}

func (v *view) unpack(src []byte, lo, hi int) {
	for hi > lo && src[hi-1] == '=' {
		hi--
	}
	head := src[lo : lo+min(hi-lo, 16)]
	if plain := decode64(head); plain == nil || !textual(plain) {
		return
	}
	plain := decode64(src[lo:hi])
	if plain == nil || !textual(plain) {
		return
	}
	v.unit(lo, 0, '\n')
	for i := 0; i < len(plain); i += 3 { // four characters a unit, the last one may be shorter
		n := min(4, hi-lo)
		v.unit(lo, n, plain[i:min(i+3, len(plain))]...)
		lo += n
	}
	v.unit(hi, 0, '\n')
}

func decode64(src []byte) []byte {
	if len(src)%4 == 1 {
		src = src[:len(src)-1]
	}
	enc := base64.RawStdEncoding
	for _, c := range src {
		if c == '-' || c == '_' {
			enc = base64.RawURLEncoding
		}
	}
	plain := make([]byte, enc.DecodedLen(len(src)))
	n, err := enc.Decode(plain, src)
	if err != nil {
		return nil
	}
	return plain[:n]
}

// textual says that bytes are text: a few may be cut runes.
func textual(b []byte) bool {
	odd := 0
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError || r < ' ' && r != '\n' && r != '\r' && r != '\t' {
			odd++
		}
		b = b[n:]
	}
	return odd <= 2
}
