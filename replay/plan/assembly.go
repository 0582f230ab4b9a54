package plan

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// assembly makes the bodies and prompts of one session's steps.
type assembly struct {
	draft  *draft
	cfg    Config
	source source
	ends   *ends
	body   bodies
	prompt *trie
	tools  toolLists
	leaves []leaf
	keys   []int32
	log    []byte // where bodies lie and what ends them, for the plan's hash
}

// leaf is where a step's content ends in the trees.
type leaf struct {
	body, prompt, tools int32
	salts               salts
}

func newAssembly(d *draft, cfg Config, source source, all *envelopes) *assembly {
	return &assembly{
		draft: d, cfg: cfg, source: source, prompt: newTrie(),
		ends:  &ends{all: all, session: d.session, bySum: map[string]end{}},
		body:  bodies{tree: newTrie()},
		tools: toolLists{tree: newTrie(), byNode: map[int32]shared{}},
	}
}

// gather asks the source for each step's content and puts it in the trees.
func (a *assembly) gather() error {
	for i := range a.draft.steps {
		st := &a.draft.steps[i]
		c, err := a.source.elements(st)
		if err != nil {
			ref := a.draft.calls[st.call]
			return fmt.Errorf("call %d of trajectory %q: %w", ref.Index, a.draft.lanes[ref.Lane], err)
		}
		a.body.atoms = a.source.table()
		l := leaf{salts: salts{-1, -1}}
		if !a.cfg.NoSalt {
			l.salts = a.salted(c.messages)
		}
		l.body = a.body.add(c.messages)
		l.tools = a.tools.tree.insert(c.tools)
		l.prompt = a.template(c, l.salts)
		a.leaves = append(a.leaves, l)
	}
	return nil
}

// salted chooses the messages that take the salts: the probe's goes into the
// first message that has text, which is the system's where there is one; the
// play's into the first user message that has text, else where the probe's is.
func (a *assembly) salted(messages []int32) salts {
	s := salts{-1, -1}
	for i, m := range messages {
		at := &a.body.atoms[m]
		if s.probe >= 0 && !at.user || at.saltPoint() == noSalt {
			continue
		}
		if s.probe < 0 {
			s.probe = i
		}
		if at.user {
			s.play = i
			return s
		}
	}
	s.play = s.probe
	return s
}

// template adds a step's prompt in template order: leading system messages,
// tools, the other messages. A key is an atom and the salts that it takes.
func (a *assembly) template(c elements, s salts) int32 {
	a.keys = a.keys[:0]
	lead := 0
	for lead < len(c.messages) && a.body.atoms[c.messages[lead]].class == classSystem {
		lead++
	}
	message := func(i int) { a.keys = append(a.keys, c.messages[i]<<2|int32(s.flags(i))) }
	for i := range lead {
		message(i)
	}
	for _, t := range c.tools {
		a.keys = append(a.keys, t<<2)
	}
	for i := lead; i < len(c.messages); i++ {
		message(i)
	}
	return a.prompt.insert(a.keys)
}

// steps lays the bytes out and makes the steps, with the end of each body for an
// answer of one token.
func (a *assembly) steps() (steps []Step, short [][]byte, tree *prompts, err error) {
	a.lay()
	steps = make([]Step, len(a.leaves))
	short = make([][]byte, len(a.leaves))
	var segs [][]byte
	var at []int // end of each step's segments
	for i, l := range a.leaves {
		st := &a.draft.steps[i]
		members, err := a.ends.of(&a.draft.session.Calls[st.call])
		if err != nil {
			return nil, nil, nil, err
		}
		segs, a.log = a.body.segs(segs, a.log, l.body, l.salts)
		for _, s := range []shared{a.tools.byNode[l.tools], a.ends.all.tail(members, a.cfg.limit(st))} {
			segs = append(segs, s.text)
			a.log = binary.AppendUvarint(a.log, s.number)
		}
		short[i] = a.ends.all.tail(members, 1).text
		at = append(at, len(segs))
		steps[i] = Step{
			Call: st.call, Lane: st.lane, After: st.after, Input: st.input, Output: st.output, Turn: st.turn,
		}
	}
	from := 0
	for i, to := range at {
		steps[i].Body = newBody(segs[from:to:to])
		from = to
	}
	tree = a.prompts(steps)
	return steps, short, tree, nil
}

func newBody(segs [][]byte) Body {
	b := Body{Segs: segs}
	for _, s := range segs {
		b.Len += int64(len(s))
		if s == nil {
			b.Len += SaltLen
		}
	}
	return b
}

// lay writes the messages' slab and the lists of tools.
func (a *assembly) lay() {
	bodies := make([]int32, len(a.leaves))
	for i, l := range a.leaves {
		bodies[i] = l.body
	}
	a.body.lay(bodies)
	for _, l := range a.leaves {
		if _, ok := a.tools.byNode[l.tools]; !ok {
			a.tools.byNode[l.tools] = a.ends.all.intern(a.tools.encode(l.tools, a.body.atoms))
		}
	}
}

// prompts makes the steps' pieces. Steps of a lane most often go on from one
// another, so a prompt that begins with the whole one before shares its memory.
func (a *assembly) prompts(steps []Step) *prompts {
	tree, of := promptsOf(a.prompt, a.body.atoms, a.text, a.cfg.NoSalt)
	tree.leaf = make([]int32, len(steps))
	for i, l := range a.leaves {
		tree.leaf[i] = of[l.prompt]
	}
	last := make([][]Piece, len(a.draft.lanes))
	var all []Piece
	for i := range steps {
		all = tree.pieces(all[:0], i)
		have := last[steps[i].Lane]
		if n := len(have); n > len(all) || !slices.Equal(have, all[:n]) {
			have = nil
		}
		have = append(have, all[len(have):]...)
		last[steps[i].Lane] = have
		steps[i].Prompt = slices.Clip(have)
	}
	tree.ideal(steps)
	return tree
}

// text is an atom's bytes: from the slab, or of a tool.
func (a *assembly) text(atom int32) []byte {
	if b := a.body.text(atom); b != nil {
		return b
	}
	return a.body.atoms[atom].appendExact(nil)
}

// toolLists encodes each list of tools once.
type toolLists struct {
	tree   *trie
	byNode map[int32]shared
}

// encode is what stands in a body between the last message and the end: the end
// of the messages, and the tools.
func (t *toolLists) encode(node int32, atoms []atom) []byte {
	out := []byte{']'}
	for i, key := range t.tree.keys(nil, node) {
		if i == 0 {
			out = append(out, `,"tools":[`...)
		} else {
			out = append(out, ',')
		}
		out = atoms[key].appendExact(out)
	}
	if node != 0 {
		out = append(out, ']')
	}
	return out
}
