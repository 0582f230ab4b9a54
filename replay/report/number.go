package report

import (
	"math"
	"strconv"
	"strings"
)

// number writes v for people: three significant digits, all digits of the whole
// part with thousands apart; "∞" and "–" for what is no number.
func number(v float64) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case math.IsInf(v, 1):
		return "∞"
	case math.IsInf(v, -1):
		return "-∞"
	case v == 0:
		return "0"
	}
	decimals := max(0, 2-int(math.Floor(math.Log10(math.Abs(v))+1e-12)))
	return grouped(strconv.FormatFloat(v, 'f', min(decimals, 12), 64))
}

// whole writes a count.
func whole(v float64) string {
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return number(v)
	}
	return grouped(strconv.FormatFloat(math.Round(v), 'f', 0, 64))
}

// counted writes a count with its noun: "1 call", "911 calls".
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return whole(float64(n)) + " " + noun
}

// grouped puts commas between the thousands of a decimal number.
func grouped(digits string) string {
	head, tail, point := strings.Cut(digits, ".")
	sign := ""
	if strings.HasPrefix(head, "-") {
		sign, head = "-", head[1:]
	}
	var parts []string
	for len(head) > 3 {
		parts = append([]string{head[len(head)-3:]}, parts...)
		head = head[:len(head)-3]
	}
	out := sign + strings.Join(append([]string{head}, parts...), ",")
	if point {
		out += "." + tail
	}
	return out
}

// percent writes a share.
func percent(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	return strconv.FormatFloat(100*v, 'f', 1, 64) + "%"
}
