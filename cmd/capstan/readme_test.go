package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the transcript in README.md anew")

// transcriptHead is the first line of the block in README.md that shows the demo.
const transcriptHead = "$ go run ./cmd/capstan demo\n"

// The table in README.md is what the demo prints: in virtual time, the same
// sessions, engines and seed give the same figures everywhere.
func TestReadmeShowsTheDemo(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	args := []string{"capstan", "demo", "--no-http", "-o", filepath.Join(t.TempDir(), "demo")}
	if code := run(context.Background(), args, &stdout, &stderr); code != 0 && code != 3 {
		t.Fatalf("the demo ended with %d: %s", code, stderr.String())
	}
	table, _, ok := strings.Cut(stdout.String(), "\nwarnings\n")
	if !ok {
		t.Fatalf("the demo printed no warnings after its table: %s", stdout.String())
	}
	before, rest, ok := strings.Cut(string(readme), transcriptHead)
	_, after, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatalf("README.md has no block that begins with %q", transcriptHead)
	}
	want := before + transcriptHead + table + "```" + after
	if want == string(readme) {
		return
	}
	if !*update {
		t.Fatalf("README.md shows another table than the demo prints; go test ./cmd/capstan -run Readme -update writes it anew. The demo prints:\n%s", table)
	}
	if err := os.WriteFile("../../README.md", []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
