package sim

import (
	"fmt"
	"math"
)

// Params describe an engine. Costs are in microseconds. An iteration with p
// prompt tokens to compute and n sequences that decode takes
//
//	step_us + prefill_us_per_token·p + attention_us_per_token_per_1k·Σ(position of each of the p tokens)/1000
//	        + decode_us_per_sequence·n + decode_us_per_1k_context·Σ(context of each of the n sequences)/1000
type Params struct {
	Name          string  `yaml:"name"`            // of the model that is served; "" means "simulated"
	BytesPerToken float64 `yaml:"bytes_per_token"` // of prompts, 0.1 to 64, to a thousandth; 0 means 4

	StepUS      float64 `yaml:"step_us"`                       // of every iteration; required
	PrefillUS   float64 `yaml:"prefill_us_per_token"`          // required
	AttentionUS float64 `yaml:"attention_us_per_token_per_1k"` // of a prompt token, per 1,000 tokens before it
	SequenceUS  float64 `yaml:"decode_us_per_sequence"`
	ContextUS   float64 `yaml:"decode_us_per_1k_context"` // per 1,000 tokens of context of all sequences that decode

	KVTokens    int64 `yaml:"kv_tokens"`    // that the cache holds; required
	BlockTokens int32 `yaml:"block_tokens"` // 0 means 16
	MaxBatch    int32 `yaml:"max_batch"`    // sequences at a time; required
	BatchTokens int32 `yaml:"batch_tokens"` // of one iteration, decoded and prompt tokens together; required
	MaxContext  int32 `yaml:"max_context"`  // tokens of prompt and answer; required

	// TokensPerStep is how many tokens a sequence gains per iteration, in the
	// mean, by speculative decoding; 1 to 16, to a thousandth; 0 means 1.
	TokensPerStep float64 `yaml:"tokens_per_step"`
	// StreamInterval is how many tokens a chunk of a stream holds; 0 means 1. The
	// first chunk always holds what the first iteration gave.
	StreamInterval int32 `yaml:"stream_interval"`
	// Prefill, if not nil, is a pool of its own that computes prompts. The
	// prompt's cache is then in that pool; each finished prompt is moved to the
	// decoding one, which keeps no prefixes.
	Prefill *Prefill `yaml:"prefill_pool"`
}

// Prefill is the pool that computes prompts where this is not done by the pool
// that decodes. All fields but the transfer's are required.
type Prefill struct {
	StepUS      float64 `yaml:"step_us"`
	KVTokens    int64   `yaml:"kv_tokens"`
	MaxBatch    int32   `yaml:"max_batch"`
	BatchTokens int32   `yaml:"batch_tokens"`
	TransferUS  float64 `yaml:"transfer_us"`           // of a prompt to the decoding pool
	TokenUS     float64 `yaml:"transfer_us_per_token"` // added to it for each token of the prompt
}

// Parse reads parameters from YAML. A field that Params does not have is an
// error, as is a second document; errors are one line. The result is valid and has its defaults
// filled in.
func Parse(text []byte) (Params, error) {
	var p Params
	if err := decode(text, &p); err != nil {
		return Params{}, fmt.Errorf("parse engine: %w", err)
	}
	p = p.resolve()
	if err := p.Validate(); err != nil {
		return Params{}, fmt.Errorf("parse engine: %w", err)
	}
	return p, nil
}

// resolve fills in the defaults.
func (p Params) resolve() Params {
	if p.Name == "" {
		p.Name = "simulated"
	}
	if p.BytesPerToken == 0 {
		p.BytesPerToken = 4
	}
	if p.BlockTokens == 0 {
		p.BlockTokens = 16
	}
	if p.TokensPerStep == 0 {
		p.TokensPerStep = 1
	}
	if p.StreamInterval == 0 {
		p.StreamInterval = 1
	}
	return p
}

// longestStep bounds an iteration, in microseconds, so that sums of femtoseconds
// fit 64 bits.
const longestStep = 600e6

// Validate checks p and names the first field that is out of its range.
func (p Params) Validate() error {
	p = p.resolve()
	if err := p.checkCosts(); err != nil {
		return err
	}
	if err := p.checkSizes(); err != nil {
		return err
	}
	if err := p.checkPrefill(); err != nil {
		return err
	}
	if worst := p.worstStep(); worst > longestStep {
		return fmt.Errorf("an iteration could take %.0f s, want at most %.0f s: lower a cost, batch_tokens, max_batch or max_context", worst/1e6, longestStep/1e6)
	}
	return nil
}

// named is a cost with its name and the least that it may be.
type named struct {
	field string
	us    float64
	least float64
}

func check(costs ...named) error {
	for _, c := range costs {
		if !(c.us >= c.least && c.us <= longestStep) {
			return fmt.Errorf("%s: got %v, want %v to %v", c.field, c.us, c.least, float64(longestStep))
		}
	}
	return nil
}

// leastStep keeps iterations longer than a nanosecond.
const leastStep = 0.001

func (p Params) checkCosts() error {
	if !(p.BytesPerToken >= 0.1 && p.BytesPerToken <= 64) {
		return fmt.Errorf("bytes_per_token: got %v, want 0.1 to 64", p.BytesPerToken)
	}
	if !(p.TokensPerStep >= 1 && p.TokensPerStep <= 16) {
		return fmt.Errorf("tokens_per_step: got %v, want 1 to 16", p.TokensPerStep)
	}
	return check(
		named{"step_us", p.StepUS, leastStep},
		named{"prefill_us_per_token", p.PrefillUS, 1e-9},
		named{"attention_us_per_token_per_1k", p.AttentionUS, 0},
		named{"decode_us_per_sequence", p.SequenceUS, 0},
		named{"decode_us_per_1k_context", p.ContextUS, 0},
	)
}

// Limits of sizes: beyond any machine, and small enough for exact arithmetic.
const (
	mostContext = 1 << 24
	mostBatch   = 1 << 20
	mostKV      = 1 << 40
)

func (p Params) checkSizes() error {
	switch {
	case p.BlockTokens < 1 || p.BlockTokens > mostContext:
		return fmt.Errorf("block_tokens: got %d, want 1 to %d", p.BlockTokens, mostContext)
	case p.MaxContext < 2 || p.MaxContext > mostContext:
		return fmt.Errorf("max_context: got %d, want 2 to %d", p.MaxContext, mostContext)
	case p.StreamInterval < 1:
		return fmt.Errorf("stream_interval: got %d, want at least 1", p.StreamInterval)
	}
	return p.checkPool("", p.KVTokens, p.MaxBatch, p.BatchTokens)
}

func (p Params) checkPool(prefix string, kv int64, batch, tokens int32) error {
	least := int64(batch)*p.draft() + 1
	switch {
	case kv < int64(p.BlockTokens) || kv > mostKV:
		return fmt.Errorf("%skv_tokens: got %d, want block_tokens (%d) to %d", prefix, kv, p.BlockTokens, mostKV)
	case batch < 1 || batch > mostBatch:
		return fmt.Errorf("%smax_batch: got %d, want 1 to %d", prefix, batch, mostBatch)
	case int64(tokens) < least || tokens > mostContext:
		return fmt.Errorf("%sbatch_tokens: got %d, want more than the tokens that max_batch sequences decode (%d) and at most %d", prefix, tokens, least-1, mostContext)
	}
	return nil
}

func (p Params) checkPrefill() error {
	f := p.Prefill
	if f == nil {
		return nil
	}
	if err := p.checkPool("prefill_pool.", f.KVTokens, f.MaxBatch, f.BatchTokens); err != nil {
		return err
	}
	if err := check(
		named{"prefill_pool.step_us", f.StepUS, leastStep},
		named{"prefill_pool.transfer_us", f.TransferUS, 0},
		named{"prefill_pool.transfer_us_per_token", f.TokenUS, 0},
	); err != nil {
		return err
	}
	if us := f.TransferUS + f.TokenUS*float64(p.MaxContext); us > longestStep {
		return fmt.Errorf("prefill_pool.transfer_us_per_token: a transfer could take %.0f s, want at most %.0f s", us/1e6, longestStep/1e6)
	}
	return nil
}

// worstStep is more than any iteration takes.
func (p Params) worstStep() float64 {
	step, tokens := p.StepUS, p.BatchTokens
	if p.Prefill != nil {
		step, tokens = max(step, p.Prefill.StepUS), max(tokens, p.Prefill.BatchTokens)
	}
	context := float64(p.MaxContext) / 1000
	return step + float64(tokens)*(p.PrefillUS+p.AttentionUS*context) +
		float64(p.MaxBatch)*(p.SequenceUS+p.ContextUS*context)
}

// draft is how many tokens of an iteration's budget a decoding sequence takes.
func (p Params) draft() int64 { return int64(math.Ceil(p.TokensPerStep)) }

// Scaled is the same engine f times faster: all costs are divided by f, which
// must be positive. Sizes stay.
func (p Params) Scaled(f float64) Params {
	for _, us := range []*float64{&p.StepUS, &p.PrefillUS, &p.AttentionUS, &p.SequenceUS, &p.ContextUS} {
		*us /= f
	}
	if p.Prefill != nil {
		pool := *p.Prefill
		for _, us := range []*float64{&pool.StepUS, &pool.TransferUS, &pool.TokenUS} {
			*us /= f
		}
		p.Prefill = &pool
	}
	return p
}
