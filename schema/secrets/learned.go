package secrets

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Bounds of what is learned.
const (
	maxSecrets = 512  // the oldest that came from the wire makes room
	maxPinned  = 256  // of the child's environment, which are kept
	maxPiece   = 1024 // longer secrets are learned in pieces
	maxLength  = 32 << 10
	minSecret  = 8
	startBytes = 8 // of a spelling that the automaton looks for; no more than the shortest spelling has
)

// Learned is a set of exact secrets. It is safe for any number of goroutines.
type Learned struct {
	seal    seal
	current atomic.Pointer[patterns] // nil when out of date
	guarded struct {
		sync.Mutex
		known  map[string]*secret
		order  []*secret // oldest first
		pinned int
	}
}

type secret struct {
	text   string
	rule   string
	hash   string
	digits bool // it can stand where JSON has a number
	pinned bool
}

// patterns is what Redactors look for. It does not change.
type patterns struct {
	*forms
	auto   *automaton
	all    []pattern
	starts [][]int32 // by literal of auto: patterns that can start so
}

// NewLearned returns an empty set. key makes the hashes in the placeholders.
func NewLearned(key []byte) *Learned {
	l := &Learned{seal: seal{key}}
	l.guarded.known = map[string]*secret{}
	return l
}

// Add learns a secret, for good if pinned, and reports whether the set has it.
// rule is for the placeholder.
//
// Not learned is what could stand in a text by chance: less than 8 bytes or more
// than 32 KiB, fewer than 6 different characters (8 in long ones), letters and
// separators only unless there are 20 of them, digits only unless 16, two kinds
// of characters only unless 16 bytes long, paths and URLs.
func (l *Learned) Add(rule, text string, pinned bool) bool {
	text = strings.Trim(text, "\\ \t\r\n") // a backslash at either end would tear a neighbouring escape
	if !worthy(text) {
		return false
	}
	for len(text) > maxPiece {
		n := maxPiece
		if rest := len(text) - n; rest < minSecret*2 {
			n -= minSecret * 2
		}
		if !l.add(rule, text[:n], pinned) {
			return false
		}
		text = text[n:]
	}
	return l.add(rule, text, pinned)
}

func (l *Learned) add(rule, text string, pinned bool) bool {
	g := &l.guarded
	g.Lock()
	defer g.Unlock()
	if s := g.known[text]; s != nil {
		return true
	}
	if pinned && g.pinned == maxPinned {
		pinned = false
	}
	if len(g.order) == maxSecrets {
		i := slices.IndexFunc(g.order, func(s *secret) bool { return !s.pinned })
		delete(g.known, g.order[i].text)
		g.order = slices.Delete(g.order, i, i+1)
	}
	s := &secret{text: text, rule: rule, hash: l.seal.hash8(text), digits: only(text, digit), pinned: pinned}
	if pinned {
		g.pinned++
	}
	g.known[text] = s
	g.order = append(g.order, s)
	l.current.Store(nil)
	return true
}

// Len is how many secrets, or pieces of long ones, the set holds.
func (l *Learned) Len() int {
	l.guarded.Lock()
	defer l.guarded.Unlock()
	return len(l.guarded.order)
}

// patterns builds the automaton when secrets were added since the last time.
func (l *Learned) patterns() *patterns {
	if p := l.current.Load(); p != nil {
		return p
	}
	l.guarded.Lock()
	defer l.guarded.Unlock()
	if p := l.current.Load(); p != nil {
		return p
	}
	p := newPatterns(l.guarded.order)
	l.current.Store(p)
	return p
}

func newPatterns(order []*secret) *patterns {
	p := &patterns{forms: newForms()}
	ids := map[string]int{}
	var literals []string
	for _, s := range order {
		for _, one := range p.spellings(s) {
			for _, start := range p.forms.starts(one.units, startBytes) {
				id, known := ids[start]
				if !known {
					id = len(literals)
					ids[start] = id
					literals = append(literals, start)
					p.starts = append(p.starts, nil)
				}
				p.starts[id] = append(p.starts[id], int32(len(p.all)))
			}
			p.all = append(p.all, one)
		}
	}
	p.auto = newAutomaton(literals, false)
	return p
}

// at returns the longest secret at text[i:], where the literals of state s end.
// wait says that more text is needed to know.
func (p *patterns) at(text []byte, i int, s uint32) (found *secret, n int, wait bool) {
	for _, id := range p.auto.ending(s) {
		for _, k := range p.starts[id] {
			one := &p.all[k]
			m, more := p.match(one, text, i)
			wait = wait || more
			if m > n {
				found, n = one.secret, m
			}
		}
	}
	return found, n, wait
}
