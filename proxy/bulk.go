package proxy

// bulk is the number of waiting bytes from which the kernel moves them from one
// connection to the other, where it can; under it, a read and a write cost less.
const bulk = 16 << 10
