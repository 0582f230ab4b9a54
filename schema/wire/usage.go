package wire

// Usage is what a system says an answer took, in tokens. A count that it did not
// give is [Unknown], which is not zero.
type Usage struct {
	Input     int64 // of the prompt, those from a cache included
	Cached    int64 // of Input, found in a cache
	Output    int64 // generated, reasoning included
	Reasoning int64 // of Output
}

// Unknown stands for a count that a system did not give.
const Unknown = -1

// chatUsage reads a Chat Completions usage object, or null, which gives false.
func chatUsage(s *scanner, u *Usage) bool {
	*u = Usage{Unknown, Unknown, Unknown, Unknown}
	if s.peek() != '{' {
		s.skip()
		return false
	}
	s.open('{')
	for first := true; s.member(first); first = false {
		switch string(s.key) {
		case "prompt_tokens":
			readCount(s, &u.Input)
		case "completion_tokens":
			readCount(s, &u.Output)
		case "prompt_tokens_details":
			readDetail(s, "cached_tokens", &u.Cached)
		case "completion_tokens_details":
			readDetail(s, "reasoning_tokens", &u.Reasoning)
		case "prompt_cache_hit_tokens": // DeepSeek
			readCount(s, &u.Cached)
		default:
			s.skip()
		}
	}
	return s.err == nil
}

func readCount(s *scanner, n *int64) {
	if v, ok := s.intValue(); ok && v >= 0 {
		*n = v
	}
}

func readDetail(s *scanner, name string, n *int64) {
	if s.peek() != '{' {
		s.skip()
		return
	}
	s.open('{')
	for first := true; s.member(first); first = false {
		if string(s.key) == name {
			readCount(s, n)
		} else {
			s.skip()
		}
	}
}
