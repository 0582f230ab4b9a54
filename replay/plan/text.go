package plan

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/fold"
	"github.com/capstan-bench/capstan/schema/wire"
)

// textSource gives the recorded elements of a session, byte for byte. Cache marks
// are left out unless the plan is verbatim: items are stored without them, and
// patches are what puts them back.
type textSource struct {
	session  *schema.Session
	atoms    []atom
	items    []int32 // atom by item, or -1
	bySum    map[content]int32
	verbatim bool
	marked   int // calls whose marks were left out
	next     elements
}

// content is what makes two elements the same atom.
type content struct {
	class class
	sum   [sha256.Size]byte
}

func newTextSource(s *schema.Session, verbatim bool) *textSource {
	t := &textSource{session: s, items: slices.Repeat([]int32{-1}, len(s.Items)), bySum: map[content]int32{}, verbatim: verbatim}
	return t
}

func (t *textSource) table() []atom { return t.atoms }

func (t *textSource) elements(st *draftStep) (elements, error) {
	c := t.session.Calls[st.call]
	t.next.messages, t.next.tools = t.next.messages[:0], t.next.tools[:0]
	if len(c.Patches) > 0 && !t.verbatim {
		t.marked++
		c.Patches = nil
	}
	for e, err := range fold.Elements(t.session, &c) {
		if err != nil {
			return t.next, err
		}
		a, err := t.element(e)
		if err != nil {
			return t.next, err
		}
		if t.atoms[a].class == classTools {
			t.next.tools = append(t.next.tools, a)
		} else {
			t.next.messages = append(t.next.messages, a)
		}
	}
	if len(t.next.messages) == 0 {
		return t.next, fmt.Errorf("read context: it has no messages")
	}
	return t.next, nil
}

// element is the atom of an element of a context.
func (t *textSource) element(e fold.Element) (int32, error) {
	if a := t.items[e.Item]; a >= 0 && !e.Patched {
		return a, nil
	}
	a, err := t.intern(e.Item, e.Text)
	if err == nil && !e.Patched {
		t.items[e.Item] = a
	}
	return a, err
}

// intern is the atom of an element.
func (t *textSource) intern(item int32, text string) (int32, error) {
	it := &t.session.Items[item]
	c := classRest
	switch it.Kind {
	case schema.KindTools:
		c = classTools
	case schema.KindSystem:
		c = classSystem
	}
	key := content{c, sha256.Sum256([]byte(text))}
	if a, ok := t.bySum[key]; ok {
		return a, nil
	}
	if !json.Valid([]byte(text)) {
		return 0, fmt.Errorf("read item %d: it is not valid JSON", item)
	}
	t.atoms = append(t.atoms, atom{
		class: c, user: it.Kind == schema.KindUser, salt: unasked, size: len(text), tokens: unknown,
		write: func(dst []byte) []byte { return append(dst, text...) },
	})
	a := int32(len(t.atoms) - 1)
	t.bySum[key] = a
	return a, nil
}

// saltPoint is where an atom takes a salt, or noSalt.
func (a *atom) saltPoint() int {
	if a.salt == unasked {
		a.salt = noSalt
		if off, ok := wire.SaltPoint(a.write(nil)); ok {
			a.salt = off
		}
	}
	return a.salt
}

// hasText tells whether a session's bodies can come from recorded text, or else
// from token blocks; an error says why from neither.
func hasText(s *schema.Session) (bool, error) {
	why := ""
	for i := range s.Calls {
		c := &s.Calls[i]
		switch {
		case failed(c):
		case c.APIFormat != schema.FormatChat:
			why = fmt.Sprintf("call %d of trajectory %q is in format %q, and only %q can be sent", c.CallIndex, c.TrajectoryID, c.APIFormat, schema.FormatChat)
		case len(c.ContextRanges) == 0:
			why = fmt.Sprintf("call %d of trajectory %q has no context", c.CallIndex, c.TrajectoryID)
		}
	}
	for i := range s.Items {
		if b, ok := s.Blobs[s.Items[i].ContentSHA256]; why == "" && (!ok || b.Content == nil) {
			why = fmt.Sprintf("the content of item %d was withheld", i)
		}
	}
	if why == "" || len(s.Blocks) > 0 {
		return why == "", nil
	}
	return false, fmt.Errorf("choose text: %s, and the session has no token blocks", why)
}
