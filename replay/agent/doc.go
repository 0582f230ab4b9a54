// Package agent sends one step of a play to a Chat Completions endpoint and
// measures what comes back.
//
// A [Client] holds the connections to one endpoint. [Client.Do] sends one
// prepared body, reads the answer to its end, and fills a [schema.Sample]. It
// promises:
//
//   - Bodies go out as the segments that the plan shares among all agents, with
//     the salts between them. History is neither encoded nor copied again (under
//     TLS the cipher copies).
//   - Stamps are taken where bytes enter and leave the process, not after
//     decoding, on the clock that the caller hands over.
//   - Whatever goes wrong with the call is a sample with a class and one line of
//     text, never a Go error, and is never retried. The one exception is a kept
//     connection that turns out to be closed before a byte of the response came:
//     the request is then sent once more on a new connection and counted in
//     Reconnects, because that is our doing and not the system's.
//   - The API key and the values of the target's query are in no error, no text and
//     no sample, as they are or in the spellings that package secrets knows.
//
// It does no HTTP/2, follows no redirect and uses no proxy: each would put
// something between the stamp and the system.
package agent
