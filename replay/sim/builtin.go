package sim

import (
	"embed"
	"io/fs"
	"strings"
)

//go:embed engines/*.yaml
var engines embed.FS

// Builtin is an engine that ships with the program. Its figures are plausible
// but invented: no machine was measured.
func Builtin(name string) (Params, bool) {
	text, err := fs.ReadFile(engines, "engines/"+name+".yaml")
	if err != nil {
		return Params{}, false
	}
	p, err := Parse(text)
	if err != nil {
		panic("sim: internal error: engine " + name + ": " + err.Error())
	}
	return p, true
}

// BuiltinNames are the names that Builtin knows, sorted.
func BuiltinNames() []string {
	files, err := engines.ReadDir("engines")
	if err != nil {
		panic("sim: internal error: " + err.Error())
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = strings.TrimSuffix(f.Name(), ".yaml")
	}
	return names
}
