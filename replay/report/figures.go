package report

import (
	"fmt"
	"html/template"
	"math"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/result"
	"github.com/capstan-bench/capstan/replay/stat"
)

// figure is a drawn chart with its words.
type figure struct {
	Title string
	SVG   template.HTML
}

// axis is one of the two measurements that every probe has.
type axis struct {
	title, unit string
	metric      capacity.Metric
	stat        capacity.Stat
	of          func(capacity.Point) stat.Estimate
}

var axes = []axis{
	{"Agents over output speed, 25th percentile", "tok/s", capacity.Speed, "p25", func(p capacity.Point) stat.Estimate { return p.Speed }},
	{"Agents over time to the first token, 95th percentile", "s", capacity.TTFT, "p95", func(p capacity.Point) stat.Estimate { return p.TTFT }},
}

// figures draws agents over both measurements, with a curve for each result.
func figures(results []*result.Result) ([]figure, error) {
	var out []figure
	for _, a := range axes {
		c := chart{Title: a.title, X: a.unit}
		points := 0
		for _, r := range results {
			cv := curve{Name: r.System.Name}
			for _, p := range curvePoints(r.Search) {
				if e := a.of(p); !math.IsNaN(e.Center) {
					cv.Points = append(cv.Points, point{Agents: float64(p.Level), X: e.Center, Lo: e.Lo, Hi: e.Hi, Held: held(r.Search, p.Probe)})
				}
			}
			points += len(cv.Points)
			c.Curves = append(c.Curves, cv)
		}
		c.Limits = a.limits(results)
		if points == 0 {
			continue
		}
		svg, err := c.SVG()
		if err != nil {
			return nil, err
		}
		out = append(out, figure{Title: a.title, SVG: svg})
	}
	return out, nil
}

// limits are the tiers' limits on this measurement, each once, with the
// capacities found there. The last tier with a limit gives its span.
func (a axis) limits(results []*result.Result) []limit {
	var out []limit
	for i, r := range results {
		for _, answer := range answers(r.Search) {
			for _, c := range answer.SLO.Conds {
				if c.Metric != a.metric || c.Stat != a.stat {
					continue
				}
				l := limitAt(&out, c, a.unit, len(results))
				if e := answer.Agents(); e.Hi > 0 {
					l.Spans[i] = span{Lo: e.Lo, Hi: e.Hi}
				}
			}
		}
	}
	return out
}

func limitAt(limits *[]limit, c capacity.Cond, unit string, n int) *limit {
	for i := range *limits {
		if (*limits)[i].X == c.Limit {
			return &(*limits)[i]
		}
	}
	*limits = append(*limits, limit{X: c.Limit, Label: fmt.Sprintf("%g %s", c.Limit, unit), Spans: make([]span, n)})
	return &(*limits)[len(*limits)-1]
}
