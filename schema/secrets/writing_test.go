package secrets_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

func jsonText(s string, html bool) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(html)
	e.Encode(s)
	q := strings.TrimSuffix(b.String(), "\n")
	return q[1 : len(q)-1]
}

func asciiJSON(s string) string {
	var b strings.Builder
	for _, r := range jsonText(s, false) {
		switch {
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, "\\u%04x\\u%04x", 0xd800+r>>10, 0xdc00+r&0x3ff)
		case r > 0x7e:
			fmt.Fprintf(&b, "\\u%04x", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// symbolsJSON escapes all that is no letter or digit, as some libraries do.
func symbolsJSON(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, "\\u%04X\\u%04X", 0xd800+r>>10, 0xdc00+r&0x3ff)
		case r < 0x80 && (strings.ContainsRune(alnums+"-_.~", r)):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, "\\u%04X", r)
		}
	}
	return b.String()
}

func inBase64(enc *base64.Encoding, before string) func(string) string {
	return func(s string) string { return enc.EncodeToString([]byte(before + s + " and more")) }
}

type writing struct {
	name string
	as   func(string) string
	json bool // may stand in a JSON string as it is
}

// writings are the ways a secret may be written, once.
var writings = []writing{
	{"raw", func(s string) string { return s }, false},
	{"json", func(s string) string { return jsonText(s, false) }, true},
	{"json html", func(s string) string { return jsonText(s, true) }, true},
	{"json slash", func(s string) string { return strings.ReplaceAll(jsonText(s, false), "/", `\/`) }, true},
	{"json ascii", asciiJSON, true},
	{"json symbols", symbolsJSON, true},
	{"query", url.QueryEscape, true},
	{"path", url.PathEscape, false},
	{"query lower", func(s string) string {
		b := []byte(url.QueryEscape(s))
		for i := range b {
			if b[i] == '%' {
				copy(b[i+1:i+3], bytes.ToLower(b[i+1:i+3]))
			}
		}
		return string(b)
	}, true},
	{"base64 0", inBase64(base64.StdEncoding, ""), true},
	{"base64 1", inBase64(base64.StdEncoding, "u"), true},
	{"base64 2", inBase64(base64.StdEncoding, "u:"), true},
	{"base64 url 0", inBase64(base64.RawURLEncoding, "abc"), true},
	{"base64 url 1", inBase64(base64.URLEncoding, "abcd"), true},
	{"base64 url 2", inBase64(base64.URLEncoding, "abcde"), true},
}

// in64 says which writings hold a part of their neighbours at the ends.
func in64(name string) bool { return strings.Contains(name, "base64") }

// pairs are the writings written again.
func pairs() []writing {
	all := slices.Clone(writings)
	for _, inner := range writings[1:] {
		for _, outer := range writings[1:] {
			all = append(all, writing{outer.name + " of " + inner.name, func(s string) string { return outer.as(inner.as(s)) }, outer.json})
		}
	}
	return all
}
