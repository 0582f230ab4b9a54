// Package smoke holds the small dataset that ships with capstan, so that a demo
// and tests need nothing else. Its sessions were written, not recorded; the
// dataset's card, dataset/README.md, says how. The package only hands out the
// files: reading them is the business of package datasets.
package smoke

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
)

//go:generate go run ./make -root ../.. -o dataset

//go:embed all:dataset
var files embed.FS

// Write copies the dataset into dir, which must not exist or be empty. What is
// there after an error is no dataset.
func Write(dir string) error {
	dataset, err := fs.Sub(files, "dataset")
	if err != nil {
		return fmt.Errorf("write shipped dataset: %w", err)
	}
	if err := os.CopyFS(dir, dataset); err != nil {
		return fmt.Errorf("write shipped dataset: %w", err)
	}
	return nil
}
