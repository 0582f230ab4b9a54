package proxy

import (
	"bytes"

	"github.com/capstan-bench/capstan/schema/secrets"
)

// Bounds of what a scrubber remembers.
const (
	scrubMargin  = 8 << 10  // around what is new, so that a credential at its edge is seen whole
	scrubBodies  = 32       // that are remembered
	scrubBytes   = 64 << 20 // of memory that they may take
	scrubAlike   = 256      // bytes in which a body must begin like another to be compared
	scrubNearest = 4        // bodies that are compared
)

// scrubber takes credentials that nobody told of out of request bodies, by what
// they look like. An agent sends its whole history again with every call, so a
// body is compared with earlier ones and only what is new is looked at.
type scrubber struct {
	scanner *secrets.Scanner
	learned *secrets.Learned // is told of what is found: answers may repeat it
	known   []*scrubbed      // the latest first
}

// scrubbed is a body that was looked at.
type scrubbed struct {
	raw, kept []byte // of equal length
	taken     []span // what differs, ascending
}

type span struct{ from, to int }

// scrub returns body with what looks like a credential overwritten in place of
// equal length. The result is borrowed; body is not changed.
func (s *scrubber) scrub(body []byte) []byte {
	near := s.nearest(body)
	head, tail := near.common(body)
	fresh := &scrubbed{raw: bytes.Clone(body), kept: bytes.Clone(body)}
	// A span lies in the part that was known, or the part that is new takes it in.
	from := near.clear(max(0, head-scrubMargin))
	shift := len(body) - len(near.raw)
	to := len(body)
	if tail > scrubMargin {
		to = near.clearUp(len(near.raw)-tail+scrubMargin) + shift
	}
	to = max(to, from)
	copy(fresh.kept, near.kept[:from])
	copy(fresh.kept[to:], near.kept[to-shift:])
	for _, t := range near.taken {
		if t.to <= from {
			fresh.taken = append(fresh.taken, t)
		}
	}
	for _, f := range s.scanner.Replace(fresh.kept[from:to]) {
		t := span{from + f.Off, from + f.Off + f.Len}
		fresh.taken = append(fresh.taken, t)
		s.learned.Add(f.Rule, string(body[t.from:t.to]), false)
	}
	for _, t := range near.taken {
		if t.from >= to-shift {
			fresh.taken = append(fresh.taken, span{t.from + shift, t.to + shift})
		}
	}
	s.remember(fresh, near)
	return fresh.kept
}

// nearest is, of the latest bodies that begin alike, the one with which this one
// has most in common at its head.
func (s *scrubber) nearest(body []byte) *scrubbed {
	best, most, left := &scrubbed{}, 0, scrubNearest
	for _, k := range s.known {
		n := min(len(k.raw), len(body), scrubAlike)
		if !bytes.Equal(k.raw[:n], body[:n]) {
			continue
		}
		if n := commonHead(k.raw, body); n > most {
			best, most = k, n
		}
		if left--; left == 0 || most == len(body) {
			break
		}
	}
	return best
}

// common is how many bytes at the head and at the tail of body stand in k too,
// without overlap.
func (k *scrubbed) common(body []byte) (head, tail int) {
	head = commonHead(k.raw, body)
	return head, commonTail(k.raw[head:], body[head:])
}

// commonHead is the length of the common beginning, found in steps that halve.
func commonHead(a, b []byte) int {
	at, n := 0, min(len(a), len(b))
	for step := n; step > 0; {
		if step = min(step, n-at); bytes.Equal(a[at:at+step], b[at:at+step]) {
			at += step
		} else {
			step /= 2
		}
	}
	return at
}

// commonTail is the length of the common end.
func commonTail(a, b []byte) int {
	at, n := 0, min(len(a), len(b))
	for step := n; step > 0; {
		step = min(step, n-at)
		if bytes.Equal(a[len(a)-at-step:len(a)-at], b[len(b)-at-step:len(b)-at]) {
			at += step
		} else {
			step /= 2
		}
	}
	return at
}

// clear moves a place down to where it cuts nothing that was taken out.
func (k *scrubbed) clear(at int) int {
	for _, t := range k.taken {
		if t.from < at && at < t.to {
			return t.from
		}
	}
	return at
}

// clearUp is clear the other way.
func (k *scrubbed) clearUp(at int) int {
	for _, t := range k.taken {
		if t.from < at && at < t.to {
			return t.to
		}
	}
	return at
}

// remember keeps a body instead of the one that it goes on from.
func (s *scrubber) remember(fresh, instead *scrubbed) {
	kept := []*scrubbed{fresh}
	size := 2 * len(fresh.raw)
	for _, k := range s.known {
		if k != instead && len(kept) < scrubBodies && size+2*len(k.raw) <= scrubBytes {
			kept = append(kept, k)
			size += 2 * len(k.raw)
		}
	}
	s.known = kept
}
