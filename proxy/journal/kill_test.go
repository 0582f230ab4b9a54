package journal_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/proxy/journal"
)

// victimEnv makes the test binary a victim: it records into the directory that
// it names until it is killed.
const victimEnv = "CAPSTAN_JOURNAL_VICTIM"

// victim records three exchanges at a time and says on stdout what it fed, with
// its clock, and what Sync acknowledged.
func victim() {
	w, err := journal.NewWriter(journal.Config{Dir: os.Getenv(victimEnv), SegmentBytes: 256 << 10})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go w.Run(context.Background())
	rng := rand.New(rand.NewPCG(uint64(os.Getpid()), 3))
	var tapes [3]*journal.Tape
	for n := 0; ; n++ {
		i := n % len(tapes)
		if tapes[i] == nil {
			tapes[i] = w.Begin(journal.Flow{})
		}
		fmt.Printf("F %d %d\n", n, time.Now().UnixNano())
		tapes[i].Feed(journal.Response, time.Duration(n), 1, victimFeed(n))
		if n%60 > 56 {
			tapes[i].End(journal.End{})
			tapes[i] = nil
		}
		if n%100 == 99 {
			if err := w.Sync(context.Background()); err == nil {
				fmt.Printf("A %d\n", n)
			}
		}
		time.Sleep(time.Duration(rng.IntN(1000)) * time.Microsecond)
	}
}

// victimFeed is what the nth feed says.
func victimFeed(n int) []byte {
	return fmt.Appendf(nil, "<%d %s>", n, strings.Repeat("some text that repeats ", n%50))
}

// TestKill kills a recording process with SIGKILL at random moments. All that
// Sync acknowledged must be there, and all that is older than 50 ms.
func TestKill(t *testing.T) {
	kills := 4
	if os.Getenv(soakEnv) != "" {
		kills = 200
	}
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	var worst time.Duration
	for range kills {
		lost := kill(t, time.Duration(20+rng.IntN(600))*time.Millisecond)
		worst = max(worst, lost)
	}
	t.Logf("%d kills: at most the last %v were lost", kills, worst)
	if worst > 50*time.Millisecond {
		t.Errorf("a kill cost the last %v, want at most 50ms", worst)
	}
}

// kill runs a victim, kills it after d, and returns how old the oldest feed was
// that is not in its journal.
func kill(t *testing.T, d time.Duration) time.Duration {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := make(chan struct{})
	type told struct {
		fed   []int64
		acked int
	}
	result := make(chan told)
	go func() {
		v := told{acked: -1}
		r := bufio.NewReader(out)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				break
			}
			var n int
			var at int64
			if k, _ := fmt.Sscanf(line, "F %d %d", &n, &at); k == 2 {
				if v.fed = append(v.fed, at); len(v.fed) == 1 {
					close(first)
				}
			} else if k, _ := fmt.Sscanf(line, "A %d", &n); k == 1 {
				v.acked = n
			}
		}
		io.Copy(io.Discard, r)
		result <- v
	}()
	select {
	case <-first:
	case <-time.After(30 * time.Second):
		t.Error("the victim does not record")
	}
	time.Sleep(d)
	cmd.Process.Kill()
	v := <-result
	cmd.Wait()
	have := map[int]bool{}
	for _, x := range reading(t, dir) {
		for part := range bytes.SplitSeq(x.Response.Body, []byte("<")) {
			var n int
			if k, _ := fmt.Sscanf(string(part), "%d ", &n); k == 1 && bytes.HasSuffix(part, []byte(">")) {
				have[n] = bytes.Equal(append([]byte("<"), part...), victimFeed(n))
			}
		}
	}
	var lost time.Duration
	for n, at := range v.fed[:max(len(v.fed)-1, 0)] { // the last may not have been fed
		if have[n] {
			continue
		}
		if n <= v.acked {
			t.Errorf("feed %d is lost; %d was acknowledged", n, v.acked)
		}
		lost = max(lost, time.Duration(v.fed[len(v.fed)-1]-at))
	}
	return lost
}
