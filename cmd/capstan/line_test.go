package main

import "testing"

func TestOneLine(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := oneLine(in); got != want {
			t.Errorf("oneLine(%q) = %q, want %q", in, got, want)
		}
	}
	f("read x: 3 × „y“ … ≥ 1", "read x: 3 × „y“ … ≥ 1")
	f("\x1b[31mred\a\u202e\x9b", "\uFFFD[31mred\uFFFD\uFFFD\uFFFD")
	f("two\r\nlines\ttab", "two\uFFFD lines\uFFFDtab")
}
