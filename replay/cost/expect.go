package cost

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// expect says in words what the schema wants at path.
func (r rules) expect(path []string) string {
	n := r.node(path)
	if n == nil {
		return "no such field"
	}
	if values, ok := n["enum"].([]any); ok {
		words := make([]string, len(values))
		for i, v := range values {
			words[i] = fmt.Sprint(v)
		}
		return "one of " + strings.Join(words, ", ")
	}
	switch n["type"] {
	case "integer":
		return "an integer" + bounds(n)
	case "number":
		return "a number" + bounds(n)
	case "string":
		if n["pattern"] != nil {
			return "a date as YYYY-MM-DD"
		}
		return fmt.Sprintf("text of 1 to %v characters (numbers in quotes)", n["maxLength"])
	case "array":
		return fmt.Sprintf("a list of %v to %v", n["minItems"], n["maxItems"])
	}
	return "a group of fields: " + strings.Join(r.fields(path), ", ")
}

// bounds says in words what range a number may have.
func bounds(n map[string]any) string {
	var words []string
	if v, ok := n["minimum"].(json.Number); ok {
		words = append(words, "of at least "+decimal(v))
	}
	if v, ok := n["exclusiveMinimum"].(json.Number); ok {
		words = append(words, "above "+decimal(v))
	}
	if v, ok := n["maximum"].(json.Number); ok {
		words = append(words, "at most "+decimal(v))
	}
	return " " + strings.Join(words, " and ")
}

func decimal(n json.Number) string {
	f, err := n.Float64()
	if err != nil {
		return n.String()
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// fields are the names that may stand in the group at path, sorted.
func (r rules) fields(path []string) []string {
	n := r.node(path)
	properties, _ := n["properties"].(map[string]any)
	return slices.Sorted(maps.Keys(properties))
}

// node finds the part of the schema that rules path, nil when none does.
func (r rules) node(path []string) map[string]any {
	n := r.tree
	for _, p := range path {
		var next any
		if properties, ok := n["properties"].(map[string]any); ok {
			next = properties[p]
		} else {
			next = n["items"]
		}
		n, _ = next.(map[string]any)
		if ref, ok := n["$ref"].(string); ok {
			defs := r.tree["$defs"].(map[string]any)
			n, _ = defs[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
		}
	}
	return n
}
