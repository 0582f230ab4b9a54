package plan

import (
	"math/bits"
	"sort"
	"time"
)

// ring is all sessions end to end, in an order drawn from a seed. A position is
// a time from the start of the first.
type ring struct {
	order []int32         // tracks
	ends  []time.Duration // position of the end of each, in ring order
}

func newRing(tracks []*track, seed uint64) ring {
	r := ring{order: make([]int32, len(tracks)), ends: make([]time.Duration, len(tracks))}
	for i := range r.order {
		r.order[i] = int32(i)
	}
	for i := len(r.order) - 1; i > 0; i-- { // Fisher and Yates
		j, _ := bits.Mul64(mix(seed, 1, uint64(i)), uint64(i+1))
		r.order[i], r.order[j] = r.order[j], r.order[i]
	}
	var end time.Duration
	for i, t := range r.order {
		end += tracks[t].length
		r.ends[i] = end
	}
	return r
}

// phi is 2^64 divided by the golden ratio. Multiples of it, modulo 2^64, lie
// more evenly spread at every count than those of any other number.
const phi = 0x9e3779b97f4a7c15

// offset is an agent's position on the ring: (u + agent/φ mod 1) × length, with
// u drawn from the seed.
func (r ring) offset(seed uint64, agent int) time.Duration {
	u := mix(seed, 2) + uint64(agent)*phi
	hi, _ := bits.Mul64(u, uint64(r.ends[len(r.ends)-1]))
	return time.Duration(hi)
}

// find is the place on the ring that holds a position, and how far into it.
func (r ring) find(pos time.Duration) (place int, into time.Duration) {
	place = sort.Search(len(r.ends), func(i int) bool { return r.ends[i] > pos })
	if place > 0 {
		pos -= r.ends[place-1]
	}
	return place, pos
}

// at is the track n places on from a place, round the ring.
func (r ring) at(place, n int) int32 { return r.order[(place+n)%len(r.order)] }
