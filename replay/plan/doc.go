// Package plan turns sessions into what a replay sends, and says when.
//
// [Build] reads sessions and makes one [Script] of each: the calls as steps
// with ready-made request bodies, the causes that make each step due, and the
// token counts that are planned for it. [Plan.Population] spreads agents over
// the corpus and says which script an agent plays next. A [Cursor] follows one
// play and says which steps are due; live runs and runs in virtual time drive
// the same cursor.
//
// # Promises
//
// Everything here is pure: no clock, no I/O, no chance that is not drawn from
// a seed. The same sessions, [Config] and seed give the same bytes, the same
// times and the same [Plan.Hash] on every machine. Bodies are encoded once and
// shared by all agents: a plan takes about the memory of the distinct bytes it
// can send, however many calls repeat them.
//
// # What it does not do
//
// Bodies are for Chat Completions targets. Recorded requests of other dialects
// are refused, not translated, unless the session also has token blocks. The
// definitions behind every figure stand in replay/METHOD.md.
package plan
