package fold_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/fold"
	"github.com/capstan-bench/capstan/schema/wire"
)

// entry is one element of a context in no dialect.
type entry struct {
	kind string // user, assistant, answer, result or summary
	n    int
	pad  int // bytes of text besides
}

// client writes bodies in the manner of one agent.
type client struct {
	name, format string
	body         func(rng *rand.Rand, context []entry, call int) string
	volatile     int // elements that are new in every call
	fixed        int // elements that are the same in every call
}

func (e entry) text() string {
	return fmt.Sprintf("%s %d é\n\"%s", e.kind, e.n, strings.Repeat("if err != nil {\n\t", e.pad/16))
}

func list(context []entry, f func(i int, e entry) string) string {
	var out []string
	for i, e := range context {
		out = append(out, f(i, e))
	}
	return strings.Join(out, ",")
}

// marked text is a string unless it is marked, or always a part.
func anthropicText(e entry, marked, parts bool) string {
	switch {
	case marked:
		return fmt.Sprintf(`[{"type":"text","text":%q%s}]`, e.text(), mark)
	case parts:
		return fmt.Sprintf(`[{"type":"text","text":%q}]`, e.text())
	}
	return fmt.Sprintf("%q", e.text())
}

func anthropicMessage(e entry, marked, parts bool) string {
	end := ""
	if marked {
		end = mark
	}
	switch e.kind {
	case "assistant":
		return fmt.Sprintf(`{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"S%[1]d=="},{"type":"tool_use","id":"t%[1]d","name":"Bash","input":{"command":%[2]q}}]}`, e.n, e.text())
	case "answer":
		return fmt.Sprintf(`{"role":"assistant","content":%s}`, anthropicText(e, marked, true))
	case "result":
		return fmt.Sprintf(`{"role":"user","content":[{"tool_use_id":"t%d","type":"tool_result","content":%q%s}]}`, e.n, e.text(), end)
	}
	return fmt.Sprintf(`{"role":"user","content":%s}`, anthropicText(e, marked, parts))
}

func clients() []client { return clientsWith(mark) }

// clientsWith has clients that mark with the given text; with "" they send what
// they would send if there were no marks.
func clientsWith(mark string) []client {
	claude := func(parts bool) func(*rand.Rand, []entry, int) string {
		return func(_ *rand.Rand, context []entry, call int) string {
			messages := list(context, func(i int, e entry) string { return anthropicMessage(e, mark != "" && i >= len(context)-2, parts) })
			return fmt.Sprintf(`{"model":"c","messages":[%s],"system":[{"type":"text","text":"cch=%d"},{"type":"text","text":"You code."%s}],`+
				`"tools":[{"name":"Bash","input_schema":{%s}},{"name":"Read"%s}],"max_tokens":9,"stream":true,"diagnostics":{"n":%d}}`,
				messages, call, mark, strings.TrimPrefix(mark, ","), mark, call)
		}
	}
	return []client{
		{"claude", wire.FormatMessages, claude(false), 1, 3},
		{"opencode-anthropic", wire.FormatMessages, claude(true), 1, 3},
		{"plain-system", wire.FormatMessages, func(_ *rand.Rand, context []entry, _ int) string {
			return fmt.Sprintf(`{"system": "You code.", "messages": [%s]}`, list(context, func(_ int, e entry) string { return anthropicMessage(e, false, true) }))
		}, 0, 1},
		{"codex", wire.FormatResponses, codexBody, 0, 3},
		{"gemini", wire.FormatGemini, func(_ *rand.Rand, context []entry, _ int) string {
			return `{` + geminiRequest(context) + `}`
		}, 0, 2},
		{"code-assist", wire.FormatGemini, func(_ *rand.Rand, context []entry, call int) string {
			return fmt.Sprintf(`{"model":"g","project":"p","user_prompt_id":"%d","request":{%s,"session_id":"s"}}`, call, geminiRequest(context))
		}, 0, 2},
		{"qwen-marked", wire.FormatChat, func(_ *rand.Rand, context []entry, _ int) string {
			return fmt.Sprintf(`{"model":"q","messages":[{"role":"system","content":[{"type":"text","text":"You code."%s}]},%s],"tools":[{"type":"function","function":{"name":"f"}%s}]}`, mark,
				list(context, func(i int, e entry) string {
					role := map[string]string{"user": "user", "assistant": "assistant", "answer": "assistant", "result": "tool", "summary": "user"}[e.kind]
					return fmt.Sprintf(`{"role":%q,"content":%s}`, role, anthropicText(e, mark != "" && i == len(context)-1, false))
				}), mark)
		}, 0, 2},
	}
}

// codexBody has metadata whose order is random.
func codexBody(rng *rand.Rand, context []entry, call int) string {
	input := list(context, func(_ int, e entry) string {
		switch e.kind {
		case "assistant":
			return fmt.Sprintf(`{"type":"function_call","name":"shell","arguments":%q,"call_id":"c%d"}`, e.text(), e.n)
		case "result":
			return fmt.Sprintf(`{"type":"function_call_output","call_id":"c%d","output":%q}`, e.n, e.text())
		case "answer":
			return fmt.Sprintf(`{"type":"message","role":"assistant","content":[{"type":"output_text","text":%q}]}`, e.text())
		case "summary":
			return fmt.Sprintf(`{"type":"compaction","encrypted_content":%q}`, e.text())
		}
		return fmt.Sprintf(`{"type":"message","role":"user","content":[{"type":"input_text","text":%q}]}`, e.text())
	})
	metadata := []string{`"session_id":"s"`, fmt.Sprintf(`"turn_id":"%d"`, call), `"thread_id":"t"`}
	rng.Shuffle(len(metadata), func(i, j int) { metadata[i], metadata[j] = metadata[j], metadata[i] })
	return fmt.Sprintf(`{"model":"x","instructions":"You code.","input":[%s],"tools":[{"type":"function","name":"shell"},{"type":"web_search"}],"store":false,"client_metadata":{%s}}`,
		input, strings.Join(metadata, ","))
}

func geminiRequest(context []entry) string {
	return `"contents":[` + list(context, func(_ int, e entry) string {
		switch e.kind {
		case "assistant":
			return fmt.Sprintf(`{"role":"model","parts":[{"functionCall":{"name":"ls","args":{"p":%q}},"thoughtSignature":"S%d"}]}`, e.text(), e.n)
		case "answer":
			return fmt.Sprintf(`{"role":"model","parts":[{"text":%q}]}`, e.text())
		case "result":
			return fmt.Sprintf(`{"role":"user","parts":[{"functionResponse":{"name":"ls","response":{"output":%q}}}]}`, e.text())
		}
		return fmt.Sprintf(`{"role":"user","parts":[{"text":%q}]}`, e.text())
	}) + `],"systemInstruction":{"parts":[{"text":"You code."}],"role":"user"},"tools":[{"functionDeclarations":[{"name":"ls"}]}]`
}

// dialectSession plays a random session of a client: contexts grow, compact, fork,
// are cut and sent again.
type dialectSession struct {
	rng      *rand.Rand
	client   client
	folding  *folding
	lanes    map[string][]entry
	distinct map[entry]bool
	calls, n int
}

func (d *dialectSession) grow(context []entry) []entry {
	d.n++
	switch d.rng.IntN(5) {
	case 0:
		return append(context, entry{kind: "user", n: d.n})
	case 1:
		return append(context, entry{kind: "answer", n: d.n}, entry{kind: "user", n: d.n})
	}
	return append(context, entry{kind: "assistant", n: d.n}, entry{kind: "result", n: d.n})
}

func (d *dialectSession) step() {
	lane := fmt.Sprint("t", d.rng.IntN(3))
	context := slices.Clone(d.lanes[lane])
	switch n := len(context); d.rng.IntN(10) {
	case 0: // compaction
		if n > 4 {
			d.n++
			context = append([]entry{{kind: "summary", n: d.n}}, context[n-2:]...)
		}
	case 1: // fork
		context = slices.Clone(d.lanes[fmt.Sprint("t", d.rng.IntN(3))])
	case 2: // back
		context = context[:d.rng.IntN(n+1)]
	case 3: // a retry
	default:
		context = d.grow(context)
	}
	if len(context) == 0 {
		context = d.grow(context)
	}
	d.send(lane, context)
}

func (d *dialectSession) send(lane string, context []entry, output ...string) {
	d.calls++
	body := d.client.body(d.rng, context, d.calls)
	l, err := wire.Split(d.client.format, []byte(body))
	if err != nil {
		d.folding.t.Fatalf("%s: %v in %s", d.client.name, err, body)
	}
	d.folding.layout(lane, d.client.format, l, body, output...)
	d.lanes[lane] = context
	for _, e := range context {
		d.distinct[e] = true
	}
}

func newDialectSession(t testing.TB, c client, seed uint64) *dialectSession {
	return &dialectSession{
		rng: rand.New(rand.NewPCG(seed, 11)), client: c, folding: newFolding(t),
		lanes: map[string][]entry{}, distinct: map[entry]bool{},
	}
}

func TestRandomSessionsOfDialects(t *testing.T) {
	for _, c := range clients() {
		for seed := range uint64(12) {
			d := newDialectSession(t, c, seed)
			for range 40 {
				d.step()
			}
			s := d.folding.done()
			if want := len(d.distinct) + c.fixed + c.volatile*d.calls; len(s.Items) != want {
				t.Errorf("%s, seed %d: %d items, want %d", c.name, seed, len(s.Items), want)
			}
			for i := range s.Calls {
				checkDialect(t, c, s, &s.Calls[i])
			}
		}
	}
}

// checkDialect compares the elements of a call with what its body splits into, and
// its hashes with whether system and tools are there.
func checkDialect(t *testing.T, c client, s *schema.Session, call *schema.Call) {
	t.Helper()
	body, err := fold.Body(nil, s, call)
	if err != nil {
		t.Fatal(err)
	}
	l, err := wire.Split(c.format, body)
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for e, err := range fold.Elements(s, call) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Text)
	}
	for _, slot := range l.Slots {
		for _, e := range slot {
			want = append(want, string(e.Bytes))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: elements of %s (-want +got):\n%s", c.name, call.CallID, diff)
	}
	if call.SystemSHA256 == nil || (call.ToolsSHA256 == nil) != (c.name == "plain-system") {
		t.Errorf("%s: call %s: system %v, tools %v", c.name, call.CallID, call.SystemSHA256, call.ToolsSHA256)
	}
}

// TestLongSessionsOfDialects grows one context for a hundred turns: each call adds
// its new elements and nothing else, and shares all of the one before.
func TestLongSessionsOfDialects(t *testing.T) {
	for _, c := range clients() {
		d := newDialectSession(t, c, 1)
		var context []entry
		lengths := []int{}
		for range 100 {
			context = d.grow(context)
			lengths = append(lengths, len(context))
			d.send("a", slices.Clone(context))
		}
		s := d.folding.done()
		if want := len(context) + c.fixed + c.volatile*100; len(s.Items) != want {
			t.Errorf("%s: %d items, want %d", c.name, len(s.Items), want)
		}
		for i := 1; i < len(s.Calls); i++ {
			shared := int(*s.Calls[i].SharedPrefixItems)
			want := lengths[i-1] + c.fixed
			if c.volatile > 0 {
				want = 0 // the system prompt begins with what is new
			}
			if shared != want {
				t.Errorf("%s: call %d shares %d items, want %d", c.name, i, shared, want)
			}
			if want := lengths[i] - lengths[i-1] + c.volatile; int(*s.Calls[i].NewItems) != want {
				t.Errorf("%s: call %d has %d new items, want %d", c.name, i, *s.Calls[i].NewItems, want)
			}
			if n := len(s.Calls[i].Patches); c.name == "claude" && n > 8 {
				t.Errorf("%s: call %d has %d patches", c.name, i, n)
			}
		}
	}
}

// TestOutputsOfDialects folds answers in each dialect's own form: the next call
// finds them.
func TestOutputsOfDialects(t *testing.T) {
	f := func(format, before, output, after string) {
		t.Helper()
		fd := newFolding(t)
		l, err := wire.Split(format, []byte(before))
		if err != nil {
			t.Fatal(err)
		}
		fd.layout("a", format, l, before, output)
		l, err = wire.Split(format, []byte(after))
		if err != nil {
			t.Fatal(err)
		}
		fd.layout("a", format, l, after)
		s := fd.done()
		if start := s.Calls[0].OutputStartItem; start == nil || *s.Calls[1].NewItems != 0 {
			t.Errorf("%s: output %v, %d new items", format, start, *s.Calls[1].NewItems)
		}
	}
	f(wire.FormatMessages, `{"messages":[`+anthropicMessage(entry{kind: "user", n: 1}, true, false)+`]}`, `{"role":"assistant","content":[{"type":"text","text":"ok"}]}`,
		`{"messages":[`+anthropicMessage(entry{kind: "user", n: 1}, false, false)+`,{"role":"assistant","content":[{"type":"text","text":"ok"`+mark+`}]}]}`)
	f(wire.FormatResponses, `{"input":[]}`, `{"type":"reasoning","summary":[]}`, `{"input":[{"type":"reasoning","summary":[]}]}`)
	f(wire.FormatGemini, `{"contents":[]}`, `{"role":"model","parts":[]}`, `{"contents":[{"role":"model","parts":[]}]}`)

	fd := newFolding(t)
	c := schema.Call{CallID: "x", APIFormat: wire.FormatGemini}
	if err := fd.folder.Call("a", c, wire.Layout{}, nil, [][]byte{[]byte(`{"role":`)}); err == nil {
		t.Error("a broken output was folded")
	}
}
