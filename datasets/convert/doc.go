// Package convert reads sessions from the formats of others.
//
// An [Importer] turns a file, or all files of a folder in the order of their
// paths, into sessions, one in memory at a time. [Formats] names the importers;
// [Dataset] runs one and writes what it yields.
//
// # Promises
//
// An import is whole or it is an error: a line that cannot be read ends it, and
// the error is a [PlaceError] that names file and line (or byte), what is wrong
// and, where there is something, what to do. Nothing is dropped in silence: what
// a format holds that a dataset cannot is counted, and [Warnings] tells of it.
// Equal input gives equal sessions.
//
// # pi
//
// Session logs of the pi coding agent, versions 1 to 3. The log is a tree in
// later versions; the branch that ends in the file's last entry is imported,
// calls on other branches are counted as a warning. Each assistant message is a
// call whose request is everything before it on the branch, the way pi builds
// contexts: a compaction starts over from its summary and the tail it kept,
// failed answers do not return in later contexts, tool calls without a result
// get one that says so. The log has neither system prompt nor tool definitions,
// so a system prompt and four tools of our own, about as long as pi's, stand in
// front, and bodies are Chat Completions requests whatever API was spoken:
// request hashes are of the bodies as they were built here.
//
// A call starts when pi opened its answer (for logs that do not say, when the
// message that caused it was written) and ends when pi logged the answer whole.
// The wall time of a tool call runs from the end of the answer, or from the
// result before it, to its result: pi's log does not tell which tools ran side
// by side, and this way the walls of a turn add up to its tool time.
//
// # weka
//
// Traces of the kv-cache-tester project and of the corpora built on its format:
// a JSON file for each trace, or a JSONL file with a trace on each line. They
// have no text, only the ids of 64-token blocks, so sessions are of the hashed
// tier. Sub-agents become trajectories that start from the call which launched
// them and, unless they were launched to run on by themselves, hold up the call
// after it.
//
// The times of a sub-agent's requests count from its start in some files and
// from the trace's start in others. A file in which a request would have been
// sent before its sub-agent could have been launched is of the first kind, and
// so is one in which all sub-agents begin at 0. In files of the first kind the t
// of a sub-agent is its start or its end, whichever leaves room for duration_ms
// between the requests before and after it for more of the sub-agents. (In all
// traces of kv-cache-tester that were looked at it is the end: taken so, every
// sub-agent starts within a second of the end of the call that launched it.)
//
// think_time is not used: where sub-agents run it is not the gap of one
// trajectory. Gaps are what lies between the recorded ends and starts. Where a
// call has no api_time its end is unknown, and the call after it waits for both:
// the recorded time since the sending of the call before, and its end. Traces
// carry no date; started_at counts from 1970. They name no tokenizer either: the
// rows name o200k_base, under which text will be made up for them.
package convert
