package codec_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/capstan-bench/capstan/proxy/codec"
	"github.com/google/go-cmp/cmp"
)

func TestParseExtensions(t *testing.T) {
	for value, want := range map[string]codec.Deflate{
		"":                   {},
		"permessage-deflate": {On: true},
		"Permessage-Deflate; server_no_context_takeover; client_max_window_bits=\"10\"": {On: true, ServerReset: true, ClientBits: 10},
		"permessage-deflate;client_no_context_takeover;server_max_window_bits = 15, ":   {On: true, ClientReset: true, ServerBits: 15},
	} {
		if got, err := codec.ParseExtensions(value); err != nil || got != want {
			t.Errorf("ParseExtensions(%q) = %+v, %v, want %+v", value, got, err, want)
		}
	}
	for _, value := range []string{
		"x-webkit-deflate-frame", "permessage-deflate; server_max_window_bits=16", "permessage-deflate; what",
		"permessage-deflate, permessage-deflate", "permessage-deflate; client_max_window_bits",
	} {
		if d, err := codec.ParseExtensions(value); err == nil {
			t.Errorf("ParseExtensions(%q) = %+v, want an error", value, d)
		}
	}
}

// read feeds the pieces that cut makes, and spoils them and what came out.
func read(s *codec.Socket, wire []byte, cut func(int) int) (out []codec.Message, err error) {
	emit := func(m codec.Message) {
		kept := bytes.Clone(m.Plain)
		for i := range m.Plain {
			m.Plain[i] = '#'
		}
		m.Plain = kept
		out = append(out, m)
	}
	for len(wire) > 0 {
		n := min(len(wire), max(1, cut(len(wire))))
		piece := bytes.Clone(wire[:n])
		err = s.Feed(piece, emit)
		if !bytes.Equal(piece, wire[:n]) {
			panic("Feed changed its input")
		}
		wire = wire[n:]
	}
	if closed := s.Close(emit); err == nil {
		err = closed
	}
	return out, err
}

// byBytes compares payloads at once: by elements it takes seconds.
var byBytes = cmp.Comparer(bytes.Equal)

var agreements = map[string]codec.Deflate{
	"plain":    {},
	"takeover": {On: true},
	"reset":    {On: true, ClientReset: true, ServerReset: true},
	"bits":     {On: true, ClientBits: 9, ServerBits: 8},
}

// conversation has messages of many sizes, refers far back, and pings within.
func conversation(client bool, d codec.Deflate, sizes ...int) (wire []byte, want []codec.Message) {
	f := codec.NewFramer(client, d, 7)
	ping := codec.Frame{Op: codec.Ping, Fin: true, Masked: client, Mask: [4]byte{1, 2, 3, 4}, Payload: []byte("are you there")}
	rng := rand.New(rand.NewPCG(8, 9))
	for i, size := range sizes {
		text := sse(1 + size/80)[:size]
		op := codec.Text
		if i%3 == 2 {
			op = codec.Binary
			for j := range text {
				text[j] = byte(rng.Uint32())
			}
		}
		from := len(wire)
		var frames int
		if i%2 == 0 {
			wire = f.AppendMessage(wire, op, text)
			frames = 1
		} else {
			wire = f.AppendMessageIn(wire, op, text, size/3+1)
		}
		m := codec.Message{Op: op, Plain: text, Size: int64(size), From: int64(from), To: int64(len(wire)), Wire: int64(len(wire) - from), Frames: frames}
		want = append(want, m)
		from = len(wire)
		wire = codec.AppendFrame(wire, ping)
		want = append(want, codec.Message{Op: codec.Ping, Plain: ping.Payload, Size: 13, From: int64(from), To: int64(len(wire)), Wire: int64(len(wire) - from), Frames: 1})
	}
	return wire, want
}

func TestSocketCutsChangeNothing(t *testing.T) {
	for name, d := range agreements {
		for _, client := range []bool{true, false} {
			for how, cut := range cuts() {
				sizes := []int{0, 1, 125, 126, 300, 2500, 40}
				if how != "bytes" {
					sizes = append(sizes, 65535, 65536, 90_000, 200)
				}
				wire, want := conversation(client, d, sizes...)
				s := codec.NewSocket(codec.SocketConfig{FromClient: client, Deflate: d})
				got, err := read(s, wire, cut)
				if err != nil || s.Offset() != int64(len(wire)) {
					t.Fatalf("%s, client %v, %s: %v at %d", name, client, how, err, s.Offset())
				}
				for i := range got {
					if i < len(want) && want[i].Frames == 0 {
						want[i].Frames = got[i].Frames
					}
				}
				if diff := cmp.Diff(want, got, byBytes); diff != "" {
					t.Errorf("%s, client %v, %s: -want +got\n%.500s", name, client, how, diff)
				}
			}
		}
	}
}

func TestSocketInterleaved(t *testing.T) {
	wire := codec.AppendFrame(nil, codec.Frame{Op: codec.Text, Payload: []byte("one ")})
	wire = codec.AppendFrame(wire, codec.Frame{Op: codec.Ping, Fin: true, Payload: []byte("p")})
	wire = codec.AppendFrame(wire, codec.Frame{Op: codec.Continuation, Payload: []byte("two")})
	wire = codec.AppendFrame(wire, codec.Frame{Op: codec.Continuation, Fin: true})
	wire = codec.AppendFrame(wire, codec.Frame{Op: codec.Close, Fin: true, Payload: []byte{3, 0xe8}})
	want := []codec.Message{
		{Op: codec.Ping, Plain: []byte("p"), Size: 1, From: 6, To: 9, Wire: 3, Frames: 1},
		{Op: codec.Text, Plain: []byte("one two"), Size: 7, From: 0, To: 16, Wire: 13, Frames: 3},
		{Op: codec.Close, Plain: []byte{3, 0xe8}, Size: 2, From: 16, To: 20, Wire: 4, Frames: 1},
	}
	for how, cut := range cuts() {
		got, err := read(codec.NewSocket(codec.SocketConfig{}), wire, cut)
		if diff := cmp.Diff(want, got, byBytes); diff != "" || err != nil {
			t.Errorf("%s: %v, -want +got\n%s", how, err, diff)
		}
	}
}

func TestSocketViolations(t *testing.T) {
	text := codec.Frame{Op: codec.Text, Fin: true, Payload: []byte("x")}
	good := codec.AppendFrame(nil, text)
	masked := codec.AppendFrame(nil, codec.Frame{Op: codec.Text, Fin: true, Masked: true})
	for name, c := range map[string]struct {
		wire   []byte
		reason string
	}{
		"opcode":     {[]byte{0x83, 0}, "reserved"},
		"opcode 11":  {[]byte{0x8b, 0}, "reserved"},
		"rsv":        {[]byte{0xa1, 0}, "reserved bit"},
		"rsv1":       {[]byte{0xc1, 0}, "reserved bit"},
		"length 16":  {[]byte{0x81, 126, 0, 5}, "shortest"},
		"length 64":  {[]byte{0x81, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, "shortest"},
		"huge":       {[]byte{0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0}, "too large"},
		"long ping":  {[]byte{0x89, 126, 0, 126}, "control"},
		"part ping":  {[]byte{0x09, 0}, "control"},
		"half close": {[]byte{0x88, 1, 3}, "half a status"},
		"continues":  {[]byte{0x80, 0}, "continues no"},
		"inside":     {[]byte{0x01, 0, 0x81, 0}, "inside another"},
		"mask":       {masked, "with a mask"},
		"after":      {[]byte{0x88, 0, 0x81, 0}, "follows a close"},
		"ends":       {[]byte{0x81, 5, 'a'}, "ends inside"},
		"ends early": {[]byte{0x81}, "ends inside"},
	} {
		for how, cut := range cuts() {
			s := codec.NewSocket(codec.SocketConfig{})
			wire := append(bytes.Clone(good), c.wire...)
			got, err := read(s, wire, cut)
			var e *codec.SocketError
			if !errors.As(err, &e) || !strings.Contains(e.Reason, c.reason) || len(got) == 0 || string(got[0].Plain) != "x" {
				t.Errorf("%s in %s: %v after %d messages, want %q after the first", name, how, err, len(got), c.reason)
			}
			if s.Offset() != int64(len(wire)) {
				t.Errorf("%s in %s: counted %d bytes of %d", name, how, s.Offset(), len(wire))
			}
		}
	}
	if _, err := read(codec.NewSocket(codec.SocketConfig{FromClient: true}), good, func(int) int { return 9 }); err == nil {
		t.Error("a client's frame without mask: no error")
	}
}

// A message over the limit is marked and skipped; what follows must still be
// readable, though it refers back to what was skipped.
func TestSocketTooLong(t *testing.T) {
	for name, d := range agreements {
		f := codec.NewFramer(true, d, 1)
		long := sse(2000)
		wire := f.AppendMessageIn(nil, codec.Text, long, 3000)
		wire = f.AppendMessage(wire, codec.Text, long[len(long)-300:])
		s := codec.NewSocket(codec.SocketConfig{FromClient: true, Deflate: d, MaxMessage: 1000})
		got, err := read(s, wire, func(int) int { return 777 })
		if err != nil || len(got) != 2 {
			t.Fatalf("%s: %d messages, %v", name, len(got), err)
		}
		if fault(got[0].Err) != codec.TooLarge || got[0].Size != int64(len(long)) || got[0].Plain != nil {
			t.Errorf("%s: the long one: %d of %d bytes kept, %v", name, len(got[0].Plain), got[0].Size, got[0].Err)
		}
		if got[1].Err != nil || !bytes.Equal(got[1].Plain, long[len(long)-300:]) {
			t.Errorf("%s: the next: %q, %v", name, got[1].Plain, got[1].Err)
		}
	}
}

// Damage inside a compressed message loses it, and with context takeover those
// that follow, but not the framing.
func TestSocketDamagedMessage(t *testing.T) {
	for name, d := range agreements {
		if !d.On {
			continue
		}
		f := codec.NewFramer(false, d, 1)
		bad := codec.Frame{Op: codec.Text, Fin: true, Deflated: true, Payload: []byte{0xff, 0xff, 0xff}}
		wire := codec.AppendFrame(nil, bad)
		wire = f.AppendMessage(wire, codec.Text, []byte("after"))
		got, err := read(codec.NewSocket(codec.SocketConfig{Deflate: d}), wire, func(int) int { return 2 })
		if err != nil || len(got) != 2 || fault(got[0].Err) == 0 {
			t.Fatalf("%s: %v, %v", name, got, err)
		}
		if d.ServerReset {
			if got[1].Err != nil || string(got[1].Plain) != "after" {
				t.Errorf("%s: the next is %q, %v", name, got[1].Plain, got[1].Err)
			}
		} else if fault(got[1].Err) != codec.Lost {
			t.Errorf("%s: the next is %q, %v, want lost", name, got[1].Plain, got[1].Err)
		}
	}
}

func TestSocketBomb(t *testing.T) {
	d := codec.Deflate{On: true}
	f := codec.NewFramer(false, d, 1)
	wire := f.AppendMessage(nil, codec.Binary, make([]byte, 16<<20))
	got, err := read(codec.NewSocket(codec.SocketConfig{Deflate: d, MaxMessage: 1 << 20}), wire, func(n int) int { return n })
	if err != nil || len(got) != 1 || fault(got[0].Err) != codec.TooLarge || len(got[0].Plain) != 0 {
		t.Errorf("bomb: %d messages, %v", len(got), err)
	}
}

func TestSocketClosedInside(t *testing.T) {
	for name, d := range agreements {
		f := codec.NewFramer(false, d, 1)
		wire := f.AppendMessage(nil, codec.Text, sse(30))
		got, err := read(codec.NewSocket(codec.SocketConfig{Deflate: d}), wire[:len(wire)-9], func(int) int { return 100 })
		if err == nil || len(got) != 1 || fault(got[0].Err) != codec.Truncated || got[0].To != int64(len(wire)-9) {
			t.Errorf("%s: %d messages, %v", name, len(got), err)
		} else if !bytes.HasPrefix(sse(30), got[0].Plain) {
			t.Errorf("%s: what came is %q", name, got[0].Plain)
		}
	}
}

func FuzzSocket(f *testing.F) {
	for _, d := range agreements {
		for _, client := range []bool{true, false} {
			wire, _ := conversation(client, d, 0, 126, 300, 40)
			f.Add(wire, client, d.On, d.ClientReset)
		}
	}
	f.Fuzz(func(t *testing.T, wire []byte, client, on, reset bool) {
		cfg := codec.SocketConfig{FromClient: client, Deflate: codec.Deflate{On: on, ClientReset: reset, ServerReset: reset}, MaxMessage: 1 << 16}
		a, errA := read(codec.NewSocket(cfg), wire, func(n int) int { return n })
		b, errB := read(codec.NewSocket(cfg), wire, func(int) int { return 1 })
		if fmt.Sprint(errA) != fmt.Sprint(errB) || len(a) != len(b) {
			t.Fatalf("whole: %d messages, %v; in bytes: %d, %v", len(a), errA, len(b), errB)
		}
		for i := range a {
			if fault(a[i].Err) != fault(b[i].Err) {
				t.Fatalf("message %d: %v, in bytes %v", i, a[i].Err, b[i].Err)
			}
			a[i].Err, b[i].Err = nil, nil
			if diff := cmp.Diff(a[i], b[i], byBytes); diff != "" {
				t.Fatalf("message %d: -whole +bytes\n%s", i, diff)
			}
		}
	})
}

func BenchmarkSocket(b *testing.B) {
	for name, d := range agreements {
		for _, size := range []int{200, 200_000} {
			b.Run(fmt.Sprintf("deflate=%s/message=%d", name, size), func(b *testing.B) {
				const n = 20
				f := codec.NewFramer(true, d, 1)
				text := sse(size/60 + 1)[:size]
				var wires [][]byte
				for range n {
					wires = append(wires, f.AppendMessage(nil, codec.Text, text))
				}
				b.SetBytes(int64(n * size))
				b.ReportAllocs()
				for b.Loop() {
					s := codec.NewSocket(codec.SocketConfig{FromClient: true, Deflate: d})
					for _, w := range wires {
						if err := s.Feed(w, func(codec.Message) {}); err != nil {
							b.Fatal(err)
						}
					}
				}
			})
		}
	}
}

func BenchmarkSocketOpen(b *testing.B) {
	for name, d := range agreements {
		b.Run("deflate="+name, func(b *testing.B) {
			wire := codec.NewFramer(true, d, 1).AppendMessage(nil, codec.Text, sse(1000))
			var per float64
			for b.Loop() {
				per = max(per, perOpen(b, func() any {
					s := codec.NewSocket(codec.SocketConfig{FromClient: true, Deflate: d})
					s.Feed(wire, func(codec.Message) {})
					return s
				}))
			}
			b.ReportMetric(per, "B/stream")
			b.ReportMetric(0, "ns/op")
		})
	}
}
