package journal

import "time"

// Dir is the direction of bytes within an exchange.
type Dir uint8

// The two directions.
const (
	Request  Dir = iota // from the client to the endpoint
	Response            // from the endpoint to the client
)

// String returns request or response.
func (d Dir) String() string { return name(int(d), "request", "response") }

// Mode says how an exchange came to the proxy.
type Mode uint8

// The ways in.
const (
	Connect Mode = iota // through an intercepted CONNECT tunnel
	BaseURL             // the client was given the proxy as its base URL
	Plain               // an absolute URL without TLS
)

// String returns connect, base_url or plain.
func (m Mode) String() string { return name(int(m), "connect", "base_url", "plain") }

// Kind says what an exchange is made of.
type Kind uint8

// The kinds of exchange.
const (
	HTTP      Kind = iota // a request and its response
	WebSocket             // a request and its response within a WebSocket
)

// String returns http or websocket.
func (k Kind) String() string { return name(int(k), "http", "websocket") }

// Outcome says how an exchange ended.
type Outcome uint8

// The ways to end.
const (
	Complete    Outcome = iota // both sides said all they had to say
	ClientCut                  // the client went away first
	UpstreamCut                // the endpoint broke off
	Unreachable                // the endpoint could not be reached
	Interrupted                // the recorder stopped before the exchange did
	Unparsed                   // the bytes were not understood from some point on
)

// String returns the outcome's name in lower case.
func (o Outcome) String() string {
	return name(int(o), "complete", "client_cut", "upstream_cut", "unreachable", "interrupted", "unparsed")
}

func name(i int, names ...string) string {
	if i < len(names) {
		return names[i]
	}
	return "unknown"
}

// Flow is what is known of an exchange when it begins. Strings longer than
// their bound are cut, attributes beyond theirs are left out, and Clipped is
// set. Nothing in it may be secret: it is written as given.
type Flow struct {
	ID       string            // names the exchange for people and rows; empty: the writer makes one that is unique
	Session  string            // session tag from the URL or the proxy user; empty: not tagged; ≤ 256 bytes
	Harness  string            // harness that was launched or recognised; ≤ 64 bytes
	Provider string            // provider that the URL or the host stands for; ≤ 64 bytes
	Scheme   string            // http, https, ws or wss: how upstream is spoken to
	Host     string            // upstream host as the client named it, without port; ≤ 256 bytes
	Port     int               // upstream port
	Mode     Mode              // how the exchange came to the proxy
	Kind     Kind              // what it is made of
	Client   string            // address of the client's end of the connection; ≤ 128 bytes
	Started  time.Time         // wall clock at the first byte
	At       time.Duration     // the same instant on the recorder's monotonic clock, which Head, Feed and End use too
	Workdir  string            // working directory of the client's process, where known; ≤ 4096 bytes
	Attrs    map[string]string // free attributes: ≤ 32, keys ≤ 64 bytes, values ≤ 1024 bytes
	Clipped  bool              // something above did not fit; set by the writer
}

// HeadKind tells the heads of one direction apart.
type HeadKind uint8

// The kinds of head.
const (
	Main          HeadKind = iota // the request, or the final response
	Informational                 // a 1xx response
	Trailer                       // fields after a chunked body
)

// Head is a request line or status line with its fields, as kept: what may not
// be written was taken out before.
type Head struct {
	Kind    HeadKind
	Line    string  // without line end; empty for a trailer
	Fields  []Field // in the order and case of the wire
	Wire    int     // bytes on the wire
	Clipped bool    // fields beyond 256 KiB were left out; set by the writer
}

// Field is one header field.
type Field struct{ Name, Value string }

// Digest is the length and the keyed hash of all wire bytes of one direction;
// see [Writer.WireHash].
type Digest struct {
	Bytes int64
	Sum   [32]byte
}

// End is what is known of an exchange when it is over.
type End struct {
	At      time.Duration // on the clock of Flow.At
	Outcome Outcome
	Err     string            // what broke, for people; ≤ 1024 bytes
	Wire    [2]Digest         // by Dir
	Attrs   map[string]string // what was learned on the way, bounded as in Flow
}

// Loss says what of an exchange was not kept.
type Loss struct {
	Bytes [2]int64 // plain bytes by Dir that were fed and not kept; 0 also where it is not known
	Cause string   // why; empty: nothing was lost
}

// Any reports whether something was lost.
func (l Loss) Any() bool { return l.Cause != "" }

// Gap says what was lost of exchanges of which nothing at all was kept.
type Gap struct {
	Since, Until time.Time
	Exchanges    int64
	Bytes        int64
	Cause        string
}
