package assemble

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/capstan-bench/capstan/proxy/journal"
)

// work is how many sessions a developer had open, as one of them saw it.
type work struct {
	Developer int     `json:"developer"`     // a number within the dataset
	By        string  `json:"by"`            // how developers were told apart: user, tag, workdir or client
	AtStart   int     `json:"open_at_start"` // sessions open when this one began, with it
	Most      int     `json:"open_most"`     // at once while it was open
	Mean      float64 `json:"open_mean"`     // over the time in which it was open
}

// away is the pause after which a session no longer counts as open.
const away = int64(30 * time.Minute / time.Microsecond)

// stretch is a time in which a session was open.
type stretch struct{ from, to int64 }

// developer says who worked in an exchange: a user that the recording names, else
// whoever works in that directory, else on that machine.
func developer(f *journal.Flow, c *call) string {
	switch {
	case f.Attrs["user"] != "":
		return "user " + clean(f.Attrs["user"])
	case f.Workdir != "":
		return "workdir " + clean(f.Workdir)
	}
	return "client " + c.host
}

// developers counts the sessions that each developer had open at once. A tag that
// several sessions bear is a developer's.
func developers(groups []*group) {
	tags := map[string]int{}
	for _, g := range groups {
		g.stretches()
		tags[g.tag]++
	}
	byUser := map[string][]*group{}
	var users []string
	for _, g := range groups {
		u := g.calls[0].user
		if g.tag != "" && tags[g.tag] > 1 && !strings.HasPrefix(u, "user ") {
			u = "tag " + g.tag
		}
		if byUser[u] == nil {
			users = append(users, u)
		}
		byUser[u] = append(byUser[u], g)
	}
	for n, u := range users {
		by, _, _ := strings.Cut(u, " ")
		for _, g := range byUser[u] {
			g.work = &work{Developer: n + 1, By: by}
			g.overlap(byUser[u])
		}
	}
}

// stretches finds the times in which a session was open.
func (g *group) stretches() {
	for _, c := range g.calls {
		end := max(c.end, c.start)
		if n := len(g.open); n > 0 && c.start <= g.open[n-1].to+away {
			g.open[n-1].to = max(g.open[n-1].to, end)
		} else {
			g.open = append(g.open, stretch{c.start, end})
		}
	}
}

// overlap counts what was open beside a session.
func (g *group) overlap(all []*group) {
	type change struct {
		at   int64
		more int
	}
	var changes []change
	open := int64(0)
	for _, s := range g.open {
		open += s.to - s.from
		for _, other := range all {
			for _, o := range other.open {
				if from, to := max(s.from, o.from), min(s.to, o.to); from <= to {
					changes = append(changes, change{from, 1}, change{to, -1})
				}
			}
		}
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(b.more, a.more)) })
	w, n, last, sum := g.work, 0, g.open[0].from, 0.0
	for _, c := range changes {
		sum += float64(n) * float64(c.at-last)
		last = c.at
		n += c.more
		w.Most = max(w.Most, n)
		if c.at == g.open[0].from {
			w.AtStart = max(w.AtStart, n)
		}
	}
	if w.Mean = float64(w.Most); open > 0 {
		w.Mean = sum / float64(open)
	}
}
