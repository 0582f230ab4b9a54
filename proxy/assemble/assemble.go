package assemble

import (
	"cmp"
	"fmt"
	"iter"
	"slices"

	"github.com/capstan-bench/capstan/proxy/journal"
	"github.com/capstan-bench/capstan/schema"
)

// Spool is where bodies wait for the second pass: written at the end, read
// anywhere. What is in it is as confidential as the journal.
type Spool interface {
	Write(p []byte) (int, error)
	ReadAt(p []byte, off int64) (int, error)
}

// Config says how sessions are assembled. The zero value is usable.
type Config struct {
	// Count counts the tokens of a text with the dataset's tokenizer; nil leaves
	// the columns that need it null. Recordings of Chat Completions often lack
	// the endpoint's own counts.
	Count     func(text []byte) int
	Tokenizer string // its name
	// Keep says whether a session is built, by its id and its tag; nil: all are.
	Keep func(id, tag string) bool
}

// Assembler turns exchanges into sessions. Its methods are for one goroutine.
type Assembler struct {
	cfg    Config
	shelf  *shelf
	tree   *tree
	calls  []*call
	left   []left
	report Report
	err    error // of the spool; sticks
}

// left is an exchange that is no call.
type left struct{ tag, id, why string }

// New returns an assembler that keeps bodies in spool, which must be empty.
func New(spool Spool, cfg Config) *Assembler {
	return &Assembler{
		cfg: cfg, shelf: newShelf(spool), tree: newTree(),
		report: Report{Left: map[string]int{}, Notes: map[string]int{}, Roles: map[string]int{}},
	}
}

// Report says what became of the exchanges. Nothing is dropped uncounted:
// Exchanges is the sum of Calls, of what is in Left, and of Unselected.
type Report struct {
	Exchanges  int            `json:"exchanges"`            // that were added
	Sessions   int            `json:"sessions"`             // that were built
	Calls      int            `json:"calls"`                // that are rows
	Unselected int            `json:"unselected,omitempty"` // calls of sessions that Config.Keep refused
	Roles      map[string]int `json:"roles,omitempty"`      // calls by their role
	Left       map[string]int `json:"left_out,omitempty"`   // exchanges that are no calls, by why
	Notes      map[string]int `json:"warnings,omitempty"`   // what calls lack, by what
}

// Report returns the report so far. It is complete once Sessions has ended.
func (a *Assembler) Report() Report { return a.report }

// Add takes one exchange in; it keeps none of its memory. The order in which
// exchanges are added does not matter. The error is one of the spool.
func (a *Assembler) Add(x *journal.Exchange) error {
	if a.err != nil {
		return a.err
	}
	a.report.Exchanges++
	c, why := a.read(x)
	if c == nil {
		a.report.Left[why]++
		a.left = append(a.left, left{clean(x.Flow.Session), headIdentity(fieldsOf(x)).session, why})
	} else {
		a.calls = append(a.calls, c)
	}
	if a.shelf.err != nil {
		a.err = fmt.Errorf("spool exchange %s: %w", x.Flow.ID, a.shelf.err)
	}
	return a.err
}

// Sessions yields the sessions in the order of their first calls, one in memory
// at a time. It is to be ranged over once, after the last Add. Iteration ends
// after the first error, which comes with a nil session.
func (a *Assembler) Sessions() iter.Seq2[*schema.Session, error] {
	return func(yield func(*schema.Session, error) bool) {
		for _, g := range a.arrange() {
			if a.cfg.Keep != nil && !a.cfg.Keep(g.id, g.tag) {
				a.report.Unselected += len(g.calls)
				continue
			}
			s, err := a.build(g)
			if err != nil {
				yield(nil, fmt.Errorf("assemble session %s: %w", g.id, err))
				return
			}
			a.report.Sessions++
			a.report.Calls += len(s.Calls)
			if !yield(s, nil) {
				return
			}
		}
	}
}

// arrange decides which calls belong together, and what each is for.
func (a *Assembler) arrange() []*group {
	slices.SortFunc(a.calls, func(x, y *call) int {
		return cmp.Or(cmp.Compare(x.start, y.start), cmp.Compare(x.end, y.end),
			slices.Compare(x.body[:], y.body[:]), cmp.Compare(x.name, y.name))
	})
	for i, c := range a.calls {
		c.order = int32(i)
	}
	a.chain()
	l := newLinker(a)
	l.link()
	groups := l.groups()
	for _, g := range groups {
		g.lanes = l.lanes(g)
	}
	developers(groups)
	a.attribute(groups)
	return groups
}

// attribute gives sessions the exchanges that were left out and bear their names.
func (a *Assembler) attribute(groups []*group) {
	byTag, byID := map[string]*group{}, map[[2]string]*group{}
	for _, g := range groups {
		if g.tag != "" && byTag[g.tag] == nil {
			byTag[g.tag] = g
		}
		for _, c := range g.calls {
			if c.who.session != "" {
				byID[[2]string{c.tag, c.who.session}] = g
			}
		}
	}
	for _, l := range a.left {
		g := byID[[2]string{l.tag, l.id}]
		if g == nil {
			g = byTag[l.tag]
		}
		if g != nil {
			g.left[l.why]++
			g.exchanges++
		}
	}
}
