package fold_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/fold"
)

// random plays a random session: contexts grow, are cut, edited, compacted and
// forked, answers come back as they were or changed.
type random struct {
	rng      *rand.Rand
	folding  *folding
	contexts map[string][]string
	distinct map[string]bool
	serial   int
	tools    []string
}

func (r *random) fresh() string {
	r.serial++
	roles := []string{"user", "assistant", "tool"}
	text := strings.Repeat("é\n\"", r.rng.IntN(20))
	return fmt.Sprintf(`{"role":%q,"content":%q}`, roles[r.rng.IntN(3)], fmt.Sprint(r.serial, text))
}

func (r *random) step() {
	lane := fmt.Sprint("t", r.rng.IntN(3))
	m := slices.Clone(r.contexts[lane])
	switch n := len(m); r.rng.IntN(8) {
	case 0: // cut
		m = m[:r.rng.IntN(n+1)]
	case 1: // edit
		if n > 0 {
			m[r.rng.IntN(n)] = r.fresh()
		}
	case 2: // compact
		if n > 4 {
			m = append([]string{m[0], r.fresh()}, m[n-2:]...)
		}
	case 3: // fork
		m = slices.Clone(r.contexts[fmt.Sprint("t", r.rng.IntN(3))])
	case 4: // repeat
		if n > 0 {
			m = append(m, m[r.rng.IntN(n)])
		}
	}
	for range r.rng.IntN(4) {
		m = append(m, r.fresh())
	}
	r.send(lane, m)
}

func (r *random) send(lane string, m []string) {
	var output []string
	answer := r.fresh()
	if r.rng.IntN(2) == 0 {
		output = append(output, answer)
		r.distinct[answer] = true
	}
	for _, e := range slices.Concat(m, r.tools) {
		r.distinct[e] = true
	}
	sep := []string{",", ", ", ",\n  "}[r.rng.IntN(3)]
	messages, tools := strings.Join(m, sep), strings.Join(r.tools, sep)
	body := `{"messages":[` + messages + `],"tools":[` + tools + `]}`
	if r.rng.IntN(2) == 0 {
		body = `{"tools":[` + tools + `], "x":1, "messages": [ ` + messages + ` ]}`
	}
	r.folding.body(lane, body, output...)
	if r.rng.IntN(4) > 0 {
		m = append(m, answer)
	}
	r.contexts[lane] = m
}

func TestRandomSessions(t *testing.T) {
	for seed := range uint64(60) {
		r := &random{
			rng: rand.New(rand.NewPCG(seed, 9)), folding: newFolding(t),
			contexts: map[string][]string{}, distinct: map[string]bool{},
			tools: []string{`{"function":{"name":"a"}}`, `{"function":{"name":"b"}}`},
		}
		for range 40 {
			r.step()
		}
		s := r.folding.done()
		if len(s.Items) != len(r.distinct) {
			t.Errorf("seed %d: %d items, want one for each of %d distinct elements", seed, len(s.Items), len(r.distinct))
		}
		for i, it := range s.Items {
			if int(it.ItemIndex) != i || it.ContentBytes != int64(len(*s.Blobs[it.ContentSHA256].Content)) {
				t.Errorf("seed %d: item %d is %+v", seed, i, it)
			}
		}
	}
}

// FuzzFold folds what a byte string spells: each byte is a call that keeps so many
// elements of the context before and adds a few, some of them marked.
func FuzzFold(f *testing.F) {
	f.Add([]byte{1, 2, 3, 250, 4, 0x85, 0x86})
	f.Add([]byte("extend, cut, edit and mark"))
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 60 {
			script = script[:60]
		}
		fd := newFolding(t)
		var names []string
		for i, b := range script {
			keep := min(int(b>>3), len(names))
			names = append(slices.Clone(names[:keep]), fmt.Sprint("n", i%7), fmt.Sprint("x", b&3))
			sent := slices.Clone(names)
			for j := range sent {
				if (j+int(b))%4 == 0 {
					sent[j] += "*"
				}
			}
			foldMarked(fd, "sys", strings.Join(sent, " "))
		}
		s := fd.done()
		for i := range s.Calls {
			if n := len(s.Calls[i].ContextRanges); n > int(s.Calls[i].NumContextItems) {
				t.Fatalf("call %d has %d ranges for %d items", i, n, s.Calls[i].NumContextItems)
			}
		}
	})
}

// sample is a small session with patches, as JSON, for tests that damage it.
func sample(t testing.TB) []byte {
	f := newFolding(t)
	foldMarked(f, "s*", "a* b")
	foldMarked(f, "s*", "a b* c* d")
	b, err := json.Marshal(f.done())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBodyDamaged(t *testing.T) {
	original := sample(t)
	f := func(name, want string, damage func(*schema.Session, *schema.Call)) {
		t.Helper()
		var s schema.Session
		if err := json.Unmarshal(original, &s); err != nil {
			t.Fatal(err)
		}
		c := &s.Calls[1]
		damage(&s, c)
		dst := []byte("kept")
		got, err := fold.Body(dst, &s, c)
		if err == nil || !strings.Contains(err.Error(), "a/1") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with the call and %q", name, err, want)
		}
		if string(got) != "kept" {
			t.Errorf("%s: Body returned %q", name, got)
		}
	}
	f("envelope missing", "envelope", func(s *schema.Session, c *schema.Call) { delete(s.Blobs, *c.EnvelopeSHA256) })
	f("blob missing", "item 2", func(s *schema.Session, c *schema.Call) { delete(s.Blobs, s.Items[2].ContentSHA256) })
	f("blob withheld", "withheld", func(s *schema.Session, c *schema.Call) {
		b := s.Blobs[s.Items[2].ContentSHA256]
		b.Content = nil
		s.Blobs[b.ContentSHA256] = b
	})
	f("items missing", "item 1", func(s *schema.Session, c *schema.Call) { s.Items = s.Items[:4] })
	f("patched item missing", "item 77", func(s *schema.Session, c *schema.Call) { c.Patches[2].Item = 77 })
	f("negative item", "item -1", func(s *schema.Session, c *schema.Call) { c.ContextRanges[0].StartItem = -1 })
	f("empty range", "item 0", func(s *schema.Session, c *schema.Call) { c.ContextRanges[0].EndItem = 0 })
	f("slot unknown", "slot 5", func(s *schema.Session, c *schema.Call) { c.ContextRanges[1].Slot = 5 })
	f("slots in disorder", "slot 0", func(s *schema.Session, c *schema.Call) { slices.Reverse(c.ContextRanges) })
	f("range twice", "longer", func(s *schema.Session, c *schema.Call) {
		for range 20 {
			c.ContextRanges = append(c.ContextRanges, c.ContextRanges[1])
		}
	})
	f("range lost", "want the recorded", func(s *schema.Session, c *schema.Call) { c.ContextRanges = c.ContextRanges[:1] })
	f("patches overlap", "item 2", func(s *schema.Session, c *schema.Call) {
		p := c.Patches[1]
		p.Del = 1
		c.Patches = slices.Insert(c.Patches, 1, p)
	})
	f("patch outside", "item 0", func(s *schema.Session, c *schema.Call) { c.Patches[0].Off = 1 << 30 })
	f("patch negative", "item 0", func(s *schema.Session, c *schema.Call) { c.Patches[0].Off = -1 })
	f("patch deletes backwards", "item 0", func(s *schema.Session, c *schema.Call) { c.Patches[0].Del = -1 })
	f("patches in disorder", "stand behind", func(s *schema.Session, c *schema.Call) { slices.Reverse(c.Patches) })
	f("envelope broken", "no end", func(s *schema.Session, c *schema.Call) {
		b := s.Blobs[*c.EnvelopeSHA256]
		*b.Content = strings.Replace(*b.Content, "\x1e]", "]", 1)
	})
	f("length wrong", "longer", func(s *schema.Session, c *schema.Call) { *c.RequestBodyBytes = 3 })
	f("length negative", "longer than the recorded", func(s *schema.Session, c *schema.Call) { *c.RequestBodyBytes = 0 })
}

// FuzzBody rebuilds sessions whose rows are arbitrary: an error at worst.
func FuzzBody(f *testing.F) {
	f.Add(sample(f))
	f.Add([]byte(`{"Calls":[{"ContextRanges":[{"StartItem":0,"EndItem":1}]}],"Items":[{}]}`))
	f.Fuzz(func(t *testing.T, rows []byte) {
		var s schema.Session
		if json.Unmarshal(rows, &s) != nil || len(rows) > 1<<16 {
			return
		}
		for i := range s.Calls {
			c := &s.Calls[i]
			body, err := fold.Body(nil, &s, c)
			if err == nil && c.RequestBodyBytes != nil && int64(len(body)) != *c.RequestBodyBytes {
				t.Fatalf("rebuilt %d bytes, recorded %d", len(body), *c.RequestBodyBytes)
			}
			n := 0
			for range fold.Elements(&s, c) {
				if n++; n > 1000 {
					break
				}
			}
		}
	})
}
