package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A file of this name lies in a directory from Create until Close or Abort, so
// that a writer's leftovers can be told from people's files.
const (
	unfinishedName = ".unfinished"
	unfinishedText = "This folder is being written, or its writing was cut off; then nothing in it is needed.\n"
)

// errBusy is the error of a folder that another writer fills.
var errBusy = errors.New("another process is writing it")

// Clear removes what a writer that was killed left in dir, so that [Create] can
// start again there. It does so only if Create was called there, there is no
// manifest, no writer is alive, and ours says of every file, by its path (slash
// separated), that a writer makes such a file; else nothing changes, and Create
// says what stands in its way. It is for bundles that can be made again.
func Clear(dir string, ours func(rel string) bool) error {
	if _, err := os.Lstat(filepath.Join(dir, unfinishedName)); err != nil {
		return nil
	}
	held, err := lock(dir)
	if err != nil {
		return fmt.Errorf("clear %s: %w", dir, err)
	}
	if held == nil {
		return nil // nobody can tell whether its writer is alive
	}
	defer held.Close()
	left, err := leftovers(dir, ours)
	if err != nil {
		return fmt.Errorf("clear %s: %w", dir, err)
	}
	for _, name := range left {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("clear %s: %w", dir, err)
		}
	}
	return nil
}

// leftovers returns the names at the top of dir if all that is there may go.
func leftovers(dir string, ours func(rel string) bool) (names []string, err error) {
	may := true
	err = filepath.WalkDir(dir, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		if !e.IsDir() && (rel == ManifestName || !e.Type().IsRegular() || rel != unfinishedName && !ours(filepath.ToSlash(rel))) {
			may = false
			return fs.SkipAll
		}
		if rel != "." && filepath.Dir(rel) == "." {
			names = append(names, rel)
		}
		return nil
	})
	if !may {
		return nil, err
	}
	return names, err
}
