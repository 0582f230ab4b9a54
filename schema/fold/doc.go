// Package fold turns the request bodies of a session into items and ranges, and
// rebuilds the bodies from them.
//
// A context is a list of elements (messages, tool definitions). An element's bytes
// are stored once in a session, as an item; a call refers to its context by
// half-open ranges over the items. A call that extends the one before it adds only
// its new items, and so do calls that compact, cut, edit or fork a context, and
// sub-agents that share a system prompt and tools.
//
// # Promises
//
// Rebuilding is exact: [Folder.Call] refuses a layout that does not give the body
// back, and [Body] returns the bytes that were folded or an error that names the
// call and the item; it never panics on rows that contradict each other, and never
// builds more than the recorded length.
//
// Items are stored without the cache marks that clients move from element to
// element (see wire.Element); patches put them back. An element that comes without
// marks needs no patch, so a call has no more patches than its marks ask for. Two
// elements of one call that differ only in their marks are two items with the same
// content, since patches go by item, and an answer whose elements do not come back
// in a row is a run of copies; otherwise an item's content is unique in its session.
//
// Items are numbered so that a context is a few ranges however long it grows,
// whatever comes between its messages in time.
//
// # Limits
//
// The package holds one session in memory, fills in no timing and no tokens, and
// does not decide which trajectory a call belongs to.
package fold
