// Package proxy is the recording proxy: it passes the bytes of coding agents'
// model calls on unchanged, and gives a copy of them, with the time of every
// read, to a journal.
//
// There are two ways in, on one port. A client that uses it as its HTTP proxy
// asks for tunnels with CONNECT; those to hosts on the record list are opened
// (the client needs to trust the certificates), all others are left alone. A
// client whose base URL is /s/SESSION/PROVIDER/… sends its requests to the
// provider of that name.
//
// # Promises
//
// Between a client and its upstream lies a pump, not a server: one upstream
// connection for each client connection, and two loops that write what they
// read. Order and case of header fields, framing, the borders of chunks and of
// TLS records, trailers, pings, aborts and half-closed connections are the
// sender's own. In base-URL mode the request line and the Host field are
// rewritten, and fields that begin with Proxy- taken out, and nothing else. An
// upstream that cannot be reached is a 502; one that fails later fails for the
// client in the same way.
//
// Recording never delays a byte and never fails a request. What passed is
// parsed later, by one goroutine for all connections. Its memory is bounded by
// Config.Queue: what does not fit is passed on all the same, counted in
// Stats.Forgotten, and the exchange says so. What is not HTTP/1.1 is passed on
// and not recorded.
//
// Credentials do not reach the journal: of heads only fields that are known to
// hold none are kept; what was learned from heads, URLs and the environment is
// taken out of bodies; and a request's body is looked at for others as a whole,
// before any of it is written. What is taken out keeps its length.
//
// # Limits
//
// HTTP/2 is not offered to clients. Dialects are not known here: see
// proxy/assemble.
package proxy
