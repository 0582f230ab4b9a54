package assemble

// role is what a call is for. See the package comment for how it is told.
type role byte

// Roles.
const (
	roleUnknown role = iota
	roleTurn
	roleSummary // compacts the context
	roleTitle   // names the session
	roleQuota   // asks for one token, to see whether calls are taken
	roleCount   // counts tokens, without an answer
	rolePrewarm // fills the cache, without an answer
	roleSide    // anything else off the main chain
	roleUnread  // its request brought no context that could be read
)

func (r role) String() string {
	switch r {
	case roleTurn:
		return "turn"
	case roleSummary:
		return "compaction"
	case roleTitle:
		return "title"
	case roleQuota:
		return "quota"
	case roleCount:
		return "token_count"
	case rolePrewarm:
		return "prewarm"
	case roleSide:
		return "side"
	case roleUnread:
		return "unread"
	}
	return "unknown"
}

// chained says whether calls of a role carry the conversation on.
func (r role) chained() bool { return r == roleTurn || r == roleUnknown }
