package plan

// saltLetters are 32 letters that no JSON string escapes.
const saltLetters = "abcdefghijklmnopqrstuvwxyz234567"

// newSalt draws a salt of 95 bits from what it stands for. It ends in a space,
// so that it does not run into the text behind it.
func newSalt(parts ...uint64) Salt {
	var s Salt
	h := mix(0x73616c74, parts...)
	for i := range SaltLen - 1 {
		if i%12 == 0 {
			h = mix(h, uint64(i))
		}
		s[i] = saltLetters[h&31]
		h >>= 5
	}
	s[SaltLen-1] = ' '
	return s
}

// mix hashes numbers to one, by the finalizer of splitmix64 over a chain.
func mix(h uint64, parts ...uint64) uint64 {
	for _, p := range parts {
		h = scramble(h + 0x9e3779b97f4a7c15 ^ scramble(p+0x632be59bd9b4e019))
	}
	return h
}

func scramble(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
