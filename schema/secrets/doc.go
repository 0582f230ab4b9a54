// Package secrets keeps credentials off the disk.
//
// [Learned] holds exact secrets, as they were seen on the wire or in the child's
// environment, and a [Redactor] replaces them in a stream of plain bytes before
// they are written: raw, percent-encoded, escaped as in JSON, in base64 of either
// alphabet at any alignment, and in two of these at once, wherever the stream is
// cut. [Scanner] finds credentials that nobody told of, by what they look like.
// [Policy] says which headers and which parts of a URL may be kept as they are.
//
// What is replaced keeps its length in bytes, so that offsets and stamps stay
// true: the placeholder names the rule and a keyed hash of the secret, the same
// one wherever the secret occurs under one key, and is cut or padded to fit. It
// holds no byte that JSON would escape: JSON that was valid stays valid. Text
// without secrets is never changed.
//
// What it does not promise: a secret that was compressed, encrypted, split or
// re-encoded in ways that are not listed is not found, nor is a short or wordy
// one learned (see [Learned.Add]), since replacing it would change text that
// only looks like it. In base64 up to one character on each side of a secret
// belongs to its neighbours too and stays.
//
// Nothing here does I/O or reads a clock. Secrets are held in memory in the clear.
package secrets
