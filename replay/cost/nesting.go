package cost

import (
	"bytes"
	"fmt"
)

// maxNesting is how deep the brackets, or the dashes of one line, of a YAML text
// may nest.
const maxNesting = 100

// CheckNesting refuses YAML text that nests deeper than any file of settings.
// The reader of YAML takes time and memory by the square of the depth: a hundred
// kilobytes of brackets cost it many gigabytes. Brackets in quotes and comments
// count too, which only matters where a hundred of them are never closed.
func CheckNesting(text []byte) error {
	line, depth, dashes, start := 1, 0, 0, true
	for _, c := range text {
		switch c {
		case '\n':
			line, dashes, start = line+1, 0, true
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(0, depth-1)
		case '-', '?':
			if start {
				dashes++
			}
		}
		start = start && bytes.IndexByte([]byte(" \t\n-?"), c) >= 0
		if depth > maxNesting || dashes > maxNesting && c == ' ' {
			return fmt.Errorf("line %d: nested more than %d deep", line, maxNesting)
		}
	}
	return nil
}
