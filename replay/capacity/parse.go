package capacity

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of what is written in an SLO. They keep every value exact through
// String and ParseSLO.
const (
	longestLimit = 100 * time.Hour
	fastest      = 1e9 // tok/s
	rateDecimals = 6   // of a percentage
	rateScale    = 1e6
)

// SyntaxError says where an SLO cannot be read.
type SyntaxError struct {
	Text   string // the SLO
	Column int    // in bytes, from 1
	Got    string // what stands there; empty: the text ends
	Want   string // what may stand there
}

// Error names the column, what stands there and what may stand there.
func (e *SyntaxError) Error() string {
	got := "the end"
	if e.Got != "" {
		got = strconv.Quote(shorten(e.Got))
	}
	return fmt.Sprintf("parse SLO %q: column %d: got %s, want %s", shorten(e.Text), e.Column, got, e.Want)
}

// shorten cuts what no one would read in an error.
func shorten(s string) string {
	const limit = 200
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "…"
}

// ParseSLO reads conditions joined by "&". White space is free between words.
//
//	slo  = cond { "&" cond }
//	cond = stat "(" metric ")" op limit | "error_rate" ( "<=" | "<" ) number "%"
//	stat = "p" number | "mean" | "max" | "min"      p25, p99.9: above 0 and below 100
//	metric = "speed" | "ttft" | "e2e" | "itl"
//	op   = ">=" | "<=" | ">" | "<"
//	limit = number [ "tok/s" ]                      for speed
//	      | duration                                10s, 500ms, 1m30s: else
//
// So "p25(speed)>=20 & p95(ttft)<=10s" asks for 20 tok/s or more in three
// quarters of the calls and for a first token within 10 s in 95% of them. It
// implies error_rate<=1%, see [SLO.All]. No statistic may have two limits on one
// side. The error is a *[SyntaxError].
func ParseSLO(text string) (SLO, error) {
	p := parser{text: text}
	var s SLO
	for {
		p.space()
		from := p.at
		c, err := p.cond()
		if err != nil {
			return SLO{}, err
		}
		if slices.ContainsFunc(s.Conds, c.repeats) {
			return SLO{}, p.wrongAt(from, text[from:p.at], "one such limit only")
		}
		s.Conds = append(s.Conds, c)
		if p.space(); p.at == len(text) {
			return s, nil
		}
		if !p.eat("&") {
			return SLO{}, p.wrong(`"&" or the end`)
		}
	}
}

// repeats tells whether two conditions bound the same figure from the same side.
func (c Cond) repeats(other Cond) bool {
	return c.Stat == other.Stat && c.Metric == other.Metric && c.Op.up() == other.Op.up()
}

// parser reads an SLO from left to right.
type parser struct {
	text string
	at   int
}

func (p *parser) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// eat takes a token, if it stands next.
func (p *parser) eat(token string) bool {
	p.space()
	if !strings.HasPrefix(p.text[p.at:], token) {
		return false
	}
	p.at += len(token)
	return true
}

// run takes the bytes up to the first that is not in set.
func (p *parser) run(set string) string {
	p.space()
	from := p.at
	for p.at < len(p.text) && strings.IndexByte(set, p.text[p.at]) >= 0 {
		p.at++
	}
	return p.text[from:p.at]
}

const (
	letters = "abcdefghijklmnopqrstuvwxyz_"
	digits  = "0123456789."
)

// wrong is the error of finding something else than want.
func (p *parser) wrong(want string) error {
	p.space()
	got := p.text[p.at:]
	if i := strings.IndexAny(got, " \t\r\n()&<>=%"); i >= 0 {
		got = got[:max(i, 1)]
	}
	return p.wrongAt(p.at, got, want)
}

func (p *parser) wrongAt(at int, got, want string) error {
	return &SyntaxError{Text: p.text, Column: at + 1, Got: got, Want: want}
}

func (p *parser) cond() (Cond, error) {
	p.space()
	from := p.at
	word := p.run(letters + digits)
	if word == string(ErrorRate) {
		return p.rate()
	}
	c := Cond{Stat: statOf(word)}
	if c.Stat == "" {
		p.at = from
		return c, p.wrong("a condition such as p25(speed)>=20, p95(ttft)<=10s or error_rate<=1%")
	}
	if !p.eat("(") {
		return c, p.wrong(`"("`)
	}
	p.space()
	from = p.at
	switch c.Metric = Metric(p.run(letters + digits)); c.Metric {
	case Speed, TTFT, E2E, ITL:
	default:
		p.at = from
		return c, p.wrong("speed, ttft, e2e or itl")
	}
	if !p.eat(")") {
		return c, p.wrong(`")"`)
	}
	var err error
	if c.Op, err = p.op(AtLeast, AtMost, Above, Below); err != nil {
		return c, err
	}
	if c.Metric == Speed {
		c.Limit, err = p.speed()
	} else {
		c.Limit, err = p.duration()
	}
	return c, err
}

// statOf is the statistic that a word names, percentiles without idle zeros, or
// nothing.
func statOf(word string) Stat {
	s := Stat(word)
	if s == Mean || s == Min || s == Max {
		return s
	}
	v, ok := s.Percentile()
	if !ok || strings.Trim(word[1:], digits) != "" {
		return ""
	}
	return Stat("p" + strconv.FormatFloat(v, 'f', -1, 64))
}

func (p *parser) rate() (Cond, error) {
	c := Cond{Metric: ErrorRate}
	var err error
	if c.Op, err = p.op(AtMost, Below); err != nil {
		return c, err
	}
	p.space()
	from := p.at
	v, err := p.number("a percentage such as 1%")
	if err != nil {
		return c, err
	}
	if !p.eat("%") {
		return c, p.wrong(`"%"`)
	}
	if scaled := v * rateScale; v > 100 || math.Abs(scaled-math.Round(scaled)) > 1e-6*max(1, scaled) {
		return c, p.wrongAt(from, p.text[from:p.at], fmt.Sprintf("0%% to 100%% with at most %d decimals", rateDecimals))
	}
	if c.Limit = math.Round(v*rateScale) / (100 * rateScale); c.Limit == 0 && c.Op == Below {
		return c, p.wrongAt(from, p.text[from:p.at], "more than 0%, since no share is less; <=0% allows no error")
	}
	return c, nil
}

// op takes one of some comparisons; longer ones stand before their beginnings.
func (p *parser) op(ops ...Op) (Op, error) {
	names := make([]string, len(ops))
	for i, o := range ops {
		if p.eat(string(o)) {
			return o, nil
		}
		names[i] = string(o)
	}
	return "", p.wrong(strings.Join(names, ", "))
}

// number takes a decimal number without sign and exponent.
func (p *parser) number(want string) (float64, error) {
	p.space()
	from := p.at
	word := p.run(digits)
	v, err := strconv.ParseFloat(word, 64)
	if err != nil {
		p.at = from
		return 0, p.wrong(want)
	}
	return v, nil
}

func (p *parser) speed() (float64, error) {
	const want = "a speed above 0 such as 20 or 20tok/s"
	p.space()
	from := p.at
	v, err := p.number(want)
	if err != nil {
		return 0, err
	}
	if v <= 0 || v > fastest {
		return 0, p.wrongAt(from, p.text[from:p.at], want)
	}
	p.eat("tok/s")
	return v, nil
}

// duration takes pairs of number and unit and gives seconds.
func (p *parser) duration() (float64, error) {
	const want = "a duration above 0 and up to 100h such as 10s, 500ms or 1m30s"
	p.space()
	from := p.at
	word := p.run(digits + "hmnsuµ")
	for strings.Trim(word, digits) == "" && word != "" { // "10 s"
		unit := p.run("hmnsuµ")
		if unit == "" {
			break
		}
		word += unit
	}
	d, err := time.ParseDuration(word)
	switch {
	case err != nil:
		p.at = from
		return 0, p.wrong(want)
	case d <= 0 || d > longestLimit:
		return 0, p.wrongAt(from, p.text[from:p.at], want)
	}
	return float64(d) / 1e9, nil
}
