// Package virtual replays a plan against a simulated engine in virtual time: the
// same cursors and the same meter as a live run, without a network, a clock or a
// second thread, so that a search over days of endpoint time takes seconds.
//
// Every probe begins with a fresh engine, so it is cold. The samples are those of
// a client beside the engine: a call is sent, written and accepted the moment it
// is due, and what the engine reports arrives at once. Two runs of the same probe
// give the same samples, and a live run over a network without latency gives
// these samples too, but for the bytes read from the network.
//
// What a real system would do besides is not in it: tokenisation, queues in front
// of the engine, lost connections. An answer is always as long as planned.
package virtual
