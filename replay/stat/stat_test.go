package stat_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/capstan-bench/capstan/replay/stat"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s = %v, want %v ± %v", what, got, want, tolerance)
	}
}

// hits has k hits in n.
func hits(k, n int) []bool {
	h := make([]bool, n)
	for i := range k {
		h[i] = true
	}
	return h
}

func TestTQuantile(t *testing.T) {
	f := func(p float64, df int, want float64) {
		t.Helper()
		near(t, "TQuantile", stat.TQuantile(p, df), want, 1e-5)
	}
	f(0.975, 9, 2.262157) // tables of Student's t
	f(0.995, 9, 3.249836)
	f(0.995, 1, 63.656741)
	f(0.975, 1e6, 1.959966)
	if got := stat.TQuantile(0.995, 0); !math.IsInf(got, 1) {
		t.Errorf("TQuantile without a degree of freedom = %v, want +Inf", got)
	}
}

// The intervals of Clopper and Pearson from published tables.
func TestShareOfIndependentObservations(t *testing.T) {
	f := func(k, n int, lo, hi float64) {
		t.Helper()
		e := stat.Share(hits(k, n), stat.Design{C: 0.975})
		near(t, "Center", e.Center, float64(k)/float64(n), 1e-12)
		near(t, "Lo", e.Lo, lo, 5e-5)
		near(t, "Hi", e.Hi, hi, 5e-5)
		near(t, "Confidence", e.Confidence, 0.95, 1e-12)
	}
	f(0, 10, 0, 0.3085)
	f(10, 10, 0.6915, 1)
	f(5, 20, 0.0866, 0.4910)
	f(1, 100, 0.0003, 0.0545)
	f(50_000, 1_000_000, 0.05-1.96*math.Sqrt(0.05*0.95/1e6), 0.05+1.96*math.Sqrt(0.05*0.95/1e6))
}

func TestShareWidensWithInflate(t *testing.T) {
	width := func(d stat.Design) float64 {
		e := stat.Share(hits(2500, 10_000), d)
		return e.Hi - e.Lo
	}
	near(t, "width with Inflate 3", width(stat.Design{Inflate: 3})/width(stat.Design{}), 3, 0.05)
	none := stat.Share(hits(0, 900), stat.Design{Inflate: 3}).Hi
	near(t, "bound without a hit", none, 1-math.Pow(0.005, 1.0/100), 1e-6)
}

// A share is worth as many observations as there are clusters when all members
// of a cluster agree.
func TestShareOfWholeClusters(t *testing.T) {
	var h []bool
	var d stat.Design
	for c := range int32(40) {
		for range 25 {
			h = append(h, c%4 == 0)
			d.Clusters = append(d.Clusters, c)
		}
	}
	got, want := stat.Share(h, d), stat.Share(hits(10, 40), stat.Design{})
	near(t, "Lo", got.Lo, want.Lo, 0.01)
	near(t, "Hi", got.Hi, want.Hi, 0.01)
}

// Two ties that each add variance add up: V = V_cluster + V_block - V_iid.
func TestTwoWay(t *testing.T) {
	// Rows are clusters, columns are blocks; every row and column sums to something.
	values := []float64{4, 1, 2, 0, 0, -1, 3, 1, -2}
	clusters := []int32{0, 0, 0, 1, 1, 1, 2, 2, 2}
	blocks := []int32{0, 1, 2, 0, 1, 2, 0, 1, 2}
	var mean, iid float64
	for _, v := range values {
		mean += v / 9
	}
	row, col := map[int32]float64{}, map[int32]float64{}
	for i, v := range values {
		iid += (v - mean) * (v - mean) * 9 / 8
		row[clusters[i]] += v - mean
		col[blocks[i]] += v - mean
	}
	sum := func(m map[int32]float64) (v float64) {
		for _, x := range m {
			v += x * x * 3 / 2
		}
		return v
	}
	want := stat.TQuantile(0.975, 2) * math.Sqrt(sum(row)+sum(col)-iid) / 9
	e := stat.Mean(values, stat.Design{Clusters: clusters, Blocks: blocks, C: 0.975})
	near(t, "half width", (e.Hi-e.Lo)/2, want, 1e-9)
}

func TestMeanAndRatio(t *testing.T) {
	e := stat.Mean([]float64{1, 2, 3, 4}, stat.Design{C: 0.975})
	half := stat.TQuantile(0.975, 3) * math.Sqrt(5.0/3/4)
	want := stat.Estimate{Center: 2.5, Lo: 2.5 - half, Hi: 2.5 + half, Confidence: 0.95, N: 4}
	if diff := cmp.Diff(want, e, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Errorf("Mean (-want +got):\n%s", diff)
	}
	r := stat.Ratio([]float64{2, 4, 6}, []float64{1, 2, 3}, stat.Design{})
	near(t, "Ratio", r.Center, 2, 1e-12)
	near(t, "width of an exact ratio", r.Hi-r.Lo, 0, 1e-12)
	m := stat.Ratio([]float64{1, 2, 3, 4}, []float64{1, 1, 1, 1}, stat.Design{C: 0.975})
	if diff := cmp.Diff(want, m, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Errorf("Ratio to ones (-want +got):\n%s", diff)
	}
}

func TestQuantile(t *testing.T) {
	values := make([]float64, 1000)
	for i := range values {
		values[i] = float64((i*7)%1000 + 1)
	}
	e := stat.Quantile(values, 0.95, stat.Design{})
	near(t, "Center", e.Center, 950, 0)
	// Exact order statistics, from the binomial distribution: numbers 931 and 968.
	near(t, "Lo", e.Lo, 931, 2)
	near(t, "Hi", e.Hi, 968, 2)
	values[3] = math.Inf(1)
	if e := stat.Quantile(values, 0.9999, stat.Design{}); !math.IsInf(e.Center, 1) || !math.IsInf(e.Hi, 1) {
		t.Errorf("highest of values with an infinite one = %v, want +Inf", e)
	}
}

func TestTooFew(t *testing.T) {
	f := func(name string, e stat.Estimate, want string) {
		t.Helper()
		if len(e.Warnings) != 1 || !strings.Contains(e.Warnings[0], want) {
			t.Errorf("%s: warnings %q, want one with %q", name, e.Warnings, want)
		}
	}
	f("no share", stat.Share(nil, stat.Design{}), "0 observations: need at least 2")
	f("no mean", stat.Mean(nil, stat.Design{}), "need at least 2")
	f("no ratio", stat.Ratio(nil, nil, stat.Design{}), "need at least 2")
	f("no quantile", stat.Quantile(nil, 0.95, stat.Design{}), "0 observations: need at least 104")
	f("one mean", stat.Mean([]float64{1}, stat.Design{}), "1 observations: need at least 2")
	f("one block", stat.Mean([]float64{1, 2}, stat.Design{Blocks: []int32{4, 4}}), "1 time blocks")
	e := stat.Quantile(make([]float64, 103), 0.95, stat.Design{})
	f("few for P95", e, "need at least 104")
	if !math.IsInf(e.Hi, 1) || math.IsInf(e.Lo, -1) {
		t.Errorf("P95 of 103 = %v, want an upper end that is infinite and a lower that is not", e)
	}
	if e := stat.Quantile(make([]float64, 104), 0.95, stat.Design{}); e.Warnings != nil {
		t.Errorf("P95 of 104 warns: %q", e.Warnings)
	}
	one := stat.Share(hits(1, 1), stat.Design{})
	if one.Lo != 0 || one.Hi != 1 {
		t.Errorf("share of one = %v, want ends 0 and 1", one)
	}
}

func TestNeeded(t *testing.T) {
	f := func(p float64, want int) {
		t.Helper()
		if got := stat.Needed(p, 0); got != want {
			t.Errorf("Needed(%v) = %d, want %d", p, got, want)
		}
		if hi := stat.Share(hits(0, want), stat.Design{}).Hi; hi > p {
			t.Errorf("share of 0 in %d is at most %v, want %v", want, hi, p)
		}
		if hi := stat.Share(hits(0, want-1), stat.Design{}).Hi; hi <= p {
			t.Errorf("share of 0 in %d is at most %v: one less would do too", want-1, hi)
		}
	}
	f(0.25, 19)
	f(0.05, 104)
	f(0.01, 528)
}

func TestBlocks(t *testing.T) {
	got := stat.Blocks([]float64{-1, 0, 0.99, 1, 9.99, 10, 11}, 10, 10)
	if diff := cmp.Diff([]int32{0, 0, 0, 1, 9, 9, 9}, got); diff != "" {
		t.Errorf("Blocks (-want +got):\n%s", diff)
	}
}

func TestEstimateJSON(t *testing.T) {
	f := func(e stat.Estimate, want string) {
		t.Helper()
		got, err := json.Marshal(e)
		if err != nil || string(got) != want {
			t.Errorf("Marshal(%v) = %s, %v, want %s", e, got, err, want)
		}
		var back stat.Estimate
		if err := json.Unmarshal(got, &back); err != nil {
			t.Errorf("Unmarshal(%s): %v", got, err)
		}
		if diff := cmp.Diff(e, back, cmpopts.EquateNaNs()); diff != "" {
			t.Errorf("round trip (-want +got):\n%s", diff)
		}
	}
	f(stat.Estimate{Center: 1.5, Lo: 1, Hi: 2, Confidence: 0.99, N: 7, Warnings: []string{"w"}},
		`{"center":1.5,"lo":1,"hi":2,"confidence":0.99,"n":7,"warnings":["w"]}`)
	f(stat.None(0.99), `{"center":null,"lo":null,"hi":null,"confidence":0.99,"n":0}`)
	var e stat.Estimate
	if err := json.Unmarshal([]byte(`{"center":"x"}`), &e); err == nil {
		t.Error("Unmarshal took a string for a number")
	}
}
