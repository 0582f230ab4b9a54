package wire

// Usage is what a system says an answer took, in tokens. A count that it did not
// give is [Unknown], which is not zero.
type Usage struct {
	Input      int64 // of the prompt, those from a cache and those written to one included
	Cached     int64 // of Input, found in a cache
	CacheWrite int64 // of Input, written to a cache
	Output     int64 // generated, reasoning included
	Reasoning  int64 // of Output
}

// Unknown stands for a count that a system did not give.
const Unknown = -1

// noUsage is a usage that says nothing.
func noUsage() Usage { return Usage{Unknown, Unknown, Unknown, Unknown, Unknown} }

// chatUsage reads a Chat Completions usage object, or null, which gives false.
func chatUsage(s *scanner, u *Usage) bool {
	*u = noUsage()
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
			readDetails(s, detail{"cached_tokens", &u.Cached}, detail{"cache_write_tokens", &u.CacheWrite})
		case "completion_tokens_details":
			readDetails(s, detail{"reasoning_tokens", &u.Reasoning})
		case "prompt_cache_hit_tokens": // DeepSeek
			readCount(s, &u.Cached)
		default:
			s.skip()
		}
	}
	return s.err == nil
}

// maxCount is past every real count of tokens. What is past it says nothing, and
// sums of what is not can't overflow.
const maxCount = 1 << 40

func readCount(s *scanner, n *int64) {
	if v, ok := s.intValue(); ok && v >= 0 && v <= maxCount {
		*n = v
	}
}

// detail is a count by its name in an object of counts.
type detail struct {
	name string
	n    *int64
}

// readDetails reads the counts that the object at the position has, and moves
// behind it. It says whether it is an object.
func readDetails(s *scanner, details ...detail) bool {
	if s.peek() != '{' {
		s.skip()
		return false
	}
	s.open('{')
	for first := true; s.member(first); first = false {
		var n *int64
		for _, d := range details {
			if d.name == string(s.key) {
				n = d.n
			}
		}
		if n != nil {
			readCount(s, n)
		} else {
			s.skip()
		}
	}
	return true
}
