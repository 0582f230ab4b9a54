package assemble

import (
	"encoding/json"
	"math"
	"unicode/utf8"

	"github.com/capstan-bench/capstan/schema/wire"
)

// maxParams bounds request_params_json.
const maxParams = 64 << 10

// params reads what a request asks for and returns the members that say
// something else.
func (rd *reading) params(route wire.Route, envelope []byte) []wire.Member {
	c, row := rd.c, &rd.r.Row
	p, _ := wire.RequestParams(route.Format, envelope) // a body that breaks says what stands before
	if p.Model == "" {
		p.Model = route.Model
	}
	c.model = valid(p.Model)
	row.RequestModel = text(p.Model)
	if row.Stream = p.Stream; route.Stream || route.Format == wire.FormatGemini {
		row.Stream = ptr(route.Stream)
	}
	row.MaxTokens = natural(p.MaxTokens)
	row.Temperature, row.TopP = finite(p.Temperature), finite(p.TopP)
	row.TopK, row.Seed = small(p.TopK), p.Seed
	row.ReasoningEffort, row.ToolChoice = text(p.ReasoningEffort), text(p.ToolChoice)
	c.few = p.MaxTokens != nil && *p.MaxTokens <= 1
	c.prewarm = p.Generate != nil && !*p.Generate
	c.wanted = p.PreviousResponseID
	row.RequestParamsJSON = object(p.Other)
	return p.Other
}

// object is members as a JSON object; nil for none, and where they are too long
// to be parameters.
func object(members []wire.Member) *string {
	seen := map[string]bool{}
	out := []byte{'{'}
	for _, m := range members {
		key, err := json.Marshal(m.Key)
		if err != nil || seen[m.Key] || !utf8.Valid(m.Value) {
			continue
		}
		seen[m.Key] = true
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, key...), ':'), m.Value...)
		if len(out) > maxParams {
			return nil
		}
	}
	if len(out) == 1 {
		return nil
	}
	return ptr(string(append(out, '}')))
}

// natural is a count that can be believed.
func natural(n *int64) *int64 {
	if n == nil || *n < 0 || *n > 1<<40 {
		return nil
	}
	return n
}

func small(n *int64) *int32 {
	if n == nil || *n < math.MinInt32 || *n > math.MaxInt32 {
		return nil
	}
	return ptr(int32(*n))
}

func finite(v *float64) *float64 {
	if v == nil || math.IsInf(*v, 0) || math.IsNaN(*v) {
		return nil
	}
	return v
}
