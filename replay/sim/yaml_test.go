package sim_test

import (
	"testing"

	"github.com/capstan-bench/capstan/replay/sim"
)

// TestParseExplains: what is wrong with an engine file is one line that shows the
// field.
func TestParseExplains(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if _, err := sim.Parse([]byte(text)); err == nil || err.Error() != "parse engine: "+want {
			t.Errorf("Parse(%q) = %v, want parse engine: %s", text, err, want)
		}
	}
	f("name: x\nstep_ms: 4\n", `line 2: "step_ms: 4": unknown field "step_ms"`)
	f("step_us: fast\n", `line 1: "step_us: fast": want a number`)
	f("kv_tokens: many\n", `line 1: "kv_tokens: many": want a whole number`)
	f("name: [a, b]\n", `line 1: "name: [a, b]": want text`)
	f("max_batch: 4000000000\n", `line 1: "max_batch: 4000000000": the number is too large`)
	f("prefill_pool: {step_us: slow}\n", `line 1: "prefill_pool: {step_us: slow}": want a number`)
	f("step_us: [1\n", `line 1: "step_us: [1": sequence end token ']' not found`)
}
