package secrets

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"
)

// pattern is one spelling of a secret, in units that each may be written in
// several ways. Encoders differ in what they escape, so every unit is free.
type pattern struct {
	secret *secret
	units  []uint16 // indices into a forms table
}

// forms lists, for each unit, the ways to write it.
type forms struct {
	ways   [][]string
	runes  map[rune]uint16
	single [256]bool // the only way is the byte itself
}

// Units 0 to 255 are bytes. In base64 the two alphabets differ in two characters.
const (
	plus64 = 256 + iota
	slash64
	firstRune
)

// byteWays are the ways for bytes and for the two units of base64. Letters,
// digits and the marks that RFC 3986 calls unreserved are never escaped by the
// encoders in use.
var byteWays = sync.OnceValue(func() [][]string {
	ways := make([][]string, firstRune)
	for c := range 256 {
		ways[c] = []string{string([]byte{byte(c)})}
		if c < utf8.RuneSelf && !plain(rune(c)) {
			ways[c] = escapes(rune(c))
		}
	}
	ways[plus64] = append(slices.Clone(ways['+']), "-")
	ways[slash64] = append(slices.Clone(ways['/']), "_")
	return ways
})

// style is one habit of an encoder: how it writes a character.
type style func(r rune) string

// styles are the habits in use, those of JSON first. They differ in what they
// escape; what all leave alone is in plain.
var styles = []style{
	func(r rune) string { return jsonShort(r, "\"\\") },
	func(r rune) string { return jsonShort(r, "\"\\/") },
	func(r rune) string { return jsonUnicode(r, "%04X") },
	func(r rune) string { return jsonUnicode(r, "%04x") },
	func(r rune) string { return percent(r, "%02X") },
	func(r rune) string { return percent(r, "%02x") },
}

func plain(r rune) bool {
	return r < utf8.RuneSelf && (word(byte(r)) || strings.ContainsRune("-._~", r))
}

// escapes are the ways to write r: as it is, escaped once, and escaped twice.
func escapes(r rune) []string {
	once := []string{string(r)}
	for _, one := range styles {
		once = append(once, one(r))
	}
	if r == ' ' {
		once = append(once, "+")
	}
	all := slices.Clone(once)
	for _, s := range once {
		for _, one := range styles {
			all = append(all, write(s, one))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func write(s string, one style) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteString(one(r))
	}
	return b.String()
}

// jsonShort escapes the marks and what JSON has a letter for.
func jsonShort(r rune, marks string) string {
	if strings.ContainsRune(marks, r) {
		return `\` + string(r)
	}
	if i := strings.IndexRune("\b\f\n\r\t", r); i >= 0 {
		return `\` + "bfnrt"[i:i+1]
	}
	return string(r)
}

func jsonUnicode(r rune, digits string) string {
	if plain(r) {
		return string(r)
	}
	if high, low := utf16.EncodeRune(r); r > 0xffff {
		return fmt.Sprintf(`\u`+digits+`\u`+digits, high, low)
	}
	return fmt.Sprintf(`\u`+digits, r)
}

func percent(r rune, digits string) string {
	if plain(r) {
		return string(r)
	}
	var b strings.Builder
	for _, c := range []byte(string(r)) {
		fmt.Fprintf(&b, "%%"+digits, c)
	}
	return b.String()
}

func newForms() *forms {
	f := &forms{ways: slices.Clone(byteWays()), runes: map[rune]uint16{}}
	for c := range f.single {
		f.single[c] = len(f.ways[c]) == 1
	}
	return f
}

// spell splits a text into units.
func (f *forms) spell(s string) []uint16 {
	var units []uint16
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r < utf8.RuneSelf || r == utf8.RuneError || len(f.ways) > 1<<15:
			for j := range n {
				units = append(units, uint16(s[i+j]))
			}
		default:
			u, known := f.runes[r]
			if !known {
				u = uint16(len(f.ways))
				f.runes[r] = u
				f.ways = append(f.ways, escapes(r))
			}
			units = append(units, u)
		}
		i += n
	}
	return units
}

// spell64 is spell for a part of a base64 text, which may be of either alphabet.
func spell64(core string) []uint16 {
	units := make([]uint16, len(core))
	for i := range core {
		units[i] = uint16(core[i])
		switch core[i] {
		case '+':
			units[i] = plus64
		case '/':
			units[i] = slash64
		}
	}
	return units
}

// cores64 is what base64 makes of s at each alignment, without the characters
// that depend on what stands before or behind it.
func cores64(s string) []string {
	var cores []string
	for before, skip := range []int{0, 2, 3} {
		text := base64.StdEncoding.EncodeToString(append(make([]byte, before), s...))
		cores = append(cores, text[skip:(before+len(s))*8/6])
	}
	return cores
}

// spellings are all patterns of a secret: the text itself, whose units are
// escaped in any way, and base64 of it, of its escaped forms and of its base64.
func (f *forms) spellings(s *secret) []pattern {
	quoted, _ := json.Marshal(s.text) // escapes what HTML would not bear
	texts := []string{s.text, string(quoted[1 : len(quoted)-1]), ascii(s.text), url.QueryEscape(s.text), url.PathEscape(s.text)}
	for _, one := range styles {
		texts = append(texts, write(s.text, one))
	}
	slices.Sort(texts[1:])
	texts = slices.Compact(texts)
	all := []pattern{{s, f.spell(s.text)}}
	for i, text := range texts {
		if i > 0 && text == s.text {
			continue
		}
		for _, core := range cores64(text) {
			all = append(all, pattern{s, spell64(core)})
			if i > 0 {
				continue
			}
			for _, again := range cores64(core) {
				all = append(all, pattern{s, spell64(again)})
			}
			if other := strings.NewReplacer("+", "-", "/", "_").Replace(core); other != core {
				for _, again := range cores64(other) {
					all = append(all, pattern{s, spell64(again)})
				}
			}
		}
	}
	return all
}

// ascii is JSON as encoders write it that leave no character beyond ASCII.
func ascii(s string) string {
	return write(s, func(r rune) string {
		if r < utf8.RuneSelf {
			return jsonShort(r, "\"\\")
		}
		return jsonUnicode(r, "%04x")
	})
}

// starts are the first n bytes of every way to write the units. Escapes are
// long, so there are few even if every unit has some.
func (f *forms) starts(units []uint16, n int) []string {
	seen := map[string]bool{}
	var all []string
	var walk func(have string, rest []uint16)
	walk = func(have string, rest []uint16) {
		if len(have) >= n || len(rest) == 0 {
			have = have[:min(n, len(have))]
			if !seen[have] {
				seen[have] = true
				all = append(all, have)
			}
			return
		}
		for _, way := range f.ways[rest[0]] {
			walk(have+way, rest[1:])
		}
	}
	walk("", units)
	return all
}

// branches is how many readings of a text are followed at once. There is more
// than one only where a backslash or a percent sign belongs to the secret.
const branches = 16

// match reads p at text[i:]. n is the length of the longest way found, 0 if none;
// more says that a longer text could make it match, or match more.
func (f *forms) match(p *pattern, text []byte, i int) (n int, more bool) {
	var cur, next [branches]int
	cur[0] = i
	live := 1
	for _, u := range p.units {
		if live == 1 && u < 256 && f.single[u] {
			switch at := cur[0]; {
			case at >= len(text):
				return 0, true
			case text[at] != byte(u):
				return 0, more
			default:
				cur[0] = at + 1
			}
			continue
		}
		found := 0
		for _, at := range cur[:live] {
			for _, way := range f.ways[u] {
				rest := text[at:]
				if len(rest) < len(way) {
					more = more || way[:len(rest)] == string(rest)
				} else if way == string(rest[:len(way)]) && found < branches && !slices.Contains(next[:found], at+len(way)) {
					next[found] = at + len(way)
					found++
				}
			}
		}
		if found == 0 {
			return 0, more
		}
		cur, live = next, found
	}
	return slices.Max(cur[:live]) - i, more
}
