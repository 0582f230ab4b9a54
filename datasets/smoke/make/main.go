// Make writes the shipped dataset: sessions of an agent that does not exist, at
// work on this repository. Nothing in it is recorded. Prompts, tool descriptions
// and answers are written for it, tool output is text of the repository as it
// stands, durations are drawn at random; the same tree and seed give the same
// bytes. From the repository's root:
//
//	rm -r datasets/smoke/dataset && go generate ./datasets/smoke
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/capstan-bench/capstan/datasets"
	"github.com/capstan-bench/capstan/schema/tokens"
)

func main() {
	out := flag.String("o", "", "directory of the dataset; must not exist")
	root := flag.String("root", ".", "the repository")
	seed := flag.Uint64("seed", 1, "seed of everything that is drawn")
	flag.Parse()
	if err := write(*out, *root, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "make:", err)
		os.Exit(1)
	}
}

func write(out, root string, seed uint64) error {
	tree, err := snapshot(os.DirFS(root))
	if err != nil {
		return err
	}
	tok, err := tokens.Open("o200k_base")
	if err != nil {
		return err
	}
	w, err := datasets.Create(out, card)
	if err != nil {
		return err
	}
	defer w.Abort()
	for n, s := range stories {
		a := &author{repo: tree, rng: rand.New(rand.NewPCG(seed, uint64(n)))}
		start := epoch.Add(time.Duration(n) * 37 * time.Minute)
		session, err := foldSession(fmt.Sprintf("smoke-%02d", n+1), a.root(s), s.title, tok, start)
		if err != nil {
			return fmt.Errorf("session %d: %w", n+1, err)
		}
		if err := w.Add(session); err != nil {
			return fmt.Errorf("session %d: %w", n+1, err)
		}
	}
	return w.Close()
}
