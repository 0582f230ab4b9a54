// Package cost describes a system under test and divides a capacity by what the
// system is made of: accelerators, power, price and racks.
//
// [ParseSystem] reads a system manifest (system.yaml) and checks it against the
// JSON Schema that [Schema] returns; a wrong field is named by its path with what
// is expected there. [Per] divides. Every figure it gives is an estimate with an
// interval, or is absent with a reason: a missing price is never zero, and power
// of one class is never turned into another.
//
// The package is pure. It reads no file and no clock: the text and the day are
// handed over. It doesn't measure power and doesn't look up prices.
package cost
