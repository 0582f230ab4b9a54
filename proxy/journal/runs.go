package journal

import "encoding/binary"

// run is a stretch of a body: Len bytes of body From, beginning at Off, or the
// literal bytes Lit.
type run struct {
	From     uint64
	Off, Len int64
	Lit      []byte
}

// appendRuns encodes runs of body b. A run is its length, shifted left by one;
// bit 0 says that it is a copy. A copy names its source as a distance from b,
// which may be negative, for an older body can copy from a younger one, and its offset as a distance from where the last copy ended; a literal's
// bytes follow.
func appendRuns(dst []byte, b int, runs []run) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(runs)))
	end := int64(0)
	for _, r := range runs {
		if r.Lit != nil {
			dst = binary.AppendUvarint(dst, uint64(len(r.Lit))<<1)
			dst = append(dst, r.Lit...)
			continue
		}
		dst = binary.AppendUvarint(dst, uint64(r.Len)<<1|1)
		dst = binary.AppendVarint(dst, int64(b)-int64(r.From))
		dst = binary.AppendVarint(dst, r.Off-end)
		end = r.Off + r.Len
	}
	return dst
}

// parseRuns appends the runs at the front of c to body b of s. They must come
// to at most bound bytes.
func parseRuns(c *cursor, s *store, b int, bound int) bool {
	count := c.size(maxFrame)
	end := int64(0)
	for range count {
		v := c.uvarint()
		n := v >> 1
		if c.bad || n == 0 || n > uint64(bound) {
			return false
		}
		bound -= int(n)
		if v&1 == 0 {
			p := c.take(int(n))
			s.literal(b, p)
			if c.bad {
				return false
			}
			continue
		}
		from := int64(b) - c.varint()
		off := end + c.varint()
		if c.bad || from < 0 || from >= int64(len(s.bodies)) || !s.copyRun(b, int(from), off, int64(n)) {
			return false
		}
		end = off + int64(n)
	}
	return true
}
