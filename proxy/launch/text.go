package launch

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// sorted brings the settings of a file into an order that does not depend on
// maps.
func sorted(s []Setting) []Setting {
	slices.SortFunc(s, func(a, b Setting) int { return cmp.Compare(a.Key, b.Key) })
	return s
}

// plainJSON takes comments and trailing commas out of JSON with them.
func plainJSON(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			end := stringEnd(text, i)
			out = append(out, text[i:end]...)
			i = end - 1
		case c == '/' && i+1 < len(text) && text[i+1] == '/':
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case c == '/' && i+1 < len(text) && text[i+1] == '*':
			end := bytes.Index(text[i+2:], []byte("*/"))
			if end < 0 {
				return out
			}
			i += 2 + end + 1
		case c == '}' || c == ']':
			out = append(dropComma(out), c)
		default:
			out = append(out, c)
		}
	}
	return out
}

// stringEnd returns where the JSON string that begins at i is over.
func stringEnd(text []byte, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// dropComma removes a comma at the end, and the space behind it.
func dropComma(b []byte) []byte {
	if rest, ok := bytes.CutSuffix(bytes.TrimRight(b, " \t\r\n"), []byte(",")); ok {
		return rest
	}
	return b
}

// tomlStrings returns the strings of a TOML file by dotted key. It knows the
// plain forms only: tables, keys with dots, strings in one line.
func tomlStrings(text []byte) map[string]string {
	out := map[string]string{}
	table := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			name, _, _ = strings.Cut(strings.TrimLeft(name, "["), "]")
			table = bareKey(name) + "."
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		if s, ok := tomlString(strings.TrimSpace(value)); ok {
			out[strings.TrimPrefix(table, ".")+bareKey(key)] = s
		}
	}
	return out
}

// bareKey is a dotted key without quotes and spaces.
func bareKey(key string) string {
	parts := strings.Split(key, ".")
	for i, p := range parts {
		parts[i] = strings.Trim(strings.TrimSpace(p), `"'`)
	}
	return strings.Join(parts, ".")
}

func tomlString(value string) (string, bool) {
	switch {
	case strings.HasPrefix(value, "'"):
		s, _, ok := strings.Cut(value[1:], "'")
		return s, ok
	case strings.HasPrefix(value, `"`):
		s, err := strconv.Unquote(value[:stringEnd([]byte(value), 0)])
		return s, err == nil
	}
	return "", false
}
