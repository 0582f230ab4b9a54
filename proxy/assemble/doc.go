// Package assemble turns recorded exchanges into sessions: which calls belong
// together, which agent made each, what each was for, what it waited for and when
// its parts came.
//
// It is pure: no clock, no files, no network. Exchanges are added in any order
// ([Assembler.Add]); their bodies go to a [Spool], each element of a context once.
// Then the sessions are built, one in memory at a time ([Assembler.Sessions]).
//
// # Promises
//
// The same exchanges give the same sessions, in whatever order they are added and
// whatever else was recorded at the time. Every session satisfies datasets.Check;
// every request body rebuilds to its recorded hash, or the session is not built.
// Nothing is dropped uncounted: [Report] says how many exchanges are rows, how
// many are none and why, and what rows lack; a session's own part of it stands in
// the extra_json of its root trajectory. No input makes it panic.
//
// Memory between the passes is bounded by what is new in the recording (about 100
// bytes for each distinct element, and some hundred for each call), then by the
// largest session.
//
// # Which session
//
// A session tag (of the URL or the proxy's user) comes first: nothing joins across
// tags, and the session is named after it. Within a tag, or without one, the first
// of these decides:
//
//  1. a header that names the session, in the order of sessionHeaders;
//  2. members of the body: Codex's client_metadata, metadata.user_id, .sessionId
//     and .session_id, session_id, a prompt id before its ########, and a
//     prompt_cache_key of 16 bytes or more;
//  3. that a context begins with another call's, without cache marks and with a
//     text content the same as its one part (the prefix law), or that it goes on
//     from an answer by previous_response_id;
//  4. that its first text is an argument of a tool call whose result is not back
//     yet; that it quotes the lines of an answer, which has compacted it; that it
//     holds the id of a tool call that an answer gave out; that it shares at least
//     four elements, and three quarters, with another;
//  5. for a call off the main chain, the session of the same tag, or of the same
//     machine and agent, that was going on.
//
// Without a tag, calls of different machines or agents never join by 3 to 5. Two
// ids under one tag that nothing ties together are two sessions, TAG/ID each.
//
// # Which agent
//
// What requests say (X-Claude-Code-Agent-Id, Codex's Thread-Id, OpenCode's session
// and parent, the prompt id of Qwen Code and Gemini CLI), else the prefix law. A
// turn that extends a context which was carried on already, while what came of that
// is still at work, begins a fork: an agent of its own. If nothing is at work it
// goes back in the same agent. An agent was spawned by the tool call that has its
// first text as an argument, or that its prompt id names; else by the latest tool
// call of its parent that by its name can have done so.
//
// # What a call is for
//
//	role        how it is told
//	token_count the path
//	compaction  the path /responses/compact; Codex's compaction_trigger; what Claude
//	            Code and Codex say; or its answer is quoted at the start of a later
//	            context that does not extend the conversation
//	prewarm     generate is false, or Codex says so
//	title       off the main chain, without tools, an answer of 400 bytes at most, a
//	            text of the first turn's, and begun before the second turn
//	quota       max_tokens is 1
//	side        Claude Code says auxiliary, Codex says memory; or it offers no tools
//	            where others of its session do
//	unread      its body holds no context that could be read
//	turn        everything else
//
// A call with the same context and tools as one that failed or broke off before it
// is an attempt at the same call: same call_index, attempt counted up, trigger
// retry. So is one with the same body that says so (X-Stainless-Retry-Count), and
// one that asks again without a stream.
//
// # What a call waited for
//
// A turn waits for its agent's turn before it (or for the compaction between): for
// its end, or, where it began while the answer streamed, for the share of the
// answer that had come. A sub-agent's first turn waits for the tool call that
// spawned it in the same way. A turn that carries a sub-agent's result, or before
// which a sub-agent ended while tools ran, waits for that agent's last turn too. An
// attempt waits for the one before it; a call off the main chain for its agent's
// latest call. Shares go by bytes of text.
//
// # How answers end
//
// An answer is whole if its dialect's end mark came, whatever its connection did
// then, or if it says why it ended and its exchange was complete. Else it is
// truncated, and what it put out is not known. error_type is the endpoint's word;
// http_STATUS where it gave none; upstream_cut, unreachable, interrupted or
// unparsed as the recorder saw it; client_cut, unfinished or no_answer where not
// one token had come; undecoded where the answer is not of its dialect.
package assemble
