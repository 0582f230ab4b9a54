// Package replay plays a plan live: a population of agents against endpoints,
// over HTTP, in real time.
//
// [Probe] makes a [capacity.Probe] of it. Each agent is one closed loop that
// plays session after session and drives a plan.Cursor with timers; a run in
// virtual time drives the same cursors against the same plan, so both give the
// same samples, in every column but sent_bytes and read_bytes, when the system
// takes the same time.
//
// It promises:
//
//   - A call is due when the plan says so. What the client adds is in the data
//     (sent − due) and is judged: see [Limits].
//   - A failed call is a sample. It is never retried; the agent waits the
//     recorded gap and goes on.
//   - A play sticks to one endpoint.
//   - When Probe's function returns, every call it made has ended and every
//     goroutine it started is gone. Calls that the end cut off are reported as
//     unended.
//
// It decides nothing about service levels: capacity does. METHOD.md beside this
// file defines every figure.
package replay
