package capacity

import "math"

// Faster returns the SLO for a system and agents whose every duration is f times
// shorter: speeds are multiplied by f, times divided by it, shares stay. f is
// above 0. A system meets s exactly if the same system, f times faster, meets
// s.Faster(f) for agents that are f times faster. Times are rounded to
// nanoseconds, which is what String writes.
func (s SLO) Faster(f float64) SLO {
	conds := make([]Cond, len(s.Conds))
	for i, c := range s.Conds {
		switch c.Metric {
		case Speed:
			c.Limit *= f
		case TTFT, E2E, ITL:
			c.Limit = math.Round(c.Limit/f*1e9) / 1e9
		}
		conds[i] = c
	}
	s.Conds = conds
	return s
}
