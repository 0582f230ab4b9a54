// Package bundle keeps a directory of files together with a manifest that names
// every one of them with its size and hash. Datasets and results are bundles.
//
// A [Writer] fills a new directory and writes manifest.json last, so a bundle
// is complete or cannot be opened: there is no moment at which a killed process
// leaves something that [Open] takes for whole. Open compares what is on disk
// with the manifest by name and size; [Bundle.Verify] also compares the hashes.
// Damage, a file too many and a file too few are errors that name the file.
//
// A folder that holds a listed file may hold listed files only. What else lies
// at the top of the directory, such as a report made later, is ignored.
//
// Paths in a manifest are slash separated, stay within the directory, and lead
// to regular files; symbolic links are refused, as writer and as reader.
//
// The package does not look into files, and what the attributes mean is the
// business of the bundle's kind.
package bundle
