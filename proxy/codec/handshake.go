package codec

import (
	"fmt"
	"strconv"
	"strings"
)

// Deflate is what a handshake agreed on about permessage-deflate (RFC 7692).
type Deflate struct {
	On          bool
	ClientReset bool // client_no_context_takeover: each of its messages starts afresh
	ServerReset bool // server_no_context_takeover
	ClientBits  int  // client_max_window_bits: its window is 1<<ClientBits bytes; 15 if not named
	ServerBits  int  // server_max_window_bits
}

// side returns what holds for one sender.
func (d Deflate) side(client bool) (reset bool, bits int) {
	reset, bits = d.ServerReset, d.ServerBits
	if client {
		reset, bits = d.ClientReset, d.ClientBits
	}
	if bits == 0 {
		bits = 15
	}
	return reset, max(bits, 9) // zlib's 8 is 9: its own bug, which everybody keeps
}

// ParseExtensions reads the Sec-WebSocket-Extensions of a handshake's answer: the
// server's word is what was agreed. Several header lines are joined by commas.
// The frames of an extension other than permessage-deflate can't be read.
func ParseExtensions(value string) (Deflate, error) {
	var d Deflate
	for ext := range strings.SplitSeq(value, ",") {
		name, params, _ := strings.Cut(ext, ";")
		name = strings.TrimSpace(name)
		if name == "" {
			continue
		}
		if !strings.EqualFold(name, "permessage-deflate") {
			return Deflate{}, fmt.Errorf("websocket extension %q: not supported", name)
		}
		if d.On {
			return Deflate{}, fmt.Errorf("websocket extension %q: agreed on twice", name)
		}
		d.On = true
		if err := d.params(params); err != nil {
			return Deflate{}, fmt.Errorf("websocket extension %q: %w", name, err)
		}
	}
	return d, nil
}

func (d *Deflate) params(list string) error {
	for param := range strings.SplitSeq(list, ";") {
		name, value, _ := strings.Cut(param, "=")
		value = strings.Trim(strings.TrimSpace(value), `"`)
		var err error
		switch name := strings.ToLower(strings.TrimSpace(name)); name {
		case "":
		case "client_no_context_takeover":
			d.ClientReset = true
		case "server_no_context_takeover":
			d.ServerReset = true
		case "client_max_window_bits":
			d.ClientBits, err = windowBits(value)
		case "server_max_window_bits":
			d.ServerBits, err = windowBits(value)
		default:
			return fmt.Errorf("unknown parameter %q", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func windowBits(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 8 || n > 15 {
		return 0, fmt.Errorf("window bits %q: want 8 to 15", s)
	}
	return n, nil
}
