package journal

import (
	"errors"
	"slices"
	"time"
)

// maxBody bounds the plain bytes of one exchange.
const maxBody = 1 << 30

var errLarge = errors.New("the exchange is larger than 1 GiB")

// Exchange is one exchange, whole. The two bodies are valid until the next step
// of the iteration that yielded it; the rest may be kept.
type Exchange struct {
	Flow     Flow
	Request  Side
	Response Side
	End      End  // zero where Finished is false
	Finished bool // false: the recording stopped before the exchange did, or its end was lost
	Loss     Loss // what is missing
}

// Side is one direction of an exchange.
type Side struct {
	Heads []HeadAt
	Reads []Read
	Body  []byte // plain bytes: the reads' Plain come to its length
}

// HeadAt is a head, when it was complete and where it stands.
type HeadAt struct {
	Head
	At  time.Duration // on the clock of Flow.At
	Off int64         // bytes of the body that came before
}

func (x *Exchange) side(d Dir) *Side {
	if d == Request {
		return &x.Request
	}
	return &x.Response
}

// assembly is an exchange that has begun and not ended.
type assembly struct {
	x      *Exchange
	number uint64
	size   [2]int64 // bytes of bodies so far
	held   [2]int64 // of which Body holds them; the rest is in the segment's store
	body   [2]int   // in this segment, and 1 more than its number
	cut    [2]bool  // what follows in this direction comes behind a hole
	told   Loss     // what the writer said is missing
	stale  bool     // not seen in this segment
}

// lose notes that n bytes are missing. What follows them is not kept either: an
// exchange is told up to its first hole.
func (y *assembly) lose(d Dir, n int64, why string) {
	y.cut[d] = true
	y.x.Loss.Bytes[d] += n
	if y.x.Loss.Cause == "" {
		y.x.Loss.Cause = why
	}
}

// assembler makes exchanges of the events of one run.
type assembler struct {
	open  map[uint64]*assembly
	held  int64 // bytes in memory for exchanges that go on in the next segment
	limit int64
	spare [2][]byte
}

func newAssembler() *assembler { return &assembler{open: map[uint64]*assembly{}, limit: 2 * maxStore} }

// take adds an event and returns the exchange that it completes.
func (a *assembler) take(e event, s *store) *Exchange {
	switch e.kind {
	case frameBegin:
		a.open[e.number] = &assembly{x: &Exchange{Flow: e.flow}, number: e.number}
		return nil
	case frameContinued:
		a.goOn(e)
		return nil
	}
	y := a.open[e.number]
	if y == nil {
		return nil
	}
	side := y.x.side(e.dir)
	switch {
	case e.kind == frameFeed && y.cut[e.dir]:
		y.lose(e.dir, e.to-e.from, y.x.Loss.Cause)
		return nil
	case e.kind == frameHeadOf && y.cut[e.dir]:
		return nil
	}
	switch e.kind {
	case frameHeadOf:
		side.Heads = append(side.Heads, HeadAt{Head: e.head, At: e.at, Off: y.size[e.dir]})
	case frameFeed:
		for _, r := range e.reads {
			side.add(r)
		}
		y.body[e.dir] = e.body + 1
		y.size[e.dir] += e.to - e.from
	case frameLost:
		y.told = e.loss
	case frameEnd:
		y.x.End, y.x.Finished = e.end, true
		return a.finish(y, s)
	}
	return nil
}

// add appends a read, or what goes on with the one before.
func (s *Side) add(r Read) {
	if n := len(s.Reads); r.Wire < 0 && n > 0 {
		s.Reads[n-1].Plain += r.Plain
		return
	}
	r.Wire = max(r.Wire, 0)
	s.Reads = append(s.Reads, r)
}

// goOn takes up an exchange that began in an earlier segment.
func (a *assembler) goOn(e event) {
	y := a.open[e.number]
	if y == nil {
		y = &assembly{x: &Exchange{Flow: e.flow}, number: e.number}
		y.x.Loss.Cause = "the segment in which it begins is missing"
		a.open[e.number] = y
	}
	for d, n := range e.plain {
		if n > y.size[d] && !y.cut[d] {
			y.lose(Dir(d), n-y.size[d], "a segment was damaged")
		}
	}
	y.stale = false
}

// finish removes an exchange from the open ones and completes its bodies.
func (a *assembler) finish(y *assembly, s *store) *Exchange {
	delete(a.open, y.number)
	for d := range y.body {
		side := y.x.side(Dir(d))
		if side.Body == nil {
			side.Body = a.spare[d][:0]
			a.spare[d] = a.fill(y, d, s)
		} else {
			a.held -= y.held[d]
			a.fill(y, d, s)
		}
	}
	return y.whole()
}

// whole returns the exchange with all that is known to be missing.
func (y *assembly) whole() *Exchange {
	for d, n := range y.told.Bytes {
		y.x.Loss.Bytes[d] += n
	}
	if y.x.Loss.Cause == "" {
		y.x.Loss.Cause = y.told.Cause
	}
	return y.x
}

// fill appends to a body what the segment's store holds of it.
func (a *assembler) fill(y *assembly, d int, s *store) []byte {
	side := y.x.side(Dir(d))
	if b := y.body[d] - 1; b >= 0 && s != nil {
		n := s.bodies[b].n
		if int64(len(side.Body))+n > maxBody {
			y.lose(Dir(d), n, errLarge.Error())
			n = 0
		}
		side.Body = s.append(side.Body, b, 0, n)
	}
	y.body[d] = 0
	return side.Body
}

// turn is called at the end of a segment: what goes on in the next one is taken
// out of the store.
func (a *assembler) turn(s *store) {
	for _, y := range a.open {
		for d, b := range y.body {
			if b == 0 {
				continue
			}
			if n := s.bodies[b-1].n; a.held+n > a.limit {
				y.lose(Dir(d), n, "too many large exchanges go on from one segment to the next")
				y.body[d] = 0
				continue
			}
			had := len(y.x.side(Dir(d)).Body)
			a.fill(y, d, s)
			y.held[d] = int64(len(y.x.side(Dir(d)).Body))
			a.held += y.held[d] - int64(had)
		}
	}
}

// age makes all open exchanges wait for the next segment to continue them.
func (a *assembler) age() {
	for _, y := range a.open {
		y.stale = true
	}
}

// rest returns the exchanges that will not go on, in the order of their
// beginnings: all, or those that the segment just read did not continue.
func (a *assembler) rest(all bool) []*Exchange {
	var left []*assembly
	for _, y := range a.open {
		if all || y.stale {
			left = append(left, y)
		}
	}
	slices.SortFunc(left, func(a, b *assembly) int {
		if a.number < b.number {
			return -1
		}
		return 1
	})
	out := make([]*Exchange, len(left))
	for i, y := range left {
		delete(a.open, y.number)
		for d := range y.held {
			a.held -= y.held[d]
		}
		out[i] = y.whole()
	}
	return out
}
