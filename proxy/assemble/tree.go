package assemble

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"

	"github.com/capstan-bench/capstan/schema/wire"
)

// tree holds the contexts of all calls, each from its root down, an element a
// step. A context that another extends lies on the way to it. Memory grows with
// what is new in a context, not with its length. System prompts outside the
// messages, those that lead them, and tools have no place in it: some clients
// change them with every call.
type tree struct {
	entries []entry
	byHash  map[sum]int32
	nodes   []node
	steps   map[step]int32
}

type step struct{ from, entry int32 }

// node is a context. Number 0 is the empty one.
type node struct {
	parent, entry int32
	depth         int32
}

// entry is an element as it counts in a comparison: without cache marks, and
// with a content of one text as a string.
type entry struct {
	kind  byte     // what it is, see kindOf
	ids   []uint64 // of the tool calls and results in it
	parts []uint64 // of its texts, and of all of it
	lines []uint64 // of its texts, those that are long
	given bool     // it brings the result of a tool call
}

// Kinds of entries that comparisons care about.
const (
	kindOther byte = iota
	kindUser
	kindAssistant
	kindSystem
)

func kindOf(e *wire.Element) byte {
	switch e.Kind {
	case wire.KindUser:
		return kindUser
	case wire.KindAssistant, wire.KindReasoning, wire.KindToolCall:
		return kindAssistant
	case wire.KindSystem:
		return kindSystem
	}
	return kindOther
}

func newTree() *tree {
	return &tree{byHash: map[sum]int32{}, nodes: make([]node, 1), steps: map[step]int32{}}
}

// down returns the context that extends another by one element.
func (t *tree) down(from, entry int32) int32 {
	s := step{from, entry}
	n, ok := t.steps[s]
	if !ok {
		n = int32(len(t.nodes))
		t.nodes = append(t.nodes, node{from, entry, t.nodes[from].depth + 1})
		t.steps[s] = n
	}
	return n
}

// at returns the context of that depth on the way to a context.
func (t *tree) at(n, depth int32) int32 {
	for t.nodes[n].depth > depth {
		n = t.nodes[n].parent
	}
	return n
}

// common is the longest context that both begin with.
func (t *tree) common(a, b int32) int32 {
	a, b = t.at(a, t.nodes[b].depth), t.at(b, t.nodes[a].depth)
	for a != b {
		a, b = t.nodes[a].parent, t.nodes[b].parent
	}
	return a
}

// path returns the entries between a context and one that extends it.
func (t *tree) path(from, to int32) []int32 {
	var out []int32
	for n := to; n != from && n != 0; n = t.nodes[n].parent {
		out = append(out, t.nodes[n].entry)
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// entry returns the number of an element.
func (t *tree) entry(format string, e *wire.Element) int32 {
	form, texts := canonical(e.Bytes)
	h := sumOf(form)
	if n, ok := t.byHash[h]; ok {
		return n
	}
	n := int32(len(t.entries))
	t.entries = append(t.entries, newEntry(format, e, texts))
	t.byHash[h] = n
	return n
}

func newEntry(format string, e *wire.Element, texts []string) entry {
	out := entry{kind: kindOf(e), given: e.Kind == wire.KindToolResult}
	for _, l := range wire.Links(format, e.Bytes) {
		if l.ID != "" {
			out.ids = append(out.ids, print64(l.ID))
		}
	}
	if out.kind == kindAssistant {
		return out // what an answer says is never the start of something
	}
	for _, s := range texts {
		out.parts = appendPrint(out.parts, s)
	}
	if len(texts) > 1 {
		out.parts = appendPrint(out.parts, strings.Join(texts, "\n"))
	}
	out.lines = linesOf(texts)
	return out
}

const (
	leastPart = 8  // bytes of a text that can be recognised
	leastLine = 24 // and of a line
	mostParts = 64
	mostLines = 256
)

func appendPrint(dst []uint64, s string) []uint64 {
	if len(dst) >= mostParts || len(strings.TrimSpace(s)) < leastPart {
		return dst
	}
	return append(dst, print64(s))
}

// tag is what models and clients put around the parts of a text.
var tag = regexp.MustCompile(`</?[a-zA-Z][a-zA-Z0-9_-]*>`)

// linesOf are the fingerprints of the long lines of some texts. A tag ends a
// line: a summary is quoted without those around it.
func linesOf(texts []string) (out []uint64) {
	for _, s := range texts {
		for line := range strings.SplitSeq(tag.ReplaceAllString(s, "\n"), "\n") {
			if len(out) >= mostLines {
				return out
			}
			if line = strings.TrimSpace(line); len(line) >= leastLine {
				out = append(out, print64(line))
			}
		}
	}
	return out
}

// canonical is an element in the form in which clients cannot help but repeat
// it, and its texts. What is no JSON counts as it stands.
func canonical(raw []byte) (form []byte, texts []string) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return raw, nil
	}
	v = unmarked(v)
	if form, err := json.Marshal(v); err == nil {
		return form, textsOf(nil, v)
	}
	return raw, nil
}

// unmarked takes the cache marks out of an element and its parts.
func unmarked(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	delete(m, "cache_control")
	parts, ok := m["content"].([]any)
	if !ok {
		return v
	}
	for i := range parts {
		parts[i] = unmarked(parts[i])
	}
	if len(parts) == 1 {
		if p, ok := parts[0].(map[string]any); ok && len(p) == 2 && p["type"] == "text" {
			if s, ok := p["text"].(string); ok {
				m["content"] = s
			}
		}
	}
	return v
}

// textsOf appends the texts of an element: its content, or the texts of its
// parts, in any dialect.
func textsOf(dst []string, v any) []string {
	switch v := v.(type) {
	case string:
		return append(dst, v)
	case []any:
		for _, e := range v {
			dst = textsOf(dst, e)
		}
	case map[string]any:
		for _, name := range []string{"text", "content", "parts"} {
			if inner, ok := v[name]; ok {
				dst = textsOf(dst, inner)
			}
		}
	}
	return dst
}
