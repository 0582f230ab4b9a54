package tokens_test

import (
	"testing"

	"github.com/capstan-bench/capstan/schema/tokens"
)

func TestDump(t *testing.T) {
	for _, n := range []string{"o200k_base", "cl100k_base", "bytes/4"} {
		k, err := tokens.Open(n)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s %s", n, k.Filler(nil, 1, 300))
	}
}
