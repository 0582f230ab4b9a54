package secrets

import "slices"

// automaton finds many literals in one pass (Aho and Corasick, 1975), with a
// table of transitions that needs no failure links while it runs. Columns are
// classes of bytes: those that no literal has share one.
type automaton struct {
	class [256]uint8
	width uint32
	next  []uint32 // [state+class]: a state is a multiple of width, with hit set if literals end there
	depth []uint8  // by state/width: how long the longest literal's start is that ends here
	ends  [][]int32
}

const hit = 1 << 31

// newAutomaton builds the table for literals of at most 255 bytes. The numbers
// that find leads to are indices into them. With fold, case does not matter.
func newAutomaton(literals []string, fold bool) *automaton {
	a := &automaton{width: 1}
	for _, l := range literals {
		for i := range len(l) {
			for _, c := range cases(l[i], fold) {
				if a.class[c] == 0 {
					a.class[c] = uint8(min(a.width, 255)) // of 256 bytes in use two share one
				}
			}
			if c := uint32(a.class[l[i]]); c == a.width && a.width < 255 {
				a.width++
			}
		}
	}
	a.width = 1 + uint32(slices.Max(a.class[:]))
	a.grow(0)
	for id, l := range literals {
		a.insert(l, int32(id))
	}
	a.link()
	return a
}

func cases(c byte, fold bool) []byte {
	if lower := c | 0x20; fold && lower >= 'a' && lower <= 'z' {
		return []byte{lower, lower &^ 0x20}
	}
	return []byte{c}
}

func (a *automaton) grow(depth int) uint32 {
	s := uint32(len(a.next))
	a.next = append(a.next, make([]uint32, a.width)...)
	a.depth = append(a.depth, uint8(depth))
	a.ends = append(a.ends, nil)
	return s
}

func (a *automaton) insert(l string, id int32) {
	s := uint32(0)
	for i := range len(l) {
		at := s + uint32(a.class[l[i]])
		if a.next[at] == 0 {
			to := a.grow(i + 1)
			a.next[at] = to
		}
		s = a.next[at]
	}
	a.ends[s/a.width] = append(a.ends[s/a.width], id)
}

// link fills the gaps of the trie, breadth first: where a state has no way on,
// it goes where the longest shorter state that it ends in would go.
func (a *automaton) link() {
	fail := make([]uint32, len(a.depth))
	queue := []uint32{0}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		for c := range a.width {
			to, back := a.next[s+c], uint32(0)
			if s != 0 {
				back = a.next[fail[s/a.width]+c]
			}
			if to == 0 {
				a.next[s+c] = back
				continue
			}
			n := to / a.width
			fail[n] = back
			a.ends[n] = append(a.ends[n], a.ends[back/a.width]...)
			queue = append(queue, to)
		}
	}
	for i, to := range a.next {
		if len(a.ends[to/a.width]) > 0 {
			a.next[i] = to | hit
		}
	}
}

// find goes on from state s at text[i] until literals end. It returns the
// position behind them and the state, or the end of text and a state without hit.
func (a *automaton) find(text []byte, i int, s uint32) (int, uint32) {
	next, class := a.next, &a.class
	s &^= hit
	for ; i < len(text); i++ {
		s = next[s+uint32(class[text[i]])]
		if s >= hit {
			return i + 1, s
		}
	}
	return i, s
}

// ending is which literals end in state s.
func (a *automaton) ending(s uint32) []int32 { return a.ends[(s&^hit)/a.width] }

// pending is how many of the latest bytes may be the start of a literal.
func (a *automaton) pending(s uint32) int { return int(a.depth[(s&^hit)/a.width]) }
