package stat

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// DefaultC is the one-sided confidence of each end of an interval.
const DefaultC = 0.995

// Design says how observations hang together. The zero value is a sample of
// independent observations.
type Design struct {
	Clusters []int32 // cluster of each observation, small numbers from 0; nil: each is its own
	Blocks   []int32 // time block of each observation, small numbers from 0; nil: time does not matter
	Inflate  float64 // factor on the standard error, at least 1; 0 means 1
	C        float64 // one-sided confidence of each end, in (0.5,1); 0 means DefaultC
}

func (d Design) c() float64 {
	if d.C == 0 {
		return DefaultC
	}
	return d.C
}

// confidence is that of the interval between two ends, 2c-1.
func (d Design) confidence() float64 { return 2*d.c() - 1 }

func (d Design) inflate() float64 { return max(1, d.Inflate) }

// spread is what a design makes of residuals.
type spread struct {
	iid float64 // standard error of the total if observations were independent
	se  float64 // of the total: the largest of four, inflated
	df  int     // degrees of freedom of se; under 1: it cannot be told
}

// spread computes standard errors of a total from the residuals r_i around the
// estimate, Σ r_i = 0 (n of them, in G clusters and B blocks that are not empty):
//
//	V_iid     = n/(n-1) · Σ_i r_i²
//	V_cluster = G/(G-1) · Σ_g (Σ_{i in g} r_i)²
//	V_block   = B/(B-1) · Σ_b (Σ_{i in b} r_i)²
//	V_two-way = V_cluster + V_block - V_iid
//	se        = Inflate · sqrt(max(V_iid, V_cluster, V_block, V_two-way))
//
// with B-1 degrees of freedom, or n-1 without blocks. V_cluster is the
// linearised estimator of survey statistics (Cochran, Sampling Techniques,
// 3rd ed., 9.A); V_two-way is that of Cameron, Gelbach and Miller, Robust
// inference with multiway clustering, J. Business & Economic Statistics 29
// (2011), where two observations share a cluster and a block only by being the
// same; where more of them do, too little is taken away, which errs on the wide
// side. The largest is taken because each of them is too small when its own tie
// is not the one that rules: which one does differs between loads, and even
// between metrics of one load.
func (d Design) spread(r []float64) spread {
	n := float64(len(r))
	if n < 2 {
		return spread{}
	}
	var iid float64
	for _, x := range r {
		iid += x * x
	}
	iid *= n / (n - 1)
	cluster, _ := between(r, d.Clusters)
	block, blocks := between(r, d.Blocks)
	s := spread{iid: math.Sqrt(iid), df: len(r) - 1}
	s.se = math.Sqrt(max(iid, cluster, block, cluster+block-iid)) * d.inflate()
	if d.Blocks != nil {
		s.df = blocks - 1
	}
	return s
}

// between is k/(k-1) times the sum of the squared group totals of r, over the k
// groups that have members; 0 with fewer than two.
func between(r []float64, group []int32) (v float64, k int) {
	if group == nil {
		return 0, 0
	}
	var totals []float64
	var seen []bool
	for i, g := range group {
		for int(g) >= len(totals) {
			totals, seen = append(totals, 0), append(seen, false)
		}
		totals[g] += r[i]
		if !seen[g] {
			seen[g] = true
			k++
		}
	}
	if k < 2 {
		return 0, k
	}
	for _, t := range totals {
		v += t * t
	}
	return v * float64(k) / float64(k-1), k
}

// t is Student's t quantile at the design's confidence.
func (d Design) t(df int) float64 { return TQuantile(d.c(), df) }

// TQuantile is the p quantile of Student's t with df degrees of freedom, +Inf
// for df < 1.
func TQuantile(p float64, df int) float64 {
	if df < 1 {
		return math.Inf(1)
	}
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(df)}.Quantile(p)
}

// few says that an interval has no end, or no meaning, and what it would take.
func few(n, need int, what string) string {
	return fmt.Sprintf("%d %s: need at least %d", n, what, need)
}

// Blocks cuts the time from 0 to span into k equal blocks and says in which of
// them each time lies. Times outside go to the nearest block.
func Blocks(times []float64, span float64, k int) []int32 {
	blocks := make([]int32, len(times))
	for i, t := range times {
		b := int32(0)
		if span > 0 && t > 0 {
			b = int32(min(t/span*float64(k), float64(k-1)))
		}
		blocks[i] = b
	}
	return blocks
}
