package bundle_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/capstan-bench/capstan/schema/bundle"
)

func Example() {
	parent, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(parent)
	dir := filepath.Join(parent, "notes")

	w, err := bundle.Create(dir, "notes")
	if err != nil {
		log.Fatal(err)
	}
	defer w.Abort() // does nothing once closed
	if err := w.Put("notes/first.txt", []byte("hello")); err != nil {
		log.Fatal(err)
	}
	if err := w.Close(bundle.Manifest{Producer: "example 1"}); err != nil {
		log.Fatal(err)
	}

	b, err := bundle.Open(dir, "notes")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(b.Files("notes")[0].Path, b.Verify())

	os.WriteFile(b.Path("notes/first.txt"), []byte("jello"), 0o666)
	fmt.Println(b.Verify() != nil)
	// Output:
	// notes/first.txt <nil>
	// true
}
