package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Files of settings that could take all time and memory are refused unread.
func TestSettingsOfNoUse(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		name := filepath.Join(t.TempDir(), "x.yaml")
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"--target", "sim:" + name}, {"--target", "sim:small", "--config", name}} {
			var out, errs bytes.Buffer
			code := run(t.Context(), append([]string{"capstan", "replay", "../../datasets/smoke/dataset"}, args...), &out, &errs)
			if code != 1 || !strings.Contains(errs.String(), want) || strings.Count(errs.String(), "\n") != 1 {
				t.Errorf("%.10q as %s: exit %d, %q; want 1 and a line with %q", text, args, code, errs.String(), want)
			}
		}
	}
	f("x: "+strings.Repeat("[", 200_000), "line 1: nested more than 100 deep")
	f("#"+strings.Repeat("x", maxSettings), "want at most 1048576")
}
