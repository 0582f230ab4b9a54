package main

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
)

// repo is a snapshot of the repository's text, which the tools of the sessions
// work on. Their output is real text of this repository.
type repo struct {
	files []string // sorted
	lines map[string][]string
}

const maxLines = 400

// snapshot reads the Go sources, documents and engine files of a tree.
func snapshot(tree fs.FS) (*repo, error) {
	r := &repo{lines: map[string][]string{}}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); name != "." && (strings.HasPrefix(base, ".") || base == "testdata" || name == "datasets/smoke") {
				return fs.SkipDir
			}
			return nil
		}
		if !slices.Contains([]string{".go", ".md", ".yaml"}, path.Ext(name)) {
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		r.files = append(r.files, name)
		r.lines[name] = strings.Split(strings.TrimRight(string(text), "\n"), "\n")
		return nil
	})
	slices.Sort(r.files)
	if err == nil && len(r.files) < 20 {
		err = fmt.Errorf("read repository: found %d files; run from the repository's root", len(r.files))
	}
	return r, err
}

// pick returns a file below one of the folders, or any file.
func (r *repo) pick(rng *rand.Rand, below []string) string {
	var fit []string
	for _, f := range r.files {
		for _, b := range below {
			if strings.HasPrefix(f, b) {
				fit = append(fit, f)
			}
		}
	}
	if len(fit) == 0 {
		fit = r.files
	}
	return fit[rng.IntN(len(fit))]
}

// read is the read tool.
func (r *repo) read(name string, from, count int) string {
	lines := r.lines[name]
	var b strings.Builder
	end := min(from-1+min(count, maxLines), len(lines))
	for i := from - 1; i < end; i++ {
		fmt.Fprintf(&b, "%d\t%s\n", i+1, lines[i])
	}
	if end < len(lines) {
		fmt.Fprintf(&b, "(%d more lines)\n", len(lines)-end)
	}
	return b.String()
}

// list is the list tool, one level deep.
func (r *repo) list(dir string) string {
	seen := map[string]bool{}
	var b strings.Builder
	for _, f := range r.files {
		rest := f
		if dir != "." {
			var ok bool
			if rest, ok = strings.CutPrefix(f, dir+"/"); !ok {
				continue
			}
		}
		entry, _, folder := strings.Cut(rest, "/")
		if folder {
			entry += "/"
		}
		if seen[entry] {
			continue
		}
		seen[entry] = true
		if folder {
			fmt.Fprintln(&b, entry)
		} else {
			fmt.Fprintf(&b, "%s  %d\n", entry, len(strings.Join(r.lines[f], "\n"))+1)
		}
	}
	return b.String()
}

// search is the search tool for a plain word.
func (r *repo) search(word, below string) string {
	var b strings.Builder
	found := 0
	for _, f := range r.files {
		if !strings.HasPrefix(f, below) {
			continue
		}
		for i, line := range r.lines[f] {
			if !strings.Contains(line, word) {
				continue
			}
			if found++; found <= 60 {
				fmt.Fprintf(&b, "%s:%d:%s\n", f, i+1, line)
			}
		}
	}
	if found > 60 {
		fmt.Fprintf(&b, "(%d more)\n", found-60)
	}
	if found == 0 {
		b.WriteString("no match\n")
	}
	return b.String()
}

// word returns an identifier that occurs in a file.
func (r *repo) word(rng *rand.Rand, name string) string {
	lines := r.lines[name]
	for range 50 {
		fields := strings.FieldsFunc(lines[rng.IntN(len(lines))], func(c rune) bool {
			return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z')
		})
		for _, f := range fields {
			if len(f) >= 6 && strings.ToLower(f) != f {
				return f
			}
		}
	}
	return "package"
}
