// Package datasets creates, opens and verifies datasets of recorded sessions.
//
// A dataset is a directory: one folder of Parquet files for each table (see
// package schema), a manifest that names them with their hashes, and README.md,
// a card that the Hugging Face Hub reads. Tables without rows have no file. The
// rows of a session stand together in every table, and sessions in the same
// order in all of them; blobs are stored once, in the order of their first use.
// That is what lets [Dataset.Sessions] walk a dataset of any size with one
// session in memory.
//
// # Promises
//
// A dataset is complete or it cannot be opened: the manifest is written last,
// and [Writer.Abort] leaves nothing. The same sessions in the same order give
// the same bytes, card included. Sessions that contradict themselves (a range
// over items that do not exist, a cause that happens after its effect, counts
// that do not add up; see [Check]) are refused by [Writer.Add] and by Sessions
// alike, so whoever reads through this package need not look again.
//
// [Verify] trusts nothing: files are hashed before they are parsed, and every
// request body is rebuilt and compared with its recorded hash. It reports what
// is wrong with a dataset; it returns an error only where there is none to
// look at.
//
// # Limits
//
// Memory is bounded by the largest session, plus about 100 bytes for each
// distinct blob. The card is outside of the manifest and of the dataset's hash,
// so people may edit it.
package datasets
