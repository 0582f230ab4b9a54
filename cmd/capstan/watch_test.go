package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/capstan-bench/capstan/proxy/launch"
)

// TestCause: the likeliest reason for which no model call was seen.
func TestCause(t *testing.T) {
	f := func(s *sightings, way launch.Way, said []string, spoke bool, want string) {
		t.Helper()
		if got := s.cause("pi", way, said, spoke); !strings.Contains(got, want) {
			t.Errorf("cause = %q, want %q in it", got, want)
		}
	}
	f(&sightings{}, launch.Connect, nil, false, "pi does not use the proxy at all")
	f(&sightings{}, launch.BaseURL, nil, false, "pi does not use the base URL")
	f(&sightings{}, launch.Connect, []string{"x.json: proxy"}, false, "its configuration says so (x.json: proxy)")
	f(&sightings{}, launch.BaseURL, nil, true, "pi has reached its provider through the proxy")
	other := &sightings{}
	other.asked("b.example", false)
	other.asked("a.example", false)
	f(other, launch.Connect, nil, false, "not recorded (a.example, b.example); if one of them serves its model, name it: --provider")
	other.asked("api.anthropic.com", true)
	f(other, launch.Connect, []string{"x"}, false, "pi has reached api.anthropic.com through the proxy, but sent no model call")
	if first, second := other.refuse("the client at c refused"), other.refuse("again"); first != 1 || second != 2 {
		t.Errorf("refuse = %d, %d, want 1 and 2", first, second)
	}
	f(other, launch.Connect, nil, false, "pi does not trust the recording's certificates, so it takes them from nowhere that is known; try --via base-url (the client at c refused)")
	for i := range 2 * maxSightings {
		other.asked(fmt.Sprintf("h%03d.example", i), false)
	}
	if len(other.passed) > maxSightings {
		t.Errorf("%d hosts are remembered, want %d at most", len(other.passed), maxSightings)
	}
}

func TestParseSize(t *testing.T) {
	f := func(text string, want int64) {
		t.Helper()
		got, err := parseSize(text)
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("parseSize(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	f("", 0)
	f("10GiB", 10<<30)
	f("1.5 MiB", 3<<19)
	f("2kB", 2000)
	f("7B", 7)
	f("10", -1)
	f("10gib", -1)
	f("-1GiB", -1)
	f("0B", -1)
	f("NaNB", -1)
	f("9e30TB", -1)
	f("GiB", -1)
}
