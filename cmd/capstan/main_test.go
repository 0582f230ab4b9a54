package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/capstan-bench/capstan/datasets/smoke"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"capstan": main, "agent": fakeAgent, "claude": fakeAgent, "journalcat": journalCat})
}

// TestScripts runs the transcripts in testdata. Each finds the shipped dataset
// in $WORK/smoke, and real trajectories in $SAMPLES where there are any.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:  "testdata",
		Cmds: commands,
		Setup: func(e *testscript.Env) error {
			e.Setenv("SAMPLES", os.Getenv("CAPSTAN_SAMPLES"))
			if err := startWorld(e); err != nil {
				return err
			}
			return smoke.Write(e.WorkDir + "/smoke")
		},
		Condition: func(cond string) (bool, error) {
			return cond == "samples" && os.Getenv("CAPSTAN_SAMPLES") != "", nil
		},
	})
}
