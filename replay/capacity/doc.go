// Package capacity finds how many agents a system carries at each service level.
//
// [ParseSLO] reads a service level, [Judge] says whether a window of samples
// meets it, and [Search] finds the largest level that does, through a [Probe]
// that measures one level: live, in virtual time or on many machines. Whoever
// writes a probe hands its calls to a [Meter], which decides what belongs to the
// window. The rules and their reasons stand in replay/METHOD.md, "Verdict" and
// "Search".
//
// # Promises
//
//   - The package is pure: no clock, no I/O, no goroutine. The same samples give
//     the same verdicts, and the same probe and seed give the same search.
//   - No call is dropped for being slow. A failed call misses every condition; a
//     call still open at the end counts as soon as what is known of it decides.
//   - A verdict allows for calls that hang together through their play or through
//     the state of the system, and is UNDECIDED where the window cannot tell.
//   - An answer names probed levels only: L passed on two seeds, one of them for
//     the whole horizon; U failed, and was tried again on a second seed. What was
//     left undone, for want of probes or time, is in the warnings.
//   - What is written as JSON reads back and gives the same verdicts.
//
// # Units
//
// Speeds are in tokens per second, other limits and figures in seconds, shares
// in [0,1]. Samples are stamped in microseconds, windows in nanoseconds, both
// since the probe's start. Levels are concurrent agents.
//
// # What it does not do
//
// It sends nothing, makes no load and knows no endpoint. It does not judge the
// client: whoever fills [Window.Invalid] does. It does not divide by machines,
// power or money; replay/cost does. Its intervals speak for the sessions that
// were replayed; [CondResult.BySession] says how far they hold for others.
package capacity
