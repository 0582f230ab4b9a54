package cost

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

//go:embed system.schema.json
var schemaText string

// Schema is the JSON Schema (draft 2020-12) of system.yaml.
func Schema() string { return schemaText }

// rules is the schema twice: compiled, and as a tree to say what it expects.
type rules struct {
	compiled *jsonschema.Schema
	tree     map[string]any
}

var loadRules = sync.OnceValue(func() rules {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schemaText))
	if err != nil {
		panic("cost: internal error: system.schema.json: " + err.Error())
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("system.schema.json", doc); err != nil {
		panic("cost: internal error: system.schema.json: " + err.Error())
	}
	compiled, err := c.Compile("system.schema.json")
	if err != nil {
		panic("cost: internal error: system.schema.json: " + err.Error())
	}
	return rules{compiled: compiled, tree: doc.(map[string]any)}
})

// check says what in v the schema does not allow, sorted by path.
func check(v any) []string {
	if wrong := checkNumbers(nil, v); len(wrong) > 0 {
		return wrong
	}
	r := loadRules()
	err := r.compiled.Validate(v)
	var invalid *jsonschema.ValidationError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &invalid):
		return []string{oneLine(err.Error())}
	}
	wrong := r.describe(v, invalid)
	slices.Sort(wrong)
	return slices.Compact(wrong)
}

// checkNumbers refuses what YAML can hold and JSON can't, before the schema
// sees it: it would pass a NaN.
func checkNumbers(path []string, v any) []string {
	switch v := v.(type) {
	case map[string]any:
		var wrong []string
		for key, member := range v {
			wrong = append(wrong, checkNumbers(append(path, key), member)...)
		}
		slices.Sort(wrong)
		return wrong
	case []any:
		var wrong []string
		for i, element := range v {
			wrong = append(wrong, checkNumbers(append(path, strconv.Itoa(i)), element)...)
		}
		return wrong
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return []string{fmt.Sprintf("%s: got %v, want %s", dotted(path), v, loadRules().expect(path))}
		}
	case nil, bool, string, int64, uint64, int, json.Number:
	default:
		return []string{fmt.Sprintf("%s: got a tagged value, want %s", dotted(path), loadRules().expect(path))}
	}
	return nil
}

// describe turns the leaves of a validation error into sentences.
func (r rules) describe(v any, e *jsonschema.ValidationError) []string {
	var wrong []string
	for _, cause := range e.Causes {
		wrong = append(wrong, r.describe(v, cause)...)
	}
	if len(e.Causes) > 0 {
		return wrong
	}
	at := e.InstanceLocation
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			path := append(slices.Clone(at), name)
			wrong = append(wrong, fmt.Sprintf("%s: missing, want %s", dotted(path), r.expect(path)))
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			path := append(slices.Clone(at), name)
			wrong = append(wrong, fmt.Sprintf("%s: unknown field, want one of %s", dotted(path), strings.Join(r.fields(at), ", ")))
		}
	default:
		wrong = append(wrong, fmt.Sprintf("%s: got %s, want %s", dotted(at), shown(lookup(v, at)), r.expect(at)))
	}
	return wrong
}

// dotted writes a path as accelerators.memory[0].gib.
func dotted(path []string) string {
	var b strings.Builder
	for _, p := range path {
		switch _, err := strconv.Atoi(p); {
		case err == nil:
			b.WriteString("[" + p + "]")
		case !plain(p):
			fmt.Fprintf(&b, "[%.80q]", p)
		case b.Len() > 0:
			b.WriteString("." + p)
		default:
			b.WriteString(p)
		}
	}
	if b.Len() == 0 {
		return "the manifest"
	}
	return b.String()
}

// plain reports whether a key can stand in a path as it is.
func plain(key string) bool {
	return key != "" && len(key) <= 80 && strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == ""
}

// lookup finds what stands at path; the schema has just been there.
func lookup(v any, path []string) any {
	for _, p := range path {
		switch at := v.(type) {
		case map[string]any:
			v = at[p]
		case []any:
			i, err := strconv.Atoi(p)
			if err != nil || i < 0 || i >= len(at) {
				return nil
			}
			v = at[i]
		}
	}
	return v
}

// shown writes a wrong value on one line, however long it is.
func shown(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case string:
		if len(v) > 60 {
			return fmt.Sprintf("text of %d bytes", len(v))
		}
		return strconv.Quote(v)
	case map[string]any:
		return fmt.Sprintf("a group of %d fields", len(v))
	case []any:
		return fmt.Sprintf("a list of %d", len(v))
	}
	return fmt.Sprint(v)
}
