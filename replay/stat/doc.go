// Package stat says how much a measured figure can be trusted.
//
// Every function returns an [Estimate]: a figure with its interval, its number
// of observations and its warnings. Observations of a load test hang together:
// calls of one play share a context, and all calls of one minute share the
// state of the system. A [Design] names those ties, and every standard error is
// the largest of the one for independent observations, the one for clusters,
// the one for time blocks, and the one for both.
//
// # Promises
//
// The package is pure: no clock, no chance, no I/O. Where observations are too
// few, the interval has no end on that side and a warning says how many would do.
//
// # What it does not do
//
// It decides nothing: what an interval means for a limit is for the caller.
package stat
