package result

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
)

// rounding is how far a recomputed figure may be off: processors that fuse a
// multiplication with an addition round once where others round twice.
const rounding = 1e-9

// differ compares two values by their JSON, so that what is written is what is
// compared, and names every place where they are not alike.
func differ(place string, got, again any) []Problem {
	a, err := tree(got)
	if err != nil {
		return []Problem{{place, err.Error()}}
	}
	b, err := tree(again)
	if err != nil {
		return []Problem{{place, err.Error()}}
	}
	return walk(place, a, b)
}

func tree(v any) (any, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	var t any
	if err := json.Unmarshal(text, &t); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	return t, nil
}

func walk(place string, a, b any) []Problem {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			break
		}
		var problems []Problem
		keys := maps.Clone(x)
		maps.Copy(keys, y)
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			problems = append(problems, walk(place+"."+k, x[k], y[k])...)
		}
		return problems
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			break
		}
		var problems []Problem
		for i := range x {
			problems = append(problems, walk(fmt.Sprintf("%s[%d]", place, i), x[i], y[i])...)
		}
		return problems
	case float64:
		if y, ok := b.(float64); ok && math.Abs(x-y) <= rounding*max(math.Abs(x), math.Abs(y)) {
			return nil
		}
	default:
		if a == b {
			return nil
		}
	}
	return []Problem{{place, fmt.Sprintf("got %s, recomputed %s", brief(a), brief(b))}}
}

func brief(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if len(text) > 200 {
		return string(text[:200]) + "…"
	}
	return string(text)
}
