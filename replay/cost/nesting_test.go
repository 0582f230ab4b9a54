package cost_test

import (
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/replay/cost"
)

func TestCheckNesting(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		got := ""
		if err := cost.CheckNesting([]byte(text)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("CheckNesting(%.20q) = %q, want %q", text, got, want)
		}
	}
	f("", "")
	f("a: [{b: [c]}]\n- - x\n", "")
	f("a: "+strings.Repeat("[", 100)+strings.Repeat("]", 100), "")
	f(strings.Repeat("a: []\n- {}\n", 500), "")
	f("notes: "+strings.Repeat("- ", 500), "")
	f("---\n"+strings.Repeat("-", 500)+"\n", "")
	f(strings.Repeat("]", 500)+strings.Repeat("[", 100), "")
	f("a:\n b: "+strings.Repeat("[", 101), "line 2: nested more than 100 deep")
	f("a: "+strings.Repeat("{a: ", 101), "line 1: nested more than 100 deep")
	f("\n"+strings.Repeat("- ", 101)+"x", "line 2: nested more than 100 deep")
	f(strings.Repeat("? ", 101)+"x", "line 1: nested more than 100 deep")
}

// A hostile manifest of a stranger's result is refused before it is parsed.
func TestParseSystemDeep(t *testing.T) {
	for _, text := range []string{"x: " + strings.Repeat("[", 200_000), strings.Repeat("- ", 200_000) + "x", "x: " + strings.Repeat("{a: ", 200_000)} {
		_, err := cost.ParseSystem("system.yaml", []byte(text), time.Time{})
		if err == nil || !strings.Contains(err.Error(), "nested more than 100 deep") {
			t.Errorf("ParseSystem(%.10q…) = %v, want nested", text, err)
		}
	}
}
