package report_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/report"
	"github.com/capstan-bench/capstan/schema"
)

// TestLevelCauses: beside the count of a class of failures stands what the first
// of them says, cleaned of what would move a terminal.
func TestLevelCauses(t *testing.T) {
	failed := func(class, text string) schema.Sample {
		s := schema.Sample{Error: &class}
		if text != "" {
			s.ErrorText = &text
		}
		return s
	}
	w := capacity.Window{Samples: []schema.Sample{
		failed(schema.ErrStatus, "HTTP 500: \x1b[31mout of memory"), failed(schema.ErrUnended, ""), failed(schema.ErrStatus, "HTTP 503"),
	}}
	l := report.NewLevel(w, nil)
	if diff := cmp.Diff(map[string]string{schema.ErrStatus: "HTTP 500: \x1b[31mout of memory"}, l.Causes); diff != "" {
		t.Errorf("causes (-want +got):\n%s", diff)
	}
	var b bytes.Buffer
	if err := l.Text(&b); err != nil {
		t.Fatal(err)
	}
	if want := "error    status: 2 (HTTP 500: \uFFFD[31mout of memory)\nerror    unended: 1\n"; !strings.Contains(b.String(), want) {
		t.Errorf("Text() = %s, want %q in it", b.String(), want)
	}
}
