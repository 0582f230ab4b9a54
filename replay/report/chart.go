package report

import (
	"bytes"
	"fmt"
	"html"
	"html/template"
	"image/color"
	"math"
	"regexp"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// chart draws agents over a measurement: curves with bands, and the limits of
// tiers as vertical lines, so that a capacity is read off where they cross.
type chart struct {
	Title  string // for readers who do not see it
	X      string // label and unit of the measurement's axis
	Curves []curve
	Limits []limit
}

// curve is one result's measurements, by ascending agents.
type curve struct {
	Name   string
	Points []point
}

// point is one level. The band is [Lo, Hi] of X; an end that is not finite is
// drawn at X.
type point struct {
	Agents, X, Lo, Hi float64
	Held              bool // met at least one tier: drawn filled
}

// limit is a tier's limit with the capacity found there, one span a curve.
type limit struct {
	X     float64
	Label string
	Spans []span
}

// span is a capacity's interval [L, U-1] of one curve; Hi 0 draws nothing.
type span struct{ Lo, Hi float64 }

// Size of a figure in points. It is drawn small, so that its text stays legible
// when a phone scales it down.
const chartWidth, chartHeight = 420, 300

// The plotter knows colours, a page has two themes: these stand for the page's
// custom properties and are replaced in the finished drawing.
var (
	inkColor   = color.NRGBA{1, 2, 3, 255}
	gridColor  = color.NRGBA{1, 2, 4, 255}
	limitColor = color.NRGBA{1, 2, 5, 255}
	paperColor = color.NRGBA{1, 2, 6, 255}
)

// curves have this many colours; more results than that share them.
const curveColors = 6

func curveColor(i int) color.NRGBA { return color.NRGBA{1, 3, uint8(1 + i%curveColors), 255} }

// bandColor is opaque here: the drawing would fold transparency into the colour.
func bandColor(i int) color.NRGBA { return color.NRGBA{1, 4, uint8(1 + i%curveColors), 255} }

var standIn = regexp.MustCompile(`#01(02|03|04)(0[0-9])`)

func themed(svg string) string {
	return standIn.ReplaceAllStringFunc(svg, func(s string) string {
		switch s[3:5] {
		case "03":
			return "var(--c" + s[6:7] + ")"
		case "04":
			return "var(--c" + s[6:7] + ");fill-opacity:.17"
		}
		return map[string]string{"03": "var(--soft)", "04": "var(--rule)", "05": "var(--limit)", "06": "var(--paper)"}[s[5:7]]
	})
}

// SVG draws the figure. The drawing has no size of its own, only proportions,
// and takes its colours from the page.
func (c chart) SVG() (template.HTML, error) {
	p, err := c.plot()
	if err != nil {
		return "", fmt.Errorf("draw %s: %w", c.X, err)
	}
	canvas := vgsvg.New(chartWidth, chartHeight)
	p.Draw(draw.New(canvas))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return "", fmt.Errorf("draw %s: %w", c.X, err)
	}
	svg := b.String()
	_, body, ok := strings.Cut(svg, `xmlns:xlink="http://www.w3.org/1999/xlink">`)
	if !ok {
		return "", fmt.Errorf("draw %s: the drawing has no head", c.X)
	}
	head := fmt.Sprintf(`<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, chartWidth, chartHeight, html.EscapeString(c.Title))
	return template.HTML(head + themed(body)), nil
}

func (c chart) plot() (*plot.Plot, error) {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	xs, ys := c.extent()
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = xs.lo, xs.hi, ys.lo, ys.hi
	style(&p.X, c.X, xs)
	style(&p.Y, "agents", ys)
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Horizontal.Width, grid.Vertical.Width = gridColor, 0.6, 0
	p.Add(grid)
	for i, cv := range c.Curves {
		if err := cv.band(p, i, xs); err != nil {
			return nil, err
		}
	}
	if err := c.drawLimits(p, ys); err != nil {
		return nil, err
	}
	for i, cv := range c.Curves {
		if err := cv.line(p, i); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func style(a *plot.Axis, label string, s scale) {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: 11}
	a.Label.Text, a.Label.TextStyle.Font, a.Label.TextStyle.Color = label, f, inkColor
	a.Tick.Label.Font, a.Tick.Label.Color = f, inkColor
	a.LineStyle.Color, a.LineStyle.Width = gridColor, 0.6
	a.Tick.LineStyle.Color, a.Tick.LineStyle.Width, a.Tick.Length = gridColor, 0.6, 4
	a.Padding = 4
	a.Tick.Marker = s
	if s.log {
		a.Scale = plot.LogScale{}
	}
}

// extent is the range of both axes, with a margin.
func (c chart) extent() (xs, ys scale) {
	var x, y []float64
	for _, cv := range c.Curves {
		for _, p := range cv.Points {
			x = append(x, p.X, p.low(), p.high())
			y = append(y, p.Agents)
		}
	}
	for _, l := range c.Limits {
		x = append(x, l.X)
	}
	return newScale(x, 15), newScale(y, 6)
}

func (p point) low() float64 {
	if math.IsInf(p.Lo, 0) || math.IsNaN(p.Lo) {
		return p.X
	}
	return p.Lo
}

func (p point) high() float64 {
	if math.IsInf(p.Hi, 0) || math.IsNaN(p.Hi) {
		return p.X
	}
	return p.Hi
}

func (cv curve) band(p *plot.Plot, i int, xs scale) error {
	var around plotter.XYs
	for _, pt := range cv.Points {
		around = append(around, plotter.XY{X: xs.clamp(pt.high()), Y: pt.Agents})
	}
	for j := len(cv.Points) - 1; j >= 0; j-- {
		pt := cv.Points[j]
		around = append(around, plotter.XY{X: xs.clamp(pt.low()), Y: pt.Agents})
	}
	if len(cv.Points) < 2 {
		return nil
	}
	poly, err := plotter.NewPolygon(around)
	if err != nil {
		return err
	}
	poly.Color, poly.LineStyle.Width = bandColor(i), 0
	p.Add(poly)
	return nil
}

func (cv curve) line(p *plot.Plot, i int) error {
	var all, open plotter.XYs
	for _, pt := range cv.Points {
		all = append(all, plotter.XY{X: pt.X, Y: pt.Agents})
		if !pt.Held {
			open = append(open, plotter.XY{X: pt.X, Y: pt.Agents})
		}
	}
	if len(all) == 0 {
		return nil
	}
	line, err := plotter.NewLine(all)
	if err != nil {
		return err
	}
	line.Color, line.Width = curveColor(i), 1.6
	p.Add(line)
	return addDots(p, curveColor(i), all, open)
}

// addDots draws every measured level, hollow where it met no tier.
func addDots(p *plot.Plot, c color.Color, all, open plotter.XYs) error {
	for _, dots := range []struct {
		at     plotter.XYs
		color  color.Color
		radius vg.Length
	}{{all, c, 3}, {open, paperColor, 1.8}} {
		if len(dots.at) == 0 {
			continue
		}
		s, err := plotter.NewScatter(dots.at)
		if err != nil {
			return err
		}
		s.GlyphStyle = draw.GlyphStyle{Color: dots.color, Radius: dots.radius, Shape: draw.CircleGlyph{}}
		p.Add(s)
	}
	return nil
}

// drawLimits draws a dashed line for each limit, and thick on it the interval of
// each capacity.
func (c chart) drawLimits(p *plot.Plot, ys scale) error {
	for _, l := range c.Limits {
		line, err := plotter.NewLine(plotter.XYs{{X: l.X, Y: ys.lo}, {X: l.X, Y: ys.hi}})
		if err != nil {
			return err
		}
		line.Color, line.Width, line.Dashes = limitColor, 0.8, []vg.Length{4, 3}
		p.Add(line)
		for i, s := range l.Spans {
			if s.Hi > 0 {
				p.Add(spanLine{s, l.X, vg.Length(2*i - len(l.Spans) + 1), curveColor(i), ys})
			}
		}
		if err := addLabel(p, l, ys); err != nil {
			return err
		}
	}
	return nil
}

// spanLine draws a capacity's interval on a limit, shifted a little so that those
// of several curves stay apart.
type spanLine struct {
	span
	x     float64
	shift vg.Length
	color color.Color
	ys    scale
}

var _ plot.Plotter = spanLine{}

// leastSpan is how long an interval is drawn at least, to be seen.
const leastSpan = vg.Length(4)

// Plot draws the line.
func (s spanLine) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	at := x(s.x) + 2*s.shift
	from, to := y(s.ys.clamp(s.Lo)), y(s.ys.clamp(s.Hi))
	if grow := (leastSpan - (to - from)) / 2; grow > 0 {
		from, to = from-grow, to+grow
	}
	c.StrokeLine2(draw.LineStyle{Color: s.color, Width: 3.5}, at, from, at, to)
}

// addLabel names a limit, upright along the top of its line.
func addLabel(p *plot.Plot, l limit, ys scale) error {
	labels, err := plotter.NewLabels(plotter.XYLabels{XYs: plotter.XYs{{X: l.X, Y: ys.hi}}, Labels: []string{l.Label}})
	if err != nil {
		return err
	}
	style := &labels.TextStyle[0]
	style.Font = font.Font{Typeface: "Liberation", Variant: "Sans", Size: 10}
	style.Color, style.Rotation = limitColor, math.Pi/2
	style.XAlign, style.YAlign = text.XRight, text.YBottom
	labels.Offset = vg.Point{X: -2 - vg.Length(len(l.Spans)), Y: -2}
	p.Add(labels)
	return nil
}
