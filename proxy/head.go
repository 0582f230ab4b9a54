package proxy

import (
	"bytes"
	"iter"
	"strconv"
	"strings"
)

// head is a message's head as it came: nothing is canonicalised, sorted or
// joined. It borrows the bytes that it was read from.
type head struct {
	raw    []byte // the empty line included
	line   []byte // request or status line, without its break
	fields []byte // header lines with their breaks, without the empty line
}

func readHead(raw []byte) head {
	line, rest, _ := bytes.Cut(raw, newline)
	return head{raw: raw, line: bytes.TrimRight(line, "\r"), fields: rest}
}

// each walks the header fields in order, without memory of its own. A line that
// is no field is passed over.
func (h head) each() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for rest := h.fields; len(rest) > 0; {
			var line []byte
			line, rest, _ = bytes.Cut(rest, newline)
			name, value, ok := bytes.Cut(line, colon)
			if ok && !yield(name, bytes.TrimSpace(value)) {
				return
			}
		}
	}
}

var colon, comma = []byte(":"), []byte(",")

// all is each in strings.
func (h head) all() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for n, v := range h.each() {
			if !yield(string(n), string(v)) {
				return
			}
		}
	}
}

// get is the first field of that name, in any case, or "".
func (h head) get(name string) string {
	for n, v := range h.each() {
		if is(n, name) {
			return string(v)
		}
	}
	return ""
}

// lists tells whether a comma-separated value holds a token, in any case.
func lists(value []byte, token string) bool {
	for len(value) > 0 {
		var part []byte
		part, value, _ = bytes.Cut(value, comma)
		if is(bytes.TrimSpace(part), token) {
			return true
		}
	}
	return false
}

// is compares ASCII without regard to case.
func is(b []byte, text string) bool {
	if len(b) != len(text) {
		return false
	}
	for i, c := range b {
		if c|0x20 != text[i]|0x20 {
			return false
		}
	}
	return true
}

// request is the method, target and version of a request line. ok is false
// where it has not these three parts.
func (h head) request() (method, target, version string, ok bool) {
	method, rest, ok1 := strings.Cut(string(h.line), " ")
	target, version, ok2 := strings.Cut(rest, " ")
	return method, target, version, ok1 && ok2 && method != "" && target != "" && strings.HasPrefix(version, "HTTP/1.")
}

// status is the number of a status line, or 0.
func (h head) status() int {
	parts := strings.SplitN(string(h.line), " ", 3)
	if len(parts) < 2 || !strings.HasPrefix(parts[0], "HTTP/1.") {
		return 0
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil || n < 100 || n > 999 {
		return 0
	}
	return n
}

// facts are what the fields of a head say about what follows it.
type facts struct {
	length   int64 // Content-Length
	given    bool  // there was one
	broken   bool  // it is no number, or two differ
	transfer bool  // a transfer coding is named
	chunked  bool  // and chunked is one
	upgrade  bool  // Connection lists upgrade
}

// facts reads the fields in one go.
func (h head) facts() (f facts) {
	for n, v := range h.each() {
		switch {
		case is(n, "Content-Length"):
			x, err := strconv.ParseInt(string(v), 10, 64)
			f.broken = f.broken || err != nil || x < 0 || f.given && x != f.length
			f.length, f.given = x, true
		case is(n, "Transfer-Encoding"):
			f.transfer = true
			f.chunked = f.chunked || lists(v, "chunked")
		case is(n, "Connection"):
			f.upgrade = f.upgrade || lists(v, "upgrade")
		}
	}
	return f
}

// request says how a request's body ends (RFC 9112, section 6.3).
func (f facts) request() (framing, int64) {
	switch {
	case f.transfer && f.chunked:
		return byChunks, 0
	case f.transfer || f.broken:
		return unreadable, 0
	case !f.given:
		return noBody, 0
	}
	return byLength, f.length
}

// responseFraming says how the body of a response to a request with that method
// ends.
func (h head) responseFraming(method string) (framing, int64) {
	status, f := h.status(), h.facts()
	switch {
	case status == 0:
		return unreadable, 0
	case status == 101:
		return unframed, 0
	case status < 200 || status == 204 || status == 304 || method == "HEAD":
		return noBody, 0
	case f.chunked:
		return byChunks, 0
	case f.transfer:
		return byClose, 0
	case f.broken:
		return unreadable, 0
	case !f.given:
		return byClose, 0
	}
	return byLength, f.length
}
