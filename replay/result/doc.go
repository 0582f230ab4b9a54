// Package result keeps what a capacity search found in a directory that others
// can check.
//
// A result is a bundle of kind "result":
//
//	README.md                  how to read the directory, in plain words
//	manifest.json              written last; size and SHA-256 of each file
//	result.json                the document: facts of the run, probes, verdicts, capacities
//	system.yaml                the system under test, as it was handed in
//	samples/probe-000.parquet  one row for each measured call of the probe
//
// A [Writer] writes the samples of each probe as soon as the probe has ended, and
// a line about it into journal.jsonl, so that a search that is interrupted or
// killed leaves every finished probe readable: [OpenPartial] reads it. The
// journal goes away once the result is whole.
//
// [Verify] recomputes every verdict from the samples and every capacity from the
// verdicts, and says where result.json differs. [Comparable] names what keeps two
// results from being set side by side.
//
// The package does not judge: verdicts are those of package capacity.
package result
