package wire

// messagesTokens is a Messages usage as it is sent: input excludes what was read
// from and written to the cache. Later counts replace earlier ones; each is -1
// until it came.
type messagesTokens struct {
	input, cached, write int64
	write5m, write1h     int64 // parts of write; old proxies send only these
	output, thinking     int64
}

// read takes the usage object at the position and says whether it is one.
func (m *messagesTokens) read(s *scanner) bool {
	if s.peek() != '{' {
		return false
	}
	s.open('{')
	for first := true; s.member(first); first = false {
		switch string(s.key) {
		case "input_tokens":
			readCount(s, &m.input)
		case "cache_read_input_tokens":
			readCount(s, &m.cached)
		case "cache_creation_input_tokens":
			readCount(s, &m.write)
		case "cache_creation":
			readDetails(s, detail{"ephemeral_5m_input_tokens", &m.write5m}, detail{"ephemeral_1h_input_tokens", &m.write1h})
		case "output_tokens":
			readCount(s, &m.output)
		case "output_tokens_details":
			readDetails(s, detail{"thinking_tokens", &m.thinking})
		default:
			s.skip()
		}
	}
	return s.err == nil
}

func (m *messagesTokens) usage() Usage {
	u := Usage{Input: m.input, Cached: m.cached, CacheWrite: m.write, Output: m.output, Reasoning: m.thinking}
	if u.CacheWrite < 0 && (m.write5m >= 0 || m.write1h >= 0) {
		u.CacheWrite = max(m.write5m, 0) + max(m.write1h, 0)
	}
	if u.Input >= 0 {
		u.Input += max(u.Cached, 0) + max(u.CacheWrite, 0)
	}
	return u
}
