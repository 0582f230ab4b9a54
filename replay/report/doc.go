// Package report prints results: [Text] for a terminal, [JSON] for programs,
// [Bench] in the Go benchmark format for benchstat, and [HTML] as one page that
// stands alone.
//
// All four print the same figures: capacities with their intervals, what they
// come to per accelerator, kilowatt, dollar and rack, every probe, and every
// warning near what it concerns. No figure comes without its interval, and what
// is absent says why. Several results are printed side by side only when their
// comparability keys agree; [KeyError] names where they do not.
//
// The page loads nothing from anywhere: its style is its own, its figures are
// drawn into it, and it holds no script. Text from results is escaped.
//
// The package computes no verdict and reads no file.
package report
