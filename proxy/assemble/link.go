package assemble

import (
	"slices"

	"github.com/capstan-bench/capstan/schema/wire"
)

// linker finds for each call the one whose conversation it carries on. Calls are
// taken in the order of time, so what a call can hang on has been seen.
type linker struct {
	calls  []*call
	tree   *tree
	ends   map[int32][]*call  // calls by context
	issued map[uint64][]*call // calls by the tool calls of their answers
	asks   map[uint64][]ask   // tool calls by the texts of their arguments
	quoted map[uint64][]*call // calls by the lines of their answers
	tails  map[laneKey]*call  // latest turn of an agent that its requests name, or the compaction after it
	recent map[scope][]*call  // turns of conversations that nothing names, the latest of each
	tooled map[scope]bool     // its calls offer tools
	turned map[scope]int32    // place of its first turn
	given  map[uint64]bool    // tool calls whose results were sent back
}

// ask is a tool call.
type ask struct {
	by   *call
	tool int
}

type laneKey struct{ tag, session, lane string }

// scope is within what calls without ids may belong together.
type scope struct{ tag, session, host, agent string }

func scopeOf(c *call) scope {
	switch {
	case c.who.session != "":
		return scope{tag: c.tag, session: c.who.session}
	case c.tag != "":
		return scope{tag: c.tag}
	}
	return scope{host: c.host, agent: c.agent}
}

func newLinker(a *Assembler) *linker {
	l := &linker{
		calls: a.calls, tree: a.tree, ends: map[int32][]*call{}, issued: map[uint64][]*call{}, asks: map[uint64][]ask{},
		quoted: map[uint64][]*call{}, tails: map[laneKey]*call{}, recent: map[scope][]*call{}, tooled: map[scope]bool{},
		turned: map[scope]int32{}, given: map[uint64]bool{},
	}
	for _, c := range a.calls {
		if s := scopeOf(c); !c.noTools {
			l.tooled[s] = true
		}
	}
	return l
}

func (l *linker) link() {
	for _, c := range l.calls {
		l.first(c)
		l.connect(c)
		l.index(c)
	}
}

// first gives a call the role that it has by itself.
func (l *linker) first(c *call) {
	switch {
	case c.op == wire.OpCountTokens:
		c.role = roleCount
	case c.op == wire.OpCompact || c.trigger:
		c.role = roleSummary
	case c.prewarm:
		c.role = rolePrewarm
	case c.who.role != roleUnknown:
		c.role = c.who.role
	case c.node == 0:
		c.role = roleUnread
	case c.few:
		c.role = roleQuota
	case c.noTools && l.tooled[scopeOf(c)]:
		c.role = roleSide
	}
	c.off = !c.role.chained()
}

// index makes a call known to those after it.
func (l *linker) index(c *call) {
	if c.role == roleSummary && !c.failed && c.who.lane != "" {
		l.tails[laneKey{c.tag, c.who.session, c.who.lane}] = c
	}
	if c.op != wire.OpCall || c.role == roleQuota {
		return
	}
	if c.node != 0 {
		l.ends[c.node] = append(l.ends[c.node], c)
	}
	for i := range c.asked {
		t := &c.asked[i]
		if t.id != 0 {
			l.issued[t.id] = append(l.issued[t.id], c)
		}
		for _, p := range t.prompts {
			l.asks[p] = append(l.asks[p], ask{c, i})
		}
	}
	for _, p := range c.lines {
		l.quoted[p] = append(l.quoted[p], c)
	}
	if c.off {
		return
	}
	l.turn(c)
}

// turn makes a turn known.
func (l *linker) turn(c *call) {
	from := int32(0)
	if c.pred != nil {
		c.pred.next++
		from = l.tree.common(c.pred.node, c.node)
	}
	for _, n := range l.tree.path(from, c.node) {
		if e := &l.tree.entries[n]; e.kind != kindAssistant {
			for _, id := range e.ids {
				l.given[id] = true
			}
		}
	}
	if c.who.lane != "" {
		l.tails[laneKey{c.tag, c.who.session, c.who.lane}] = c
	}
	s := scopeOf(c)
	if _, ok := l.turned[s]; !ok {
		l.turned[s] = c.order
	}
	l.recent[s] = append(slices.DeleteFunc(l.recent[s], func(p *call) bool { return p == c.pred || p == c.retry }), c)
}

// near says whether two calls may be of one conversation as far as their ids go.
func near(p, c *call) bool {
	same := p.tag == c.tag && p.format == c.format
	if p.who.session != "" && c.who.session != "" {
		same = same && p.who.session == c.who.session
	} else {
		same = same && (c.tag != "" || p.host == c.host && p.agent == c.agent)
	}
	return same && (p.who.lane == "" || c.who.lane == "" || p.who.lane == c.who.lane)
}

// connect finds what a call carries on, the surest ways first. A context that
// extends one which was carried on before may have been compacted meanwhile: some
// clients keep what the user typed first.
func (l *linker) connect(c *call) {
	if l.again(c) {
		return
	}
	if c.before != nil && near(c.before, c) {
		c.pred = c.before // it says so
		return
	}
	extends := l.extends(c)
	if c.off || extends && c.pred.next == 0 {
		return
	}
	tail := l.tails[laneKey{c.tag, c.who.session, c.who.lane}] // of an agent that is named
	named := c.who.lane != ""
	switch {
	case extends:
		if named && tail != nil && tail.role == roleSummary && tail.order > c.pred.order {
			c.pred, c.rewrote = tail, true
		} else {
			l.afterSummary(c, c.pred.node)
		}
	case named && tail == nil:
		_ = l.spawned(c) || l.forked(c)
	case named:
		if !l.afterSummary(c, 0) {
			c.pred, c.rewrote = tail, true
		}
	default:
		_ = l.spawned(c) || l.afterSummary(c, 0) || l.byToolIDs(c) || l.likeness(c)
	}
}

// again looks for a call with the same context: one that failed was tried again.
func (l *linker) again(c *call) bool {
	list := l.ends[c.node]
	for i := len(list) - 1; i >= 0; i-- {
		p := list[i]
		if !near(p, c) || p.op != c.op || p.tools != c.tools {
			continue
		}
		tried := p.failed && p.end <= c.start && (p.role == c.role || p.body == c.body) || c.who.retry && p.body == c.body
		if tried && !c.prewarm {
			c.retry, c.pred, c.rewrote, c.role, c.off = p, p.pred, p.rewrote, p.role, p.off
			c.by, c.byTool = p.by, p.byTool
			return true
		}
		return false
	}
	return false
}

// extends looks for the longest context that the call's begins with.
func (l *linker) extends(c *call) bool {
	n := c.node
	if !c.off && n != 0 {
		n = l.tree.nodes[n].parent
	}
	for ; n != 0; n = l.tree.nodes[n].parent {
		var best *call
		for _, p := range l.ends[n] {
			if near(p, c) && (!p.off || p.role == rolePrewarm || p.role == roleSummary) && (best == nil || l.better(p, best, c, n)) {
				best = p
			}
		}
		if best != nil {
			c.pred = best
			return true
		}
	}
	return false
}

// better says whether p is more likely than q what c carries on: its tool calls
// come next, the system prompt is the same, it had ended, it was answered, nothing
// has carried it on yet, and it is the later one.
func (l *linker) better(p, q, c *call, n int32) bool {
	next := l.tree.path(n, c.node)
	marks := func(p *call) []bool {
		return []bool{l.follows(next, p), p.system == c.system, p.end >= 0 && p.end <= c.start, !p.failed, p.next == 0}
	}
	a, b := marks(p), marks(q)
	for i := range a {
		if a[i] != b[i] {
			return a[i]
		}
	}
	return p.order > q.order
}

// follows says whether the first of some entries speak of a call's tool calls.
func (l *linker) follows(next []int32, p *call) bool {
	if len(p.asked) == 0 {
		return false
	}
	for _, e := range next[:min(len(next), 8)] {
		for _, id := range l.tree.entries[e].ids {
			if slices.ContainsFunc(p.asked, func(t asked) bool { return t.id == id }) {
				return true
			}
		}
	}
	return false
}

// opening is how many elements of a context may quote what it starts from.
const opening = 16

// afterSummary looks for an answer that the start of the context quotes, beyond
// what another context gave it: the call that gave the answer has compacted the
// conversation. There is none before the conversation's first turn: a title may
// be what the user typed.
func (l *linker) afterSummary(c *call, from int32) bool {
	hits := map[*call]int{}
	for _, e := range l.openingOf(c, from) {
		if e.given {
			continue // a sub-agent's answer comes back as a result
		}
		for _, p := range e.lines {
			for _, q := range l.quoted[p] {
				if first, ok := l.turned[scopeOf(q)]; ok && first < q.order && near(q, c) && q.end >= 0 && q.end <= c.start {
					hits[q]++
				}
			}
		}
	}
	var best *call
	for q, n := range hits {
		if 4*n < len(q.lines) {
			continue
		}
		if best == nil || n > hits[best] || n == hits[best] && q.order > best.order {
			best = q
		}
	}
	if best == nil {
		return false
	}
	for q := best; q != nil; q = q.retry {
		q.role, q.off = roleSummary, true
	}
	c.pred, c.rewrote = best, true
	return true
}

// openingOf are the entries that are no answers at the start of what a context
// has beyond another.
func (l *linker) openingOf(c *call, from int32) (out []*entry) {
	nodes := l.tree.nodes
	for _, n := range l.tree.path(from, l.tree.at(c.node, min(nodes[from].depth+opening, nodes[c.node].depth))) {
		if e := &l.tree.entries[n]; e.kind != kindAssistant {
			out = append(out, e)
		}
	}
	return out
}

// byToolIDs looks for the answer whose tool calls the context speaks of: a
// context that was edited keeps them.
func (l *linker) byToolIDs(c *call) bool {
	var best *call
	for n := c.node; n != 0; n = l.tree.nodes[n].parent {
		for _, id := range l.tree.entries[l.tree.nodes[n].entry].ids {
			for _, p := range l.issued[id] {
				if near(p, c) && !p.off && (best == nil || p.order > best.order) {
					best = p
				}
			}
		}
		if best != nil {
			c.pred, c.rewrote = best, true
			return true
		}
	}
	return false
}

// spawned looks for the tool call whose argument is the context's first text. Of
// those alike the first that is not taken yet counts, if its result has not been
// sent back.
func (l *linker) spawned(c *call) bool {
	if c.who.tool != "" {
		for _, p := range l.issued[print64(c.who.tool)] {
			i := slices.IndexFunc(p.asked, func(t asked) bool { return t.id == print64(c.who.tool) })
			if l.mayRaise(p, c) && !p.asked[i].taken {
				p.asked[i].taken = true
				c.by, c.byTool = p, i
				return true
			}
		}
	}
	for _, e := range l.openingOf(c, 0) {
		for _, p := range e.parts {
			for _, a := range l.asks[p] {
				t := &a.by.asked[a.tool]
				if t.taken || t.at > c.start || !l.mayRaise(a.by, c) || l.returned(t, c) {
					continue
				}
				t.taken = true
				c.by, c.byTool = a.by, a.tool
				return true
			}
		}
	}
	return false
}

// mayRaise says whether a call's answer may have spawned the agent of another.
func (l *linker) mayRaise(p, c *call) bool {
	if p.tag != c.tag || p.format != c.format {
		return false
	}
	if p.who.session == "" || c.who.session == "" {
		return c.tag != "" || p.host == c.host && p.agent == c.agent
	}
	if p.who.session == c.who.session {
		return p.who.lane == "" || p.who.lane != c.who.lane
	}
	return c.who.sub && (c.who.parent == "" || c.who.parent == p.who.session)
}

// returned says whether the result of a tool call was sent back before c began.
func (l *linker) returned(t *asked, c *call) bool {
	if t.id == 0 || c.who.lane != "" {
		return false // agents that are named may run on in the background
	}
	return l.given[t.id]
}

// forked looks for the call of another agent whose context the first one of a
// named agent extends.
func (l *linker) forked(c *call) bool {
	for n := c.node; n != 0; n = l.tree.nodes[n].parent {
		for _, p := range slices.Backward(l.ends[n]) {
			if !p.off && l.mayRaise(p, c) && p.who.session == c.who.session {
				c.by = p
				return true
			}
		}
	}
	return false
}

// likeness looks for a conversation that begins like this one and was edited
// later on. Without ids it takes much to say so.
func (l *linker) likeness(c *call) bool {
	depth := l.tree.nodes[c.node].depth
	var best *call
	longest := int32(0)
	for _, p := range l.recent[scopeOf(c)] {
		if !near(p, c) {
			continue
		}
		shared := l.tree.nodes[l.tree.common(p.node, c.node)].depth
		least := min(depth, l.tree.nodes[p.node].depth)
		if shared < 4 || 4*shared < 3*least || shared < longest {
			continue
		}
		best, longest = p, shared
	}
	if best == nil {
		return false
	}
	c.pred, c.rewrote = best, true
	return true
}
