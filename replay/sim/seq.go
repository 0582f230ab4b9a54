package sim

import "math"

// seq is an ask in the engine.
type seq struct {
	ask    Ask
	order  int64 // of submission
	input  int32 // tokens of the prompt
	cached int32
	pool   *pool // that has it; nil before, between and after
	filled int64 // tokens of the prompt that are in the cache
	chunk  int64 // of these, what the iteration under way adds

	path    []*node
	block   int64 // blocks before path[node]
	node    int   // first of path that is not known to be computed
	private int64 // blocks that are not of path

	first  int64 // iteration at whose end the first token was there
	target int64 // iteration at whose end there is something to report
	mark   int   // first of ask.Marks that was not reached

	gone bool    // cancelled
	cut  instant // when
}

// fill says that the first tokens tokens of the prompt are computed.
func (s *seq) fill(tokens, blockTokens int64) {
	s.filled = tokens
	upto := tokens / blockTokens
	for ; s.node < len(s.path); s.node++ {
		n := s.path[s.node]
		here := min(upto-s.block, int64(n.full))
		n.held = max(n.held, here)
		if here < int64(n.full) {
			return
		}
		s.block += int64(n.full)
	}
}

// next is the number of tokens to report after n are there: of the next mark, of
// the next chunk, or of the end.
func (s *seq) next(n int64) int64 {
	for s.mark < len(s.ask.Marks) && int64(s.ask.Marks[s.mark]) <= n {
		s.mark++
	}
	report := int64(s.ask.Output)
	if s.mark < len(s.ask.Marks) {
		report = min(report, int64(s.ask.Marks[s.mark]))
	}
	if every := int64(s.ask.Every); every > 0 {
		report = min(report, 1+((n-1)/every+1)*every)
	}
	return report
}

// count is a prompt's tokens: ⌈bytes ÷ bytes per token⌉, at least 1. Where there
// are more than an int32 holds, it is the most that one holds.
func count(prompt []Run, milliBytes int64) int32 {
	bytes := int64(0)
	for _, r := range prompt {
		bytes += int64(max(r.Bytes, 0))
	}
	tokens := (bytes*thousand + milliBytes - 1) / milliBytes
	return int32(min(max(tokens, 1), math.MaxInt32))
}

// before orders sequences by their next report, then by submission.
func before(a, b *seq) bool {
	return a.target < b.target || a.target == b.target && a.order < b.order
}
