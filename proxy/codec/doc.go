// Package codec turns wire bytes into plain bytes: HTTP content codings with
// [Decoder], WebSocket frames with [Socket].
//
// Both are fed in pieces of any size and hand out what the bytes so far make
// known, before they return: a server-sent event that the server compressed and
// flushed comes out with the piece that completed it. How the input was cut
// changes neither the output nor the fault; only how far into damage a decoder
// gets depends on it, and where exactly a limit stops it. Broken input ends in a
// typed error and never in a panic; what came before the damage has been handed
// out, and feeding on only counts. Memory does not grow with the input, and a bomb, whose output
// is out of proportion to its input, stops being decoded.
//
// The package does no I/O and reads no clock. A Decoder or a Socket belongs to
// one goroutine at a time.
//
// The libraries behind the codings pull their input, and only one of them can
// go on after a reader that had nothing. So the chain of readers of a body runs
// as a coroutine (iter.Pull) that is switched to when bytes are there and away
// from when they are used up: it never runs at the same time as its caller. Its
// goroutine ends with the body, with an error, with Close, and, should a caller
// forget that, when the garbage collector finds the Decoder unreachable. Nothing
// of this exists before the first byte, nor ever for bodies without a coding.
package codec
