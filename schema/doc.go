// Package schema holds the row types of datasets and results, and writes and
// reads them as Parquet. FORMAT.md, beside this file, specifies every table and
// column.
//
// A [Writer] makes one file: rows are validated, written in the order given,
// compressed with zstd, and appear under their name only when [Writer.Close]
// has made them durable. The same rows and the same session borders give the
// same bytes. Everything that differs between tables (bloom filters, columns
// without statistics) is chosen here, by the row type.
//
// [Read] streams the rows of one file in bounded memory. It reads what Writer
// writes, of this or an earlier version of the same major number, and it is
// made for files that were damaged on the way: the footer and the header of
// every page are checked before parquet-go decodes a byte, a panic of
// parquet-go becomes a [CorruptError], and a column that is missing or has
// changed its type is a [ColumnError]. It does not prove that a file is
// unchanged: hashes do, and package bundle keeps them.
//
// The package knows nothing of directories, manifests or how rows relate to
// each other: see packages bundle, fold and datasets.
package schema
