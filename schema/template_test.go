package schema_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/schema"
)

func TestTemplate(t *testing.T) {
	f := func(kinds []string, want [3][]int32, ranges ...schema.Range) {
		t.Helper()
		var items []schema.Item
		for _, k := range kinds {
			it := schema.Item{Kind: k, Role: ptr("r")}
			if k == "block" {
				it = schema.Item{Kind: schema.KindSystem}
			}
			items = append(items, it)
		}
		c := schema.Call{ContextRanges: ranges}
		system, tools, rest := c.Template(items)
		if diff := cmp.Diff(want, [3][]int32{system, tools, rest}); diff != "" {
			t.Errorf("Template(%v) (-want +got):\n%s", kinds, diff)
		}
	}
	whole := schema.Range{EndItem: 6}
	f([]string{"system", "tools", "system", "user", "system", "tools"}, [3][]int32{{0, 2}, {1, 5}, {3, 4}}, whole)
	// The system prompt of Messages stands behind the messages.
	f([]string{"user", "system", "assistant", "block", "block", "tools"}, [3][]int32{{3, 4}, {5}, {0, 1, 2}}, whole)
	f([]string{"user", "block"}, [3][]int32{{1}, nil, {0, 0}}, schema.Range{StartItem: -3, EndItem: 1}, schema.Range{EndItem: 9})
}
