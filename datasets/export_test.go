package datasets

// LimitContent lowers the bound on content that a reader holds, until undo is
// called.
func LimitContent(n int64) (undo func()) {
	old := maxContent
	maxContent = n
	return func() { maxContent = old }
}
