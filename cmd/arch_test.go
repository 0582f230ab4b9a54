// Package cmd holds no code, only the test that keeps the module's layout.
package cmd

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/capstan-bench/capstan/"

// layout says which packages of ours a package may import. A package that is
// not named here must not exist: give it its place first.
var layout = map[string][]string{
	"schema":              {},
	"schema/wire":         {},
	"schema/fold":         {"schema", "schema/wire"},
	"schema/bundle":       {"schema"},
	"schema/tokens":       {},
	"schema/secrets":      {},
	"proxy/codec":         {},
	"proxy/journal":       {},
	"proxy/launch":        {"schema/secrets"},
	"datasets":            {"schema", "schema/bundle", "schema/fold"},
	"datasets/convert":    {"datasets", "schema/fold", "schema", "schema/wire", "schema/tokens"},
	"datasets/stats":      {"datasets", "schema"},
	"datasets/smoke":      {},
	"replay/stat":         {},
	"replay/plan":         {"schema", "datasets", "schema/fold", "schema/wire", "schema/tokens"},
	"replay/agent":        {"replay/plan", "schema", "schema/secrets", "schema/wire"},
	"replay":              {"replay/plan", "replay/agent", "replay/capacity", "schema"},
	"replay/sim":          {},
	"replay/simhttp":      {"replay/sim", "schema/wire"},
	"replay/virtual":      {"replay/plan", "replay/sim", "replay/capacity", "schema"},
	"replay/capacity":     {"replay/stat", "schema"},
	"replay/cost":         {"replay/stat", "schema"},
	"replay/result":       {"replay/capacity", "replay/cost", "replay/stat", "schema", "schema/bundle"},
	"replay/report":       {"replay/result", "replay/capacity", "replay/cost", "replay/stat", "schema"},
	"proxy":               {"proxy/journal", "proxy/codec", "schema/secrets", "schema/wire"},
	"proxy/assemble":      {"proxy/journal", "schema", "schema/fold", "schema/wire"},
	"datasets/smoke/make": {"datasets", "schema", "schema/fold", "schema/wire", "schema/tokens"},
	"cmd/standin":         {"schema/wire", "proxy/codec"},
	"cmd/capstan":         {"*"},
}

// homes names the packages that may use a library; everything else of it stays
// behind their types.
var homes = map[string][]string{
	"github.com/parquet-go/parquet-go":         {"schema"},
	"github.com/klauspost/compress":            {"schema", "proxy/codec", "proxy/journal"},
	"github.com/valyala/fasthttp":              {"replay/agent"},
	"filippo.io/age":                           {"proxy/journal"},
	"github.com/elazarl/goproxy":               {"proxy"},
	"github.com/urfave/cli/v2":                 {"cmd/capstan"},
	"github.com/tiktoken-go/tokenizer":         {"schema/tokens"},
	"github.com/tidwall/gjson":                 {"schema/wire", "schema/fold", "datasets/convert"},
	"github.com/andybalholm/brotli":            {"proxy/codec"},
	"github.com/goccy/go-yaml":                 {"replay/sim", "replay/cost", "cmd/capstan", "cmd/standin"},
	"github.com/santhosh-tekuri/jsonschema/v6": {"replay/cost"},
	"gonum.org/v1/gonum":                       {"replay/stat"},
	"gonum.org/v1/plot":                        {"replay/report"},
	"golang.org/x/sys":                         {"proxy", "proxy/journal"},
	"golang.org/x/text":                        {},
}

// clockless packages are pure: they are told the time and read no clock.
var clockless = []string{
	"schema/wire", "schema/fold", "schema/secrets", "proxy/codec", "proxy/assemble", "replay/plan", "replay/sim", "replay/virtual",
	"replay/capacity", "replay/stat", "replay/cost",
}

type source struct {
	pkg  string // folder, slash separated
	name string
	file *ast.File
}

func TestLayout(t *testing.T) {
	for _, s := range sources(t) {
		allowed, known := layout[s.pkg]
		if !known {
			t.Errorf("%s: package %s has no place in the layout", s.name, s.pkg)
			continue
		}
		for _, spec := range s.file.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			checkImport(t, s, allowed, path)
		}
	}
}

func checkImport(t *testing.T, s source, allowed []string, path string) {
	t.Helper()
	if ours, ok := strings.CutPrefix(path, module); ok {
		if !slices.Contains(allowed, ours) && !slices.Contains(allowed, "*") {
			t.Errorf("%s: package %s imports %s, which its place in the layout does not allow", s.name, s.pkg, ours)
		}
		return
	}
	if !strings.Contains(strings.SplitN(path, "/", 2)[0], ".") {
		return // the standard library
	}
	for lib, users := range homes {
		if path == lib || strings.HasPrefix(path, lib+"/") {
			if !slices.Contains(users, s.pkg) {
				t.Errorf("%s: %s is used by %v only", s.name, lib, users)
			}
			return
		}
	}
	t.Errorf("%s: library %s has no home in the layout", s.name, path)
}

func TestPackageComments(t *testing.T) {
	commented := map[string]bool{}
	for _, s := range sources(t) {
		commented[s.pkg] = commented[s.pkg] || s.file.Doc != nil
	}
	for pkg, ok := range commented {
		if !ok {
			t.Errorf("package %s has no comment", pkg)
		}
	}
}

func TestPurePackagesReadNoClock(t *testing.T) {
	for _, s := range sources(t) {
		if !slices.Contains(clockless, s.pkg) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := sel.X.(*ast.Ident)
			if ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "NewTimer", "NewTicker", "Tick", "AfterFunc"}, sel.Sel.Name) {
				t.Errorf("%s: time.%s in package %s, which has no clock", s.name, sel.Sel.Name, s.pkg)
			}
			return true
		})
	}
}

func TestTopLevel(t *testing.T) {
	allowed := []string{"proxy", "replay", "schema", "cmd", "datasets", "go.mod", "go.sum", "LICENSE", "README.md"}
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(allowed, e.Name()) && !strings.HasPrefix(e.Name(), ".") && !ignored(e.Name()) {
			t.Errorf("%s does not belong at the top level", e.Name())
		}
	}
}

// ignored names what a build or a demo run leaves, as .gitignore does.
func ignored(name string) bool {
	ok := slices.Contains([]string{"capstan", "report.html"}, name)
	for _, ext := range []string{".test", ".prof"} {
		ok = ok || strings.HasSuffix(name, ext)
	}
	return ok
}

// sources parses every Go file of the module that is no test. It reads the
// files itself: a check through the go command is cached too long.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != ".." && (strings.HasPrefix(name, ".") || name == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel("..", path)
		rel = filepath.ToSlash(rel)
		all = append(all, source{pkg: filepath.ToSlash(filepath.Dir(rel)), name: rel, file: f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("found %d source files: the walk is broken", len(all))
	}
	return all
}
