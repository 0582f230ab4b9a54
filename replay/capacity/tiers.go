package capacity

import "slices"

// tierSets are the service levels of AA-AgentPerf, one set for each model: the
// P25 of the calls' output speed in tok/s and the P95 of their TTFT in seconds.
// Source: Artificial Analysis, AA-AgentPerf methodology
// (https://artificialanalysis.ai/methodology/agentperf) and what was reported
// of its launch in June 2026.
var tierSets = map[string][][2]float64{
	"aa-deepseek-v4-pro": {{20, 10}, {60, 5}, {180, 3}},
	"aa-gpt-oss-120b":    {{100, 5}, {250, 3}, {500, 2}, {2000, 1}},
}

// Tiers is a built-in set of SLOs, the loosest first; ok is false for a name
// that [TierNames] does not have.
func Tiers(name string) (slos []SLO, ok bool) {
	for _, t := range tierSets[name] {
		slos = append(slos, SLO{Conds: []Cond{
			{Stat: "p25", Metric: Speed, Op: AtLeast, Limit: t[0]},
			{Stat: "p95", Metric: TTFT, Op: AtMost, Limit: t[1]},
		}})
	}
	return slos, len(slos) > 0
}

// TierNames are the names of the built-in sets, sorted.
func TierNames() []string {
	var names []string
	for name := range tierSets {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
