package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// rewrites says what the plan's bodies do not send as recorded.
func (b *builder) rewrites() []string {
	lines := []string{
		fmt.Sprintf("model is %q", b.cfg.Model),
		"stream is true, and stream_options asks for usage",
		b.lengths(),
		"messages come first, then tools, then the other members",
	}
	if !b.cfg.NoSalt {
		lines = append(lines,
			"the first message begins with a salt of the probe",
			"the first user message begins with a salt of the play")
	}
	counted := func(n int, format string) {
		if n > 0 {
			lines = append(lines, fmt.Sprintf(format, n))
		}
	}
	counted(b.counts.marked, "cache_control is dropped (%d calls)")
	counted(b.counts.failed, "failed calls are left out (%d calls)")
	counted(b.plan.cut, "calls past the model's context are cut (%d calls)")
	counted(b.counts.empty, "sessions without a call to send are left out (%d sessions)")
	counted(b.counts.synthesised, "text is synthesised from token blocks (%d sessions)")
	for _, key := range slices.Sorted(maps.Keys(b.ends.dropped)) {
		counted(b.ends.dropped[key], strings.ReplaceAll(key, "%", "%%")+" is dropped (%d calls)")
	}
	return lines
}

func (b *builder) lengths() string {
	if b.cfg.Output == OutputExact {
		return "max_tokens and min_tokens are the recorded output, and ignore_eos is true"
	}
	return fmt.Sprintf("max_tokens is %d, or what the context leaves", b.cfg.FreeCap)
}
