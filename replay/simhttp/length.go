package simhttp

import (
	"fmt"
	"hash/fnv"
	"sort"
	"strconv"

	"github.com/capstan-bench/capstan/schema/wire"
)

// limits reads the bounds of the answer's length, strictly: a bound that is
// misread would go unnoticed. null is as good as absent, and so is a min_tokens
// of 0.
func (q *request) limits(envelope []byte) error {
	var total int64
	for m, err := range wire.Members(envelope) {
		if err != nil {
			return err
		}
		switch m.Key {
		case "max_tokens":
			total, err = whole(m, 1)
		case "max_completion_tokens":
			q.most, err = whole(m, 1)
		case "min_tokens":
			q.least, err = whole(m, 0)
		}
		if err != nil {
			return err
		}
	}
	if q.most == 0 {
		q.most = total
	}
	if q.most > 0 && q.least > q.most {
		return fmt.Errorf("min_tokens: got %d, want at most max_tokens, which is %d", q.least, q.most)
	}
	return nil
}

// whole is a member's value, from least to a billion, or 0 for null.
func whole(m wire.Member, least int64) (int64, error) {
	if string(m.Value) == "null" {
		return 0, nil
	}
	n, err := strconv.ParseInt(string(m.Value), 10, 64)
	if err != nil || n < least || n > 1e9 {
		return 0, fmt.Errorf("%s: got %.40s, want a whole number from %d to 1000000000", m.Key, m.Value, least)
	}
	return n, nil
}

// length decides how long the answer will be. One that is not made to run to its
// bound ends by itself, after a number of tokens that depends on the prompt
// alone, in every process alike.
func (s *Server) length(q *request, elements [][]byte) {
	bound := q.most
	if bound == 0 {
		bound = s.room(q)
	}
	want := bound
	if !q.params.IgnoreEOS {
		want = max(ends(elements), q.least)
	}
	q.finish = "stop"
	if want >= bound {
		want, q.finish = bound, "length"
	}
	q.output = int32(want)
}

// ends is the tokens after which the answer to a prompt ends by itself.
func ends(elements [][]byte) int64 {
	h := fnv.New64a()
	for _, e := range elements {
		h.Write(e)
	}
	return 32 + int64(h.Sum64()%480)
}

// room bounds an answer whose request does not: by what the engine has room for,
// at least 1, which it then may refuse.
func (s *Server) room(q *request) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	input, most := s.tokens(q.size), max(defaultOutput, q.least)
	fit := sort.Search(int(most), func(i int) bool { return !s.engine.Fits(input, int64(i)+1) })
	return max(int64(fit), 1)
}
