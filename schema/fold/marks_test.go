package fold_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/wire"
)

const mark = `,"cache_control":{"type":"ephemeral"}`

// marked is a body in the manner of Anthropic Messages: system blocks, tools and
// messages, each text with a mark where its name ends in an asterisk.
func marked(system, messages []string) (wire.Layout, string) {
	block := func(name string) (string, wire.Element) {
		text, isMarked := strings.CutSuffix(name, "*")
		bare := fmt.Sprintf(`{"type":"text","text":%q}`, text)
		if !isMarked {
			return bare, wire.Element{Bytes: []byte(bare), Kind: wire.KindUser}
		}
		sent := strings.TrimSuffix(bare, "}") + mark + "}"
		return sent, wire.Element{
			Bytes: []byte(sent), Kind: wire.KindUser, Bare: []byte(bare),
			Edits: []wire.Edit{{Off: len(bare) - 1, Ins: mark}},
		}
	}
	var l wire.Layout
	var parts []string
	for _, names := range [][]string{system, messages} {
		var texts []string
		var elements []wire.Element
		for _, name := range names {
			text, e := block(name)
			texts, elements = append(texts, text), append(elements, e)
		}
		l.Slots = append(l.Slots, elements)
		parts = append(parts, strings.Join(texts, ","))
	}
	l.Envelope = []byte("{\"system\":[\x1e,\x1e],\"messages\":[\x1e,\x1e],\"max_tokens\":9}")
	return l, fmt.Sprintf(`{"system":[%s],"messages":[%s],"max_tokens":9}`, parts[0], parts[1])
}

func foldMarked(f *folding, system, messages string) {
	f.t.Helper()
	l, body := marked(strings.Fields(system), strings.Fields(messages))
	f.layout("a", schema.FormatMessages, l, body)
}

// TestWanderingMarks moves a mark to the newest message with every call, as Claude
// Code does: contexts still extend each other.
func TestWanderingMarks(t *testing.T) {
	f := newFolding(t)
	const n = 50
	for turn := range n {
		var messages []string
		for i := range 2*turn + 1 {
			name := fmt.Sprint("m", i)
			if i == 2*turn || i == 2*turn-2 {
				name += "*"
			}
			messages = append(messages, name)
		}
		foldMarked(f, "s1 s2*", strings.Join(messages, " "))
	}
	s := f.done()
	if want := 2 + 2*n - 1; len(s.Items) != want {
		t.Errorf("%d items, want %d", len(s.Items), want)
	}
	for i, c := range s.Calls {
		want := fmt.Sprintf("0:0-2 1:2-%d", 2+2*i+1)
		if ranges(c) != want {
			t.Errorf("call %d: ranges %s, want %s", i, ranges(c), want)
		}
		if len(c.Patches) > 3 {
			t.Errorf("call %d: %d patches", i, len(c.Patches))
		}
		if i > 0 && int(*c.SharedPrefixItems) != 2+2*i-1 {
			t.Errorf("call %d shares %d items, want %d", i, *c.SharedPrefixItems, 2+2*i-1)
		}
	}
	if b := s.Items[1].CacheBreakpoint; b == nil || !*b {
		t.Error("an item that came with a mark does not say so")
	}
}

// TestMarksOnEqualElements has the same element twice in a context, once with a
// mark: patches go by item, so these are two items with one blob.
func TestMarksOnEqualElements(t *testing.T) {
	f := newFolding(t)
	foldMarked(f, "", "go a go*")
	foldMarked(f, "", "go a go b go*")
	foldMarked(f, "", "go* a go b go")
	foldMarked(f, "", "go a go b go")
	foldMarked(f, "", "go* a go* b go*")
	s := f.done()
	distinct := map[string]bool{}
	for _, it := range s.Items {
		distinct[it.ContentSHA256] = true
	}
	// Three times "go" in a row of calls that each go on from the one before.
	if len(s.Items) != 5 || len(distinct) != 3 {
		t.Errorf("%d items of %d contents, want 5 of 3", len(s.Items), len(distinct))
	}
	if got := ranges(s.Calls[4]); got != "1:0-5" {
		t.Errorf("ranges %s, want 1:0-5", got)
	}
}

// TestChatMarks folds Chat Completions bodies with marks, as gateways to Anthropic
// models take them.
func TestChatMarks(t *testing.T) {
	f := newFolding(t)
	part := func(text, mark string) string {
		return fmt.Sprintf(`{"role":"user","content":[{"type":"text","text":%q%s}]}`, text, mark)
	}
	f.context("a", part("1", mark))
	f.context("a", part("1", ""), part("2", mark))
	f.context("a", part("1", mark), part("2", mark), part("3", mark))
	s := f.done()
	// Two patches a message: before its text and behind it.
	if got := ranges(s.Calls[2]); len(s.Items) != 3 || got != "0:0-3" || len(s.Calls[2].Patches) != 6 {
		t.Errorf("%d items, ranges %s, patches %v", len(s.Items), got, s.Calls[2].Patches)
	}
}
