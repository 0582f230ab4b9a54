package proxy

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"time"
)

// firstHead is the longest head that the proxy itself has to read.
const firstHead = 64 << 10

// front reads the first head of a client's connection and says what becomes of
// it.
func (p *Proxy) front(c *net.TCPConn) {
	client := newEnd(c)
	raw, rest, err := readFirst(client)
	if err != nil {
		if len(raw) > 0 {
			refuse(client, 400, err.Error())
		}
		c.Close()
		return
	}
	h := readHead(raw)
	method, target, _, ok := h.request()
	switch {
	case !ok:
		refuse(client, 400, fmt.Sprintf("request line %.80q: this is an HTTP/1.1 proxy", h.line))
	case !p.allowed(h):
		refuse(client, 407, askPassword)
	case method == "CONNECT":
		p.connect(client, h, target, rest)
	case strings.HasPrefix(target, "/") || p.listed(target):
		p.base(client, raw, rest)
	default:
		p.tunnels.take(c, append(raw, rest...)) // plain proxying
	}
}

const askPassword = "this proxy asks for a user and a password, and has no base URLs"

// allowed tells whether a request may use the proxy.
func (p *Proxy) allowed(h head) bool {
	ask := p.config.Authorize
	return ask == nil || ask(proxyUser(h))
}

// listed tells whether an absolute URL leads to a host that is recorded.
func (p *Proxy) listed(target string) bool {
	to, ok := absolute(target)
	return ok && p.record.has(to.base.Hostname()) && !p.stopped()
}

// readFirst reads up to the end of a head and returns what came behind it.
func readFirst(client *end) (raw, rest []byte, err error) {
	var buf []byte
	for {
		b, err := client.src.read(headRead)
		if err != nil {
			return buf, nil, err
		}
		from := max(0, len(buf)-len(headEnd)+1)
		buf = append(buf, b...)
		client.src.give()
		if i := bytes.Index(buf[from:], headEnd); i >= 0 {
			n := from + i + len(headEnd)
			return buf[:n:n], buf[n:], nil
		}
		if len(buf) > firstHead {
			return buf, nil, fmt.Errorf("the head is longer than %d bytes", firstHead)
		}
	}
}

var reasons = map[int]string{400: "Bad Request", 404: "Not Found", 407: "Proxy Authentication Required", 502: "Bad Gateway", 503: "Service Unavailable"}

// answer is a response of the proxy's own. It says who speaks, so that nobody
// takes it for the endpoint's.
func answer(status int, text string) []byte {
	body := "capstan: " + text + "\n"
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nX-Capstan: %s\r\nConnection: close\r\n\r\n%s",
		status, reasons[status], len(body), "answered by the recording proxy", body)
}

// refuse answers and closes. What the client still sends is read for a moment,
// so that the answer reaches it.
func refuse(client *end, status int, text string) {
	client.Write(answer(status, text))
	client.closeWrite()
	client.tcp.SetReadDeadline(time.Now().Add(time.Second))
	for {
		if _, err := client.src.read(maxMove); err != nil {
			break
		}
		client.src.give()
	}
	client.tcp.Close()
}
