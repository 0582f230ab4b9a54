package journal

import (
	"encoding/binary"
	"maps"
	"slices"
	"time"
)

// Bounds of what describes an exchange.
const (
	maxName  = 64
	maxTag   = 256
	maxAddr  = 128
	maxPath  = 4096
	maxText  = 1024
	maxAttrs = 32
	maxHead  = 256 << 10
	maxField = 64 << 10
)

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// clip cuts s to n bytes and notes that it did.
func clip(s string, n int, clipped *bool) string {
	if len(s) <= n {
		return s
	}
	*clipped = true
	return s[:n]
}

// appendFlow appends f, cut to its bounds. Readers ignore bytes that follow
// the fields they know, so that a later version can append some.
func appendFlow(b []byte, f Flow) []byte {
	cut := f.Clipped
	for _, s := range []struct {
		text string
		max  int
	}{
		{f.ID, maxTag}, {f.Session, maxTag}, {f.Harness, maxName}, {f.Provider, maxName}, {f.Scheme, maxName},
		{f.Host, maxTag}, {f.Client, maxAddr}, {f.Workdir, maxPath},
	} {
		b = appendString(b, clip(s.text, s.max, &cut))
	}
	b = append(b, byte(f.Mode), byte(f.Kind))
	b = binary.AppendVarint(b, int64(f.Port))
	b = binary.AppendVarint(b, wall(f.Started))
	b = binary.AppendVarint(b, int64(f.At))
	b = appendAttrs(b, f.Attrs, &cut)
	return appendBool(b, cut)
}

func parseFlow(b []byte) (Flow, bool) {
	c := cursor{b: b}
	f := Flow{
		ID: c.str(maxTag), Session: c.str(maxTag), Harness: c.str(maxName), Provider: c.str(maxName), Scheme: c.str(maxName),
		Host: c.str(maxTag), Client: c.str(maxAddr), Workdir: c.str(maxPath),
	}
	f.Mode, f.Kind = Mode(c.byte()), Kind(c.byte())
	f.Port = int(c.varint())
	f.Started = fromWall(c.varint())
	f.At = time.Duration(c.varint())
	f.Attrs = c.attrs()
	f.Clipped = c.byte() != 0
	return f, !c.bad
}

// appendAttrs keeps the first attributes in the order of their keys.
func appendAttrs(b []byte, attrs map[string]string, cut *bool) []byte {
	keys := slices.Sorted(maps.Keys(attrs))
	if len(keys) > maxAttrs {
		keys, *cut = keys[:maxAttrs], true
	}
	b = binary.AppendUvarint(b, uint64(len(keys)))
	for _, k := range keys {
		b = appendString(b, clip(k, maxName, cut))
		b = appendString(b, clip(attrs[k], maxText, cut))
	}
	return b
}

func appendHead(b []byte, h Head) []byte {
	cut := h.Clipped
	b = append(b, byte(h.Kind))
	b = binary.AppendUvarint(b, uint64(max(h.Wire, 0)))
	b = appendString(b, clip(h.Line, maxField, &cut))
	start := len(b)
	for _, f := range h.Fields {
		if len(b)-start+len(f.Name)+len(f.Value) > maxHead || len(f.Name) > maxField || len(f.Value) > maxField {
			cut = true
			continue
		}
		b = append(b, 1)
		b = appendString(appendString(b, f.Name), f.Value)
	}
	return appendBool(append(b, 0), cut)
}

func parseHead(b []byte) (Head, bool) {
	c := cursor{b: b}
	h := Head{Kind: HeadKind(c.byte()), Wire: int(c.uvarint()), Line: c.str(maxField)}
	for c.byte() == 1 && !c.bad {
		h.Fields = append(h.Fields, Field{Name: c.str(maxField), Value: c.str(maxField)})
	}
	h.Clipped = c.byte() != 0
	return h, !c.bad
}

func appendEnd(b []byte, e End) []byte {
	cut := false
	b = append(b, byte(e.Outcome))
	b = appendString(b, clip(e.Err, maxText, &cut))
	for _, d := range e.Wire {
		b = binary.AppendVarint(b, d.Bytes)
		b = append(b, d.Sum[:]...)
	}
	return appendAttrs(b, e.Attrs, &cut)
}

// parseEnd leaves out the time, which the frame holds.
func parseEnd(c *cursor) End {
	e := End{Outcome: Outcome(c.byte()), Err: c.str(maxText)}
	for i := range e.Wire {
		e.Wire[i].Bytes = c.varint()
		copy(e.Wire[i].Sum[:], c.take(32))
	}
	e.Attrs = c.attrs()
	return e
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// wall is a wall clock time as a number; the zero time is 0.
func wall(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromWall(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// cursor takes values off the front of b. Once something did not fit, bad is
// set and every value is zero.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) fail() { c.b, c.bad = nil, true }

func (c *cursor) byte() byte {
	if len(c.b) == 0 {
		c.fail()
		return 0
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.fail()
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *cursor) varint() int64 {
	v, n := binary.Varint(c.b)
	if n <= 0 {
		c.fail()
		return 0
	}
	c.b = c.b[n:]
	return v
}

// size takes a count that is at most bound.
func (c *cursor) size(bound int) int {
	v := c.uvarint()
	if v > uint64(bound) {
		c.fail()
		return 0
	}
	return int(v)
}

// take returns the next n bytes, borrowed.
func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.fail()
		return nil
	}
	v := c.b[:n]
	c.b = c.b[n:]
	return v
}

func (c *cursor) str(bound int) string { return string(c.take(c.size(bound))) }

func (c *cursor) attrs() map[string]string {
	n := c.size(maxAttrs)
	if n == 0 {
		return nil
	}
	m := make(map[string]string, n)
	for range n {
		k := c.str(maxName)
		m[k] = c.str(maxText)
	}
	return m
}
