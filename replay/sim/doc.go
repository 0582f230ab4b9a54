// Package sim is the engine of a simulated endpoint, in virtual time: continuous
// batching, chunked prefill, and a block prefix cache of finite size that forgets
// what was used longest ago. What it models, by which formulas, and what it
// leaves out is in METHOD.md, "Simulated endpoint".
//
// An Engine is given asks ([Engine.Submit]) and gives back what became of them
// ([Engine.Next]), in order of time. Time is exact: iterations are added up in
// integer femtoseconds, and an event carries the first whole nanosecond at or
// after its instant. The events are a function of the parameters and the asks
// alone; neither how often Next is called nor its limits change them. Between
// two changes of the batch, decoding is computed in closed form, so an engine
// in virtual time costs a few microseconds a call, not a token.
//
// The package has no clock, does no I/O and starts no goroutine. An Engine is
// not safe for concurrent use.
package sim
