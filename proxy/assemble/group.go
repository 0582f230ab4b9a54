package assemble

import (
	"cmp"
	"fmt"
	"strconv"
	"time"
)

// group is the calls of one session.
type group struct {
	id, tag   string
	calls     []*call // in the order of time
	lanes     []*lane // the root first, parents before their children
	left      map[string]int
	exchanges int       // with those that were left out
	open      []stretch // when it was open
	work      *work
}

// groups puts the calls of each session together. Calls that bear the same id
// under the same tag are of one session, and so are calls that hang on each other.
func (l *linker) groups() []*group {
	u := newUnion(len(l.calls))
	named := map[[2]string]int32{}
	join := func(c *call, id string) {
		if id == "" {
			return
		}
		k := [2]string{c.tag, id}
		if first, ok := named[k]; ok {
			u.join(first, c.order)
		} else {
			named[k] = c.order
		}
	}
	for _, c := range l.calls {
		join(c, c.who.session)
		join(c, c.who.parent)
		for _, other := range []*call{c.pred, c.retry, c.by, c.before} {
			if other != nil {
				u.join(other.order, c.order)
			}
		}
	}
	l.adopt(u)
	return identify(l.collect(u))
}

// adopt gives sessions the calls that nothing ties to one. A tag is one session
// unless the ids under it say otherwise; without a tag, a call off the main chain
// goes to the session that was going on.
func (l *linker) adopt(u *union) {
	type facts struct {
		start, end int64
		named      bool
		turns      bool
	}
	all := map[int32]*facts{}
	var roots []int32
	for _, c := range l.calls {
		r := u.find(c.order)
		f := all[r]
		if f == nil {
			f = &facts{start: c.start}
			all[r], roots = f, append(roots, r)
		}
		f.end = max(f.end, c.end, c.start)
		f.named = f.named || c.who.session != ""
		f.turns = f.turns || !c.off
	}
	const soon = int64(10 * time.Second / time.Microsecond)
	for _, r := range roots {
		c, f := l.calls[r], all[r]
		if f.named || c.tag == "" && f.turns {
			continue
		}
		best := int32(-1)
		for _, other := range roots {
			p, o := l.calls[other], all[other]
			switch {
			case other == r || p.tag != c.tag:
				continue
			case c.tag == "" && (!o.turns || p.host != c.host || p.agent != c.agent || o.start > f.start+soon || o.end < f.start-soon):
				continue
			case c.tag != "" && !o.named && other > r:
				continue
			}
			if best < 0 || closer(all[other].start, all[best].start, f.start) {
				best = other
			}
		}
		if best >= 0 {
			u.join(best, r)
		}
	}
}

// closer says whether a session that started at a is rather the one that went on
// at an instant than one that started at b: the latest that had started.
func closer(a, b, at int64) bool {
	if (a <= at) != (b <= at) {
		return a <= at
	}
	if a <= at {
		return a > b
	}
	return a < b
}

// collect makes groups in the order of their first calls.
func (l *linker) collect(u *union) []*group {
	byRoot := map[int32]*group{}
	var out []*group
	for _, c := range l.calls {
		r := u.find(c.order)
		g := byRoot[r]
		if g == nil {
			g = &group{tag: c.tag, left: map[string]int{}}
			byRoot[r], out = g, append(out, g)
		}
		g.calls = append(g.calls, c)
		g.exchanges++
		c.group = g
	}
	return out
}

// identify gives groups their ids: the tag; where several sessions bear it, the tag
// and the session's own id; without a tag the session's own id; without any, the
// agent and when it began.
func identify(groups []*group) []*group {
	tags := map[string]int{}
	for _, g := range groups {
		tags[g.tag]++
	}
	taken := map[string]bool{}
	for _, g := range groups {
		own := g.own()
		switch {
		case g.tag == "" && own == "":
			own = g.made()
		case g.tag != "" && tags[g.tag] == 1:
			own = g.tag
		case g.tag != "" && own == "":
			own = g.tag + "/" + g.made()
		case g.tag != "":
			own = g.tag + "/" + own
		}
		id := clean(own)
		for n := 2; taken[id]; n++ {
			id = clean(own + "~" + strconv.Itoa(n))
		}
		taken[id], g.id = true, id
	}
	return groups
}

// own is the id by which the session calls itself: that of its root agent.
func (g *group) own() string {
	best := ""
	for _, c := range g.calls {
		if c.who.session == "" {
			continue
		}
		if !c.who.sub {
			return c.who.session
		}
		best = cmp.Or(best, c.who.parent, c.who.session)
	}
	return best
}

// made is an id for a session that has none.
func (g *group) made() string {
	c := g.calls[0]
	at := time.UnixMicro(c.start).UTC().Format("20060102T150405.000000Z")
	return fmt.Sprintf("%s-%s-%x", cmp.Or(c.agent, "session"), at, c.body[:4])
}

// union is sets of calls that grow together. The root of a set is its first call.
type union struct{ parent []int32 }

func newUnion(n int) *union {
	u := &union{make([]int32, n)}
	for i := range u.parent {
		u.parent[i] = int32(i)
	}
	return u
}

func (u *union) find(i int32) int32 {
	for u.parent[i] != i {
		u.parent[i] = u.parent[u.parent[i]]
		i = u.parent[i]
	}
	return i
}

func (u *union) join(a, b int32) {
	a, b = u.find(a), u.find(b)
	u.parent[max(a, b)] = min(a, b)
}
