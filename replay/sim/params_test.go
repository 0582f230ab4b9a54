package sim_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/replay/sim"
)

const least = `
step_us: 1000
prefill_us_per_token: 10
kv_tokens: 400
max_batch: 4
batch_tokens: 100
max_context: 500
`

func TestParse(t *testing.T) {
	f := func(text string, want sim.Params) {
		t.Helper()
		got, err := sim.Parse([]byte(text))
		if err != nil {
			t.Fatalf("Parse(%q): %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Parse(%q) (-want +got):\n%s", text, diff)
		}
	}
	want := sim.Params{Name: "simulated", BytesPerToken: 4, StepUS: 1000, PrefillUS: 10, KVTokens: 400, BlockTokens: 16,
		MaxBatch: 4, BatchTokens: 100, MaxContext: 500, TokensPerStep: 1, StreamInterval: 1}
	f(least, want)
	f("# a comment\n---"+least, want)
	full := least + `
name: all
bytes_per_token: 3.5
attention_us_per_token_per_1k: 0.25
decode_us_per_sequence: 100
decode_us_per_1k_context: 50
block_tokens: 8
tokens_per_step: 2.5
stream_interval: 3
prefill_pool:
  step_us: 2000
  kv_tokens: 80
  max_batch: 2
  batch_tokens: 50
  transfer_us: 500
  transfer_us_per_token: 1.5
`
	f(full, sim.Params{Name: "all", BytesPerToken: 3.5, StepUS: 1000, PrefillUS: 10, AttentionUS: 0.25, SequenceUS: 100, ContextUS: 50,
		KVTokens: 400, BlockTokens: 8, MaxBatch: 4, BatchTokens: 100, MaxContext: 500, TokensPerStep: 2.5, StreamInterval: 3,
		Prefill: &sim.Prefill{StepUS: 2000, KVTokens: 80, MaxBatch: 2, BatchTokens: 50, TransferUS: 500, TokenUS: 1.5}})
}

func TestParseRefuses(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, err := sim.Parse([]byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), "parse engine: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) = %v, want an error of parse engine with %q", text, err, want)
		}
	}
	f("", "step_us")
	f(least+"speed: 3\n", "speed")
	f(least+"prefill_pool: {steps: 1}\n", "steps")
	f(least+"step_us: 3\n", "step_us")
	f(least+"---\n"+least, "more than one YAML document")
	f("step_us: [", "")
	f("step_us: fast\n", "fast")
	f(least+"prefill_pool: {}\n", "prefill_pool.kv_tokens")
	f(strings.Replace(least, "step_us: 1000", "step_us: .nan", 1), "step_us")
	f(strings.Replace(least, "step_us: 1000", "step_us: .inf", 1), "step_us")
	f(strings.Replace(least, "max_batch: 4", "max_batch: 99999999999", 1), "max_batch")
}

// TestValidate spoils a field at a time: the error begins with its name.
func TestValidate(t *testing.T) {
	f := func(field string, spoil func(*sim.Params)) {
		t.Helper()
		p := hand(func(p *sim.Params) { p.Prefill = &sim.Prefill{StepUS: 1, KVTokens: 40, MaxBatch: 1, BatchTokens: 9} })
		if err := p.Validate(); err != nil {
			t.Fatalf("unspoilt: %v", err)
		}
		spoil(&p)
		if err := p.Validate(); err == nil || !strings.HasPrefix(err.Error(), field+": ") {
			t.Errorf("Validate of %+v = %v, want an error about %s", p, err, field)
		}
		if _, err := sim.New(p); err == nil || !strings.HasPrefix(err.Error(), "make engine: "+field+": ") {
			t.Errorf("New of %+v = %v, want an error about %s", p, err, field)
		}
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 1e300} {
		f("step_us", func(p *sim.Params) { p.StepUS = bad })
		f("prefill_us_per_token", func(p *sim.Params) { p.PrefillUS = bad })
		f("attention_us_per_token_per_1k", func(p *sim.Params) { p.AttentionUS = bad })
		f("decode_us_per_sequence", func(p *sim.Params) { p.SequenceUS = bad })
		f("decode_us_per_1k_context", func(p *sim.Params) { p.ContextUS = bad })
		f("bytes_per_token", func(p *sim.Params) { p.BytesPerToken = bad })
		f("tokens_per_step", func(p *sim.Params) { p.TokensPerStep = bad })
		f("prefill_pool.step_us", func(p *sim.Params) { p.Prefill.StepUS = bad })
		f("prefill_pool.transfer_us", func(p *sim.Params) { p.Prefill.TransferUS = bad })
		f("prefill_pool.transfer_us_per_token", func(p *sim.Params) { p.Prefill.TokenUS = bad })
	}
	f("prefill_pool.transfer_us_per_token", func(p *sim.Params) { p.Prefill.TokenUS = 1e7 }) // of 500 tokens
	f("step_us", func(p *sim.Params) { p.StepUS = 0 })
	f("prefill_us_per_token", func(p *sim.Params) { p.PrefillUS = 0 })
	f("prefill_pool.step_us", func(p *sim.Params) { p.Prefill.StepUS = 0 })
	f("bytes_per_token", func(p *sim.Params) { p.BytesPerToken = 0.05 })
	f("tokens_per_step", func(p *sim.Params) { p.TokensPerStep = 0.5 })
	f("tokens_per_step", func(p *sim.Params) { p.TokensPerStep = 16.1 })
	f("block_tokens", func(p *sim.Params) { p.BlockTokens = -1 })
	f("max_context", func(p *sim.Params) { p.MaxContext = 0 })
	f("max_context", func(p *sim.Params) { p.MaxContext = 1<<24 + 1 })
	f("stream_interval", func(p *sim.Params) { p.StreamInterval = -1 })
	f("kv_tokens", func(p *sim.Params) { p.KVTokens = 3 })
	f("kv_tokens", func(p *sim.Params) { p.KVTokens = 1 << 41 })
	f("max_batch", func(p *sim.Params) { p.MaxBatch = 0 })
	f("max_batch", func(p *sim.Params) { p.MaxBatch = 1<<20 + 1 })
	f("batch_tokens", func(p *sim.Params) { p.BatchTokens = 4 })
	f("batch_tokens", func(p *sim.Params) { p.TokensPerStep, p.BatchTokens = 1.1, 8 })
	f("prefill_pool.kv_tokens", func(p *sim.Params) { p.Prefill.KVTokens = 0 })
	f("prefill_pool.max_batch", func(p *sim.Params) { p.Prefill.MaxBatch = 0 })
	f("prefill_pool.batch_tokens", func(p *sim.Params) { p.Prefill.BatchTokens = 1 })
}

// TestWorstStep: costs that are fine apart must not make an iteration of hours.
func TestWorstStep(t *testing.T) {
	p := hand(func(p *sim.Params) { p.SequenceUS = 1e8 })
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	p.MaxBatch = 40
	if err := p.Validate(); err == nil || !strings.Contains(err.Error(), "an iteration could take 4000 s") {
		t.Errorf("Validate = %v, want an error about an iteration of 4000 s", err)
	}
}

func TestScaled(t *testing.T) {
	p := hand(func(p *sim.Params) {
		p.AttentionUS, p.ContextUS = 4, 6
		p.Prefill = &sim.Prefill{StepUS: 8, KVTokens: 40, MaxBatch: 1, BatchTokens: 9, TransferUS: 10, TokenUS: 12}
	})
	old := *p.Prefill
	got := p.Scaled(2)
	want := p
	want.StepUS, want.PrefillUS, want.SequenceUS, want.AttentionUS, want.ContextUS = 500, 5, 50, 2, 3
	want.Prefill = &sim.Prefill{StepUS: 4, KVTokens: 40, MaxBatch: 1, BatchTokens: 9, TransferUS: 5, TokenUS: 6}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Scaled(2) (-want +got):\n%s", diff)
	}
	if *p.Prefill != old {
		t.Errorf("Scaled changed the engine that it was asked about: %+v", p.Prefill)
	}
}

func TestBuiltin(t *testing.T) {
	names := sim.BuiltinNames()
	if diff := cmp.Diff([]string{"large", "small"}, names); diff != "" {
		t.Errorf("BuiltinNames (-want +got):\n%s", diff)
	}
	for _, name := range names {
		p, ok := sim.Builtin(name)
		if !ok || p.Name != "simulated-"+name {
			t.Errorf("Builtin(%q) = %+v, %v", name, p, ok)
		}
		if _, err := sim.New(p); err != nil {
			t.Errorf("Builtin(%q): %v", name, err)
		}
	}
	for _, name := range []string{"", "huge", "../builtin"} {
		if _, ok := sim.Builtin(name); ok {
			t.Errorf("Builtin(%q) is there", name)
		}
	}
}

// FuzzParse: whatever is read makes an engine, and a small ask comes to an end;
// what is not read is told in one line.
func FuzzParse(f *testing.F) {
	f.Add([]byte(least))
	f.Add([]byte(least + "prefill_pool: {step_us: 1, kv_tokens: 40, max_batch: 1, batch_tokens: 9}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := sim.Parse(data)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %v", err)
			}
			return
		}
		e, err := sim.New(p)
		if err != nil {
			t.Fatalf("what Parse read is refused: %v", err)
		}
		e.Submit(0, sim.Ask{ID: 1, Prompt: text(1, 9), Output: 3})
		events := drain(e, nil, never)
		if last := events[len(events)-1].Kind; last == sim.Tokens {
			t.Errorf("the last event is %v", last)
		}
	})
}
