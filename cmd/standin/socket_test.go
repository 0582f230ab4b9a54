package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/proxy/codec"
	"github.com/capstan-bench/capstan/schema/wire"
)

// socketClient is the other side of a WebSocket.
type socketClient struct {
	*testing.T
	conn   net.Conn
	in     *bufio.Reader
	out    *codec.Framer
	reader *codec.Socket
	got    []codec.Message
}

func dialSocket(t *testing.T, address, extensions string) *socketClient {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(conn, "GET /v1/responses HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n", extensions)
	in := bufio.NewReader(conn)
	r, err := http.ReadResponse(in, nil)
	if err != nil || r.StatusCode != http.StatusSwitchingProtocols || r.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("handshake: %v, %v", r, err)
	}
	agreed, err := codec.ParseExtensions(r.Header.Get("Sec-WebSocket-Extensions"))
	if err != nil || agreed.On != (extensions != "") {
		t.Fatalf("agreed on %+v, %v", agreed, err)
	}
	return &socketClient{T: t, conn: conn, in: in, out: codec.NewFramer(true, agreed, 1), reader: codec.NewSocket(codec.SocketConfig{Deflate: agreed})}
}

func (c *socketClient) send(op codec.Op, payload string) {
	c.Helper()
	if _, err := c.conn.Write(c.out.AppendMessage(nil, op, []byte(payload))); err != nil {
		c.Fatal(err)
	}
}

// next is the next message, io.EOF after the last.
func (c *socketClient) next() (codec.Message, error) {
	buf := make([]byte, 4096)
	for len(c.got) == 0 {
		n, err := c.in.Read(buf)
		if err != nil {
			return codec.Message{}, err
		}
		if err := c.reader.Feed(buf[:n], func(m codec.Message) {
			m.Plain = append([]byte(nil), m.Plain...)
			c.got = append(c.got, m)
		}); err != nil {
			c.Fatal(err)
		}
	}
	m := c.got[0]
	c.got = c.got[1:]
	return m, nil
}

// turn asks and collects the answer, up to the event that ends it.
func (c *socketClient) turn(request string) wire.Reply {
	c.Helper()
	c.send(codec.Text, request)
	collector, err := wire.NewCollector(wire.FormatResponses, wire.FrameMessages)
	if err != nil {
		c.Fatal(err)
	}
	for {
		m, err := c.next()
		if err != nil {
			c.Fatalf("read answer: %v", err)
		}
		if m.Op != codec.Text {
			continue
		}
		if err := collector.Feed(m.Plain, nil); err != nil {
			c.Fatal(err)
		}
		var e struct{ Type string }
		json.Unmarshal(m.Plain, &e)
		if e.Type == "response.completed" || e.Type == "error" {
			return collector.Reply()
		}
	}
}

func startSocket(t *testing.T, script string) (address string) {
	t.Helper()
	ln, err := listenLocal("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serving(t, newTestServer(t, script), ln)
	return ln.Addr().String()
}

func TestSocket(t *testing.T) {
	address := startSocket(t, "pace: {split: 0.5, first_ms: 30, ping_ms: 10}\n"+walk)
	for _, extensions := range []string{"", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"} {
		c := dialSocket(t, address, extensions)
		create := func(more string) string { return `{"type":"response.create","model":"m",` + more + `}` }
		tools := `,"tools":[` + declare(wire.FormatResponses, "shell", shellSchema) + `]`
		r := c.turn(create(`"generate":false,"input":[]` + tools))
		if len(r.Output) != 0 || r.ID == "" {
			t.Fatalf("the prewarm call was answered by %+v", r)
		}
		c.send(codec.Ping, "alive?")
		r = c.turn(create(`"previous_response_id":"` + r.ID + `","input":[{"role":"user","content":"do it"}]` + tools))
		if got := says(t, wire.FormatResponses, r); got != "one $a $b" {
			t.Errorf("first turn: %q", got)
		}
		r = c.turn(create(`"previous_response_id":"` + r.ID + `","input":[{"type":"function_call_output","call_id":"` + r.Tools[0].ID + `","output":"ok"}]` + tools))
		if got := says(t, wire.FormatResponses, r); got != " $c" {
			t.Errorf("second turn: %q", got)
		}
		if r := c.turn(`{"type":"response.create"`); r.Err == "" {
			t.Errorf("a broken request was answered by %+v, want an error", r)
		}
		c.send(codec.Close, "\x03\xe8")
		m, err := c.next()
		for ; err == nil && m.Op != codec.Close; m, err = c.next() {
		}
		if string(m.Plain) != "\x03\xe8" {
			t.Errorf("the close was answered by %q, %v", m.Plain, err)
		}
		if _, err := c.next(); err != io.EOF {
			t.Errorf("after the close: %v, want EOF", err)
		}
	}
}

// TestSocketPong is answered while an answer is on its way.
func TestSocketPong(t *testing.T) {
	c := dialSocket(t, startSocket(t, faulty("pace: {first_ms: 600000}")), "")
	c.send(codec.Text, `{"type":"response.create","model":"m","input":"x"}`)
	c.send(codec.Ping, "now")
	if m, err := c.next(); err != nil || m.Op != codec.Pong || string(m.Plain) != "now" {
		t.Errorf("got %+v, %v, want the pong", m, err)
	}
}

func TestSocketFaults(t *testing.T) {
	address := startSocket(t, faulty("fault: {kind: status, status: 429}"))
	c := dialSocket(t, address, "")
	const request = `{"type":"response.create","model":"m","input":"x"}`
	if r := c.turn(request); !strings.Contains(r.Err, "rate_limit_error") {
		t.Errorf("refused with %q", r.Err)
	}
	if m, err := c.next(); err != nil || m.Op != codec.Close {
		t.Errorf("after the refusal: %+v, %v, want a close", m, err)
	}
	c = dialSocket(t, address, "")
	if r := c.turn(request); says(t, wire.FormatResponses, r) != "a text of some length" {
		t.Errorf("the retry was answered by %+v", r)
	}
	c = dialSocket(t, startSocket(t, faulty("fault: {kind: cut, at: 0.5}")), "")
	c.send(codec.Text, request)
	n := 0
	_, err := c.next()
	for ; err == nil; _, err = c.next() {
		n++
	}
	if n == 0 {
		t.Errorf("cut after %d messages, %v", n, err)
	}
}
