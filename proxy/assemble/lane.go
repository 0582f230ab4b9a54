package assemble

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/capstan-bench/capstan/schema"
)

// lane is an agent of a session.
type lane struct {
	id     string
	key    string // as requests name it, or ""
	calls  []*call
	parent *lane
	by     *call // call of the parent whose answer spawned it, where that is known
	byTool int   // place among its tool calls, or -1
	turns  int
	latest *call // turn
	open   []*call
}

// first is the lane's first call.
func (l *lane) first() *call { return l.calls[0] }

// lanes tells the agents of a session apart, and settles what each call is for.
func (l *linker) lanes(g *group) []*lane {
	s := &sorter{byKey: map[string]*lane{}}
	for _, c := range g.calls {
		s.place(c)
	}
	s.settle(g)
	root := s.root()
	for _, a := range s.lanes {
		s.raise(a, root)
	}
	l.titles(g, root)
	ordered := order(s.lanes, root)
	name(ordered)
	for _, a := range ordered {
		a.number()
	}
	return ordered
}

// sorter places the calls of one session.
type sorter struct {
	lanes   []*lane
	byKey   map[string]*lane
	waiting []*call // off the main chain, before any turn
	latest  *call   // turn of any lane
}

func (s *sorter) place(c *call) {
	switch {
	case c.who.lane != "":
		s.add(s.keyed(c.who.lane), c)
	case c.retry != nil && c.retry.lane != nil:
		s.add(c.retry.lane, c)
	case c.off:
		s.aside(c)
	case c.pred != nil && c.pred.lane != nil:
		s.follow(c)
	default:
		s.start(c)
	}
}

// start places a turn that carries nothing on. If nothing spawned it and the
// session's first agent had come to an end, that has been given a new context;
// else it is another agent.
func (s *sorter) start(c *call) {
	if len(s.lanes) > 0 && c.by == nil && !c.who.sub {
		if p := s.lanes[0].latest; p != nil && len(p.asked) == 0 && !s.lanes[0].busy(c) {
			c.rewrote = true
			s.add(s.lanes[0], c)
			return
		}
	}
	s.add(s.fresh(""), c)
}

func (s *sorter) keyed(key string) *lane {
	a := s.byKey[key]
	if a == nil {
		a = s.fresh(key)
		s.byKey[key] = a
	}
	return a
}

func (s *sorter) fresh(key string) *lane {
	a := &lane{key: key, byTool: -1}
	s.lanes = append(s.lanes, a)
	return a
}

// aside places a call off the main chain: with what its context goes on from,
// else with the turn that went on when it began.
func (s *sorter) aside(c *call) {
	switch {
	case c.pred != nil && c.pred.lane != nil:
		s.add(c.pred.lane, c)
	case s.latest != nil:
		s.add(s.latest.lane, c)
	default:
		s.waiting = append(s.waiting, c)
	}
}

// follow places a turn behind the one that it carries on. If that has been
// carried on already, and what came of it is still at work, this is a fork: an
// agent of its own.
func (s *sorter) follow(c *call) {
	a := c.pred.lane
	if a.latest != c.pred && a.latest != nil && c.pred.role.chained() && a.busy(c) {
		fork := s.fresh("")
		c.by, c.byTool = c.pred, -1
		s.add(fork, c)
		return
	}
	s.add(a, c)
}

// busy says whether a turn of the agent is being answered when c begins.
func (a *lane) busy(c *call) bool {
	a.open = slices.DeleteFunc(a.open, func(p *call) bool { return p.end >= 0 && p.end <= c.start })
	return len(a.open) > 0
}

func (s *sorter) add(a *lane, c *call) {
	c.lane = a
	a.calls = append(a.calls, c)
	if c.off {
		return
	}
	c.role = roleTurn
	if c.retry == nil {
		a.turns++
	}
	a.latest, s.latest = c, c
	a.open = append(a.open, c)
}

// settle places what is left, with the first agent.
func (s *sorter) settle(g *group) {
	if len(s.lanes) == 0 {
		s.fresh("")
	}
	for _, c := range s.waiting {
		a := s.lanes[0]
		if s.latest != nil {
			a = s.root()
		}
		c.lane = a
		a.calls = append(a.calls, c)
	}
	s.lanes = slices.DeleteFunc(s.lanes, func(a *lane) bool { return len(a.calls) == 0 })
	for _, a := range s.lanes {
		slices.SortFunc(a.calls, func(x, y *call) int { return cmp.Compare(x.order, y.order) })
	}
}

// root is the session's own agent: the one that requests call so, else the first
// with a turn that nothing says is a sub-agent.
func (s *sorter) root() *lane {
	score := func(a *lane) int {
		n := 0
		for i, yes := range []bool{a.turns > 0, a.turns > 0 && a.spawnedBy() == nil, !a.sub(), a.key == mainLane} {
			if yes {
				n |= 1 << i
			}
		}
		return n
	}
	best := s.lanes[0]
	for _, a := range s.lanes[1:] {
		if score(a) > score(best) {
			best = a
		}
	}
	return best
}

func (a *lane) sub() bool {
	return slices.ContainsFunc(a.calls, func(c *call) bool { return c.who.sub })
}

// spawnedBy is the call that the agent's first turn hangs on.
func (a *lane) spawnedBy() *call {
	for _, c := range a.calls {
		if !c.off {
			return c.by
		}
	}
	return nil
}

// raise finds an agent's parent: the one whose tool call spawned it, else the one
// that its requests name, else the root.
func (s *sorter) raise(a, root *lane) {
	if a == root {
		return
	}
	for _, c := range a.calls {
		if c.by != nil && c.by.lane != nil && a.mayHang(c.by.lane, root) {
			a.parent, a.by, a.byTool = c.by.lane, c.by, c.byTool
			return
		}
	}
	for _, c := range a.calls {
		if above := s.byKey[c.who.above]; c.who.above != "" && above != nil && a.mayHang(above, root) {
			a.parent = above
			break
		}
	}
	if a.parent == nil {
		a.parent = root
	}
	if !a.sub() {
		return // nothing says that it was spawned
	}
	// No tool call names what it does: its parent's turn that went on, or had just ended.
	for _, c := range a.parent.calls {
		if !c.off && c.start < a.first().start {
			a.by = c
		}
	}
	if a.by != nil {
		a.byTool = a.by.spawning(a.first().start)
	}
}

// spawning is the latest tool call of an answer that was whole at an instant, can
// have spawned an agent and has not.
func (c *call) spawning(at int64) int {
	for i := range slices.Backward(c.asked) {
		if t := &c.asked[i]; t.raises && !t.taken && t.at <= at {
			t.taken = true
			return i
		}
	}
	return -1
}

// mayHang says whether a parent would close no circle.
func (a *lane) mayHang(parent, root *lane) bool {
	for p := parent; p != nil; p = p.parent {
		if p == a {
			return false
		}
		if p == root {
			return true
		}
	}
	return true
}

// order sorts agents so that parents stand before their children, and siblings
// by their first calls.
func order(lanes []*lane, root *lane) []*lane {
	children := map[*lane][]*lane{}
	for _, a := range lanes {
		if a != root {
			children[a.parent] = append(children[a.parent], a)
		}
	}
	out := []*lane{root}
	for i := 0; i < len(out); i++ {
		next := children[out[i]]
		slices.SortStableFunc(next, func(x, y *lane) int { return cmp.Compare(x.first().order, y.first().order) })
		out = append(out, next...)
	}
	return out
}

// name gives the agents their ids: main, and what requests call them or a number.
func name(lanes []*lane) {
	taken := map[string]bool{}
	for i, a := range lanes {
		id := a.key
		switch {
		case i == 0:
			id = mainLane
		case id == "" || id == mainLane:
			id = "agent-" + strconv.Itoa(i)
		}
		for n := 2; taken[id]; n++ {
			id = cmp.Or(a.key, "agent-"+strconv.Itoa(i)) + "~" + strconv.Itoa(n)
		}
		taken[id], a.id = true, id
	}
}

// number gives the calls their places. Attempts at the same call share one.
func (a *lane) number() {
	var attempts []int32 // by place
	for _, c := range a.calls {
		if c.retry != nil && c.retry.lane == a {
			c.index = c.retry.index
			attempts[c.index]++
			c.attempt = attempts[c.index]
			continue
		}
		c.retry = nil
		c.index = int32(len(attempts))
		attempts = append(attempts, 0)
	}
	slices.SortStableFunc(a.calls, func(x, y *call) int {
		return cmp.Or(cmp.Compare(x.index, y.index), cmp.Compare(x.attempt, y.attempt))
	})
}

// titleText is the longest answer that is taken for a title.
const titleText = 400

// titles tells the calls that name the session from others off the main chain:
// they have no tools, a short answer and a text of the first turn's, and began
// before its second turn.
func (l *linker) titles(g *group, root *lane) {
	var turns []*call
	for _, c := range root.calls {
		if !c.off && c.retry == nil {
			turns = append(turns, c)
		}
	}
	if len(turns) == 0 {
		return
	}
	texts := map[uint64]bool{}
	for _, e := range l.openingOf(turns[0], 0) {
		for _, p := range slices.Concat(e.parts, e.lines) {
			texts[p] = true
		}
	}
	for _, c := range g.calls {
		early := len(turns) < 2 || c.start <= turns[1].start
		if c.role != roleSide || !c.noTools || !early || c.said > titleText || len(c.asked) > 0 {
			continue
		}
		for _, e := range l.openingOf(c, 0) {
			if slices.ContainsFunc(slices.Concat(e.parts, e.lines), func(p uint64) bool { return texts[p] }) {
				c.role = roleTitle
			}
		}
	}
}

// purpose is the column of that name.
func (c *call) purpose() string {
	switch c.role {
	case roleSummary:
		return schema.PurposeSummary
	case roleTitle:
		return schema.PurposeTitle
	case roleTurn, roleUnknown:
		return schema.PurposeMain
	}
	return schema.PurposeSide
}
