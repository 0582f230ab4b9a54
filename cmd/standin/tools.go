package main

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/capstan-bench/capstan/schema/wire"
)

// tool is one that a request declares.
type tool struct {
	name      string
	namespace string // Responses: the group that it is in
	custom    bool   // takes text
	schema    schema
	raw       []byte // the declaration
}

// schema is as much of a JSON Schema as matters here.
type schema struct {
	Type       any               `json:"type"`
	Properties map[string]schema `json:"properties"`
	Required   []string          `json:"required"`
	Items      *schema           `json:"items"`
	Enum       []any             `json:"enum"`
	AnyOf      []schema          `json:"anyOf"`
}

// kind is the schema's type, in lower case; the first one but null of several.
func (s *schema) kind() string {
	switch t := s.Type.(type) {
	case string:
		return strings.ToLower(t)
	case []any:
		for _, k := range t {
			if k, ok := k.(string); ok && strings.ToLower(k) != "null" {
				return strings.ToLower(k)
			}
		}
	}
	if len(s.AnyOf) > 0 {
		return s.AnyOf[0].kind()
	}
	if len(s.Properties) > 0 {
		return "object"
	}
	return ""
}

// declaration is a tool in any dialect: the members that the dialects name apart.
type declaration struct {
	Type        string        `json:"type"`
	Name        string        `json:"name"`
	Parameters  *schema       `json:"parameters"`
	InputSchema *schema       `json:"input_schema"`
	JSONSchema  *schema       `json:"parametersJsonSchema"`
	Function    *declaration  `json:"function"`
	Tools       []declaration `json:"tools"`                // Responses: of a namespace
	Gemini      []declaration `json:"functionDeclarations"` // Gemini
	GeminiSnake []declaration `json:"function_declarations"`
}

// declared lists the tools that an element of a request's tools declares.
func declared(format string, raw []byte) []tool {
	var d declaration
	if json.Unmarshal(raw, &d) != nil {
		return nil
	}
	var out []tool
	add := func(namespace string, d declaration) {
		t := tool{name: d.Name, namespace: namespace, custom: format == wire.FormatResponses && d.Type == "custom", raw: raw}
		for _, s := range []*schema{d.Parameters, d.InputSchema, d.JSONSchema} {
			if s != nil {
				t.schema = *s
			}
		}
		if t.name != "" {
			out = append(out, t)
		}
	}
	switch {
	case d.Function != nil:
		add("", *d.Function)
	case d.Type == "namespace":
		for _, inner := range d.Tools {
			add(d.Name, inner)
		}
	case d.Gemini != nil || d.GeminiSnake != nil:
		for _, inner := range slices.Concat(d.Gemini, d.GeminiSnake) {
			add("", inner)
		}
	default:
		add("", d)
	}
	return out
}

// find is the first tool with one of the names, in the order of the names.
func find(tools []tool, names ...string) (tool, bool) {
	for _, name := range names {
		for _, t := range tools {
			if t.name == name {
				return t, true
			}
		}
	}
	return tool{}, false
}

// argument is the name that the tool gives to an argument, the first of names that it
// declares; without a declaration the first.
func (t *tool) argument(names ...string) string {
	for _, name := range names {
		if _, ok := t.schema.Properties[name]; ok {
			return name
		}
	}
	return names[0]
}

func (t *tool) takes(name string) bool {
	_, ok := t.schema.Properties[name]
	return ok
}

// instance is the least value that fits a schema: what it must have, and of texts
// the first choice, or text.
func (s *schema) instance(text string) any {
	if len(s.Enum) > 0 {
		return s.Enum[0]
	}
	switch s.kind() {
	case "object":
		out := map[string]any{}
		for name, p := range s.Properties {
			if len(s.Required) == 0 || slices.Contains(s.Required, name) {
				out[name] = p.instance(text)
			}
		}
		return out
	case "array":
		return []any{}
	case "boolean":
		return false
	case "number", "integer":
		return 1
	}
	if s.Type == nil && len(s.AnyOf) > 0 {
		return s.AnyOf[0].instance(text)
	}
	return text
}
