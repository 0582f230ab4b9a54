package result

import (
	"fmt"
	"maps"
	"slices"

	"github.com/capstan-bench/capstan/replay/capacity"
)

// standing is the set of verdicts that may stand for a level after its probes so
// far. Most often it is one. It can be two because a record does not say which
// tiers a probe was run to decide: an undecided verdict, or a PASS after a FAIL,
// counts for those only.
type standing struct{ pass, fail, none bool }

// after takes in one more verdict: a FAIL stands, until a confirming probe
// overrules it or, undecided, takes it back; a PASS stands unless the level had
// failed; UNDECIDED after the ramp may take a PASS back.
func (s standing) after(v capacity.Verdict, phase capacity.Phase) standing {
	switch v {
	case capacity.Fail:
		return standing{fail: true}
	case capacity.Pass:
		return standing{pass: s.pass || s.none || phase == capacity.Confirm, fail: s.fail}
	}
	back := s.pass && phase != capacity.Ramp || s.fail && phase == capacity.Confirm
	return standing{pass: s.pass, fail: s.fail, none: s.none || back}
}

// standings are the verdicts that stand on a tier, by level.
func standings(slo capacity.SLO, probes []capacity.ProbeRecord) map[int]standing {
	all := map[int]standing{}
	for _, p := range probes {
		if v, ok := verdictOn(slo, p); ok {
			s, seen := all[p.Ask.Level]
			if !seen {
				s.none = true
			}
			all[p.Ask.Level] = s.after(v, p.Phase)
		}
	}
	return all
}

// verifyBounds checks that L and U follow from the verdicts: U is the smallest
// level that stands failed, L the largest below it that stands passed.
func verifyBounds(a capacity.Answer, probes []capacity.ProbeRecord) []string {
	all := standings(a.SLO, probes)
	var wrong []string
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if a.L > 0 && !all[a.L].pass {
		say("l is %d, but no probe that counts passed there", a.L)
	}
	if a.U > 0 && !all[a.U].fail {
		say("u is %d, but no probe that counts failed there", a.U)
	}
	for _, level := range slices.Sorted(maps.Keys(all)) {
		s := all[level]
		below := a.U == 0 || level < a.U
		switch {
		case below && s == standing{fail: true}:
			say("u is %d, but level %d failed", a.U, level)
		case below && level > a.L && s == standing{pass: true}:
			say("l is %d, but level %d passed", a.L, level)
		}
	}
	return wrong
}
