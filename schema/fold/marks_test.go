package fold_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/fold"
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

// TestForms folds Chat Completions bodies with marks, as gateways to Anthropic
// models take them. A message that was marked is stored as it comes without its
// mark, a string or a part; one that never comes without is stored as a string.
func TestForms(t *testing.T) {
	text := func(text string) string { return fmt.Sprintf(`{"role":"user","content":%q}`, text) }
	part := func(text, mark string) string {
		return fmt.Sprintf(`{"role":"user","content":[{"type":"text","text":%q%s}]}`, text, mark)
	}
	f := func(name string, contexts [][]string, items []string, patches ...int) {
		t.Helper()
		fd := newFolding(t)
		for _, c := range contexts {
			fd.context("a", c...)
		}
		s := fd.done()
		var got []string
		for i := range s.Items {
			got = append(got, *s.Blobs[s.Items[i].ContentSHA256].Content)
		}
		if diff := cmp.Diff(items, got); diff != "" {
			t.Errorf("%s: items (-want +got):\n%s", name, diff)
		}
		if len(s.Blobs) > len(items)+1 {
			t.Errorf("%s: %d blobs for %d items and an envelope", name, len(s.Blobs), len(items))
		}
		for i := range s.Calls {
			if got := len(s.Calls[i].Patches); got != patches[i] {
				t.Errorf("%s: call %d has %d patches, want %d", name, i, got, patches[i])
			}
		}
	}
	f("parts", [][]string{{part("1", mark)}, {part("1", ""), part("2", mark)}, {part("1", mark), part("2", ""), part("3", mark)}},
		[]string{part("1", ""), part("2", ""), text("3")}, 1, 1, 3)
	f("strings", [][]string{{part("1", mark)}, {text("1"), part("2", mark)}, {part("1", mark), text("2"), part("3", mark)}},
		[]string{text("1"), text("2"), text("3")}, 2, 2, 4)
	f("strings first", [][]string{{text("1")}, {part("1", mark)}}, []string{text("1")}, 0, 2)
	// A client that changes its mind pays once, with items and not with patches.
	f("both", [][]string{{text("1"), text("2")}, {part("1", ""), part("2", "")}, {part("1", ""), part("2", mark)}, {text("1"), part("2", mark)}},
		[]string{text("1"), text("2"), part("1", ""), part("2", "")}, 0, 0, 1, 2)
	f("both at once", [][]string{{part("1", mark), text("1"), part("1", "")}},
		[]string{text("1"), text("1"), part("1", "")}, 2)
	spaced := `{"role":"user","content":[ {"type":"text","text":"1"` + mark + `}]}`
	f("two spellings", [][]string{{part("1", mark)}, {spaced}}, []string{text("1")}, 2, 2)
}

// TestSessionsOfOneFolder takes the session while it is not known in which form a
// message is stored: each session is right by itself.
func TestSessionsOfOneFolder(t *testing.T) {
	f := newFolding(t)
	f.context("a", `{"role":"user","content":[{"type":"text","text":"1"`+mark+`}]}`)
	early := f.done()
	unmarked := `{"role":"user","content":[{"type":"text","text":"1"}]}`
	f.context("a", unmarked, message("assistant", "2"))
	f.context("a", message("assistant", "2"), unmarked)
	late := f.done()
	got, err := fold.Body(nil, early, &early.Calls[0])
	if err != nil || string(got) != f.bodies["a/0"] {
		t.Errorf("the early session gives %s, %v", got, err)
	}
	if a, b := len(early.Calls[0].Patches), len(late.Calls[0].Patches); a != 2 || b != 1 || len(early.Items) != 1 || len(early.Blobs) != 2 {
		t.Errorf("%d patches of %d items at first, %d later", a, len(early.Items), b)
	}
}

// TestRandomForms sends each message as a string, a part or a marked part, as it
// comes, and tells of some of them as answers. Whatever the client does, an element
// without a mark takes no patch.
func TestRandomForms(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 3))
		f := newFolding(t)
		marks := map[string]int{}
		for call := range 20 {
			var messages []string
			for range 1 + rng.IntN(6) {
				form := []string{`%q`, `[{"type":"text","text":%q}]`, `[{"type":"text","text":%q` + mark + `}]`, `[{"text":%q,"type":"text"` + mark + `}]`}[rng.IntN(4)]
				text := fmt.Sprint(rng.IntN(4), " is said")
				messages = append(messages, fmt.Sprintf(`{"role":"user","content":`+form+`}`, text))
				marks[fmt.Sprint("a/", call)] += strings.Count(form, mark)
			}
			f.body("a", `{"messages":[`+strings.Join(messages, ",")+`]}`, messages[:rng.IntN(2)]...)
		}
		s := f.done()
		for i := range s.Calls {
			c := &s.Calls[i]
			if n, most := len(c.Patches), 2*marks[c.CallID]; n > most {
				t.Errorf("seed %d: call %s has %d patches, want at most %d", seed, c.CallID, n, most)
			}
		}
	}
}

// TestAnswerKeepsItsForm has answers that come back with a mark only, or not at all.
func TestAnswerKeepsItsForm(t *testing.T) {
	f := newFolding(t)
	part := func(mark string) string {
		return `{"role":"assistant","content":[{"type":"text","text":"a"` + mark + `}]}`
	}
	f.body("a", `{"messages":[]}`, part(""))
	f.context("a", part(mark))
	s := f.done()
	if got := *s.Blobs[s.Items[0].ContentSHA256].Content; got != part("") || len(s.Items) != 1 || len(s.Calls[1].Patches) != 1 {
		t.Errorf("%d items, the first %s, patches %v", len(s.Items), got, s.Calls[1].Patches)
	}
	if b := s.Items[0].CacheBreakpoint; b == nil || !*b {
		t.Error("an item that was first sent with a mark does not say so")
	}
}
