package secrets

import (
	"bytes"
	"cmp"
	"slices"
	"sync"
)

// Finding is a credential in a text.
type Finding struct {
	Rule     string
	Off, Len int // in bytes of the text as it was given
}

// Scanner finds credentials by what they look like. It is safe for any number
// of goroutines.
//
// It looks at the text as it is, with the escapes of JSON strings undone, once
// and twice (JSON in JSON), and at percent-encoding and base64 in either. The
// text need not be JSON.
type Scanner struct{ seal seal }

// NewScanner returns a scanner whose placeholders hash with key.
func NewScanner(key []byte) *Scanner { return &Scanner{seal{key}} }

// book is the rules and the automaton that leads to them.
type book struct {
	rules    []rule
	literals []string
	owner    []int // by literal: its rule
	auto     *automaton
}

var rulebook = sync.OnceValue(func() *book {
	b := &book{rules: allRules()}
	for i, r := range b.rules {
		for _, l := range r.literals {
			b.literals = append(b.literals, l)
			b.owner = append(b.owner, i)
		}
	}
	b.auto = newAutomaton(b.literals, true)
	return b
})

// Rules names the kinds of credentials that a Scanner knows.
func Rules() []string {
	var names []string
	for _, r := range rulebook().rules {
		if !slices.Contains(names, r.name) {
			names = append(names, r.name)
		}
	}
	return names
}

// ranked is a finding with the place of its rule in the book, and the credential
// itself, whose hash must not depend on how it was escaped.
type ranked struct {
	Finding
	rank  int
	plain string
}

// Scan appends to dst what it finds in text, in ascending order and without
// overlaps.
func (s *Scanner) Scan(dst []Finding, text []byte) []Finding {
	for _, f := range scan(text) {
		dst = append(dst, f.Finding)
	}
	return dst
}

func scan(text []byte) []ranked {
	b := rulebook()
	base := &view{text: text}
	all := b.scan(nil, base, text)
	views := []*view{base}
	for v := base; len(views) < 3 && bytes.IndexByte(v.text, '\\') >= 0; {
		v = unescaped(v)
		all = b.scan(all, v, text)
		views = append(views, v)
	}
	for _, v := range views {
		if bytes.IndexByte(v.text, '%') >= 0 {
			if q := unquoted(v, false); len(q.marks) > 0 {
				all = b.scan(all, q, text)
				all = b.scan(all, unquoted(v, true), text)
			}
		}
		if u := unpacked(v); len(u.text) > 0 {
			all = b.scan(all, u, text)
		}
	}
	return settle(all)
}

// scan appends what the rules find in one view, in places of the whole text.
func (b *book) scan(all []ranked, v *view, text []byte) []ranked {
	p := &place{text: v.text}
	var id int
	p.report = func(lo, hi int) {
		plain := v.text[lo:hi]
		lo, hi = v.back(lo), v.back(hi)
		lo += escaped(text, lo, hi, false)
		if lo < hi {
			all = append(all, ranked{Finding{b.rules[b.owner[id]].name, lo, hi - lo}, b.owner[id], string(plain)})
		}
	}
	for i, s := 0, uint32(0); ; {
		i, s = b.auto.find(v.text, i, s)
		if s < hit {
			return all
		}
		for _, l := range b.auto.ending(s) {
			id = int(l)
			p.at, p.end = i-len(b.literals[id]), i
			r := &b.rules[b.owner[id]]
			p.text = v.text[:min(len(v.text), i+r.reach())]
			switch {
			case !r.fold && string(v.text[p.at:p.end]) != b.literals[id]:
			case r.check != nil:
				r.check(p)
			default:
				p.follow(r)
			}
		}
	}
}

// reach keeps hostile text cheap: what a check goes over is bounded for each
// literal. Rules that look further don't begin inside what they went over.
func (r *rule) reach() int {
	switch {
	case r.window > 0:
		return r.window
	case r.max > 0:
		return r.max + 64
	}
	return 640
}

// settle drops what overlaps a longer finding, or an equal one of an earlier rule.
func settle(all []ranked) []ranked {
	slices.SortFunc(all, func(a, b ranked) int {
		return cmp.Or(b.Len-a.Len, a.rank-b.rank, a.Off-b.Off)
	})
	var kept []ranked
	for _, f := range all {
		i, _ := slices.BinarySearchFunc(kept, f.Off, func(x ranked, off int) int { return x.Off - off })
		if i < len(kept) && kept[i].Off < f.Off+f.Len || i > 0 && kept[i-1].Off+kept[i-1].Len > f.Off {
			continue
		}
		kept = slices.Insert(kept, i, f)
	}
	return kept
}

// Replace overwrites in text what Scan finds, each with a placeholder of its
// length, and returns the findings. JSON that was valid stays valid.
func (s *Scanner) Replace(text []byte) []Finding {
	var found []Finding
	for _, f := range scan(text) {
		part := text[f.Off : f.Off+f.Len]
		if hash := s.seal.hash8(f.plain); only(string(part), digit) {
			fillDigits(part, hash)
		} else {
			fill(part, f.Rule, hash)
		}
		found = append(found, f.Finding)
	}
	return found
}
