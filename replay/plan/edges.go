package plan

import (
	"cmp"
	"slices"
)

// tidy sorts edges and keeps, of those on the same point of the same step, the
// one that fires last.
func tidy(edges []Edge) []Edge {
	slices.SortFunc(edges, func(a, b Edge) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.At, b.At),
			cmp.Compare(a.Share, b.Share), cmp.Compare(b.Gap, a.Gap))
	})
	return slices.CompactFunc(edges, func(a, b Edge) bool {
		return a.From == b.From && a.At == b.At && a.Share == b.Share
	})
}
