package sim

import "math"

// costs are the parameters as integers: femtoseconds, and thousandths.
type costs struct {
	step      int64 // fs of an iteration
	token     int64 // fs of a prompt token
	attention int64 // fs of a prompt token per token before it
	sequence  int64 // fs of a decoding sequence
	context   int64 // fs of a decoding sequence per token of its context
	growth    int64 // fs by which a decoding sequence costs more at each iteration: context × tokens per step
	rate      int64 // thousandths of a token per sequence and iteration
	draft     int64 // tokens of the budget that a decoding sequence takes
}

const (
	perUS    = 1e9 // femtoseconds in a microsecond
	perKilo  = 1e6 // the same per 1,000 tokens
	thousand = 1000
)

func newCosts(p Params, step float64) costs {
	return costs{
		step:      round(step * perUS),
		token:     round(p.PrefillUS * perUS),
		attention: round(p.AttentionUS * perKilo),
		sequence:  round(p.SequenceUS * perUS),
		context:   round(p.ContextUS * perKilo),
		growth:    round(p.ContextUS * perKilo * p.TokensPerStep),
		rate:      round(p.TokensPerStep * thousand),
		draft:     p.draft(),
	}
}

func round(x float64) int64 { return int64(math.Round(x)) }

// prompt is the cost of computing n tokens of a prompt after the first from:
// n·token + attention·Σ_{i<n}(from+i).
func (c *costs) prompt(from, n int64) int64 {
	return n*c.token + c.attention*(n*from+n*(n-1)/2)
}

// tokens is how many tokens a sequence has k iterations after the one that gave
// the first: 1 + ⌊k·rate/1000⌋.
func (c *costs) tokens(k int64) int64 { return 1 + k*c.rate/thousand }

// reach is the first k with tokens(k) ≥ n, for n ≥ 1.
func (c *costs) reach(n int64) int64 { return ((n-1)*thousand + c.rate - 1) / c.rate }
