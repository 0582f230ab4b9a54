// Package stats says what is in a dataset: how long sessions are, how their
// contexts grow, what lies between their calls, and how much of their input a
// cache without limits would find.
//
// [Inspect] sums up a dataset, [NewTimeline] lays out one session. Both look at
// one session at a time. Figures are of the sessions at hand: they are counts,
// not estimates, and promise nothing about other sessions. What a source did not
// record is left out and the figure's N says so.
package stats
