package schema_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/capstan-bench/capstan/schema"
)

func ExampleNewWriter() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	w, err := schema.NewWriter[schema.Item](filepath.Join(dir, "items.parquet"), map[string]string{"producer": "example 1"})
	if err != nil {
		log.Fatal(err)
	}
	defer w.Abort() // does nothing once closed

	hash := "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9"
	err = w.Write([]schema.Item{
		{SessionID: "s1", ItemIndex: 0, Kind: schema.KindSystem, ContentSHA256: hash, ContentBytes: 1},
		{SessionID: "s1", ItemIndex: 1, Kind: schema.KindUser, ContentSHA256: hash, ContentBytes: 1},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := w.EndSession(); err != nil {
		log.Fatal(err)
	}
	stat, err := w.Close()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(stat.Rows, "rows")
	// Output: 2 rows
}

func ExampleRead() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "blobs.parquet")
	writeExample(path)

	// A struct with some of the columns reads only those.
	type size struct {
		ContentSHA256 string `parquet:"content_sha256"`
		ContentBytes  int64  `parquet:"content_bytes"`
	}
	for row, err := range schema.Read[size](path) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(row.ContentSHA256[:8], row.ContentBytes)
	}
	// Output: 5feceb66 1
}

func writeExample(path string) {
	w, err := schema.NewWriter[schema.Blob](path, nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := w.Write([]schema.Blob{blobOf("0")}); err != nil {
		log.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		log.Fatal(err)
	}
}
