package wire

// geminiUsage reads usageMetadata: counts of the answer leave out its thoughts,
// counts of the prompt hold what was cached.
func geminiUsage(s *scanner, u *Usage) bool {
	if s.peek() != '{' {
		s.skip()
		return false
	}
	*u = noUsage()
	var candidates, thoughts, tools int64 = Unknown, Unknown, Unknown
	s.open('{')
	for first := true; s.member(first); first = false {
		switch string(s.key) {
		case "promptTokenCount":
			readCount(s, &u.Input)
		case "cachedContentTokenCount":
			readCount(s, &u.Cached)
		case "candidatesTokenCount":
			readCount(s, &candidates)
		case "thoughtsTokenCount":
			readCount(s, &thoughts)
		case "toolUsePromptTokenCount":
			readCount(s, &tools)
		default:
			s.skip()
		}
	}
	if u.Input >= 0 {
		u.Input += max(tools, 0)
	}
	if u.Reasoning = thoughts; candidates >= 0 || thoughts >= 0 {
		u.Output = max(candidates, 0) + max(thoughts, 0)
	}
	return s.err == nil
}
