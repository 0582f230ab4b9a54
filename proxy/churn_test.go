package proxy

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// churnEnv sets how many calls TestChurn makes.
const churnEnv = "CAPSTAN_CHURN"

// Many calls of mixed size, on kept and on fresh connections, some broken off:
// all that ended are recorded, and no goroutine and no descriptor is left.
func TestChurn(t *testing.T) {
	calls := 2000
	if n, err := strconv.Atoi(os.Getenv(churnEnv)); err == nil {
		calls = n
	}
	w := newWorld(t, nil)
	up := w.upstream(func(rw http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(rw, "%d", n)
	})
	runtime.GC()
	goroutines, files := runtime.NumGoroutine(), descriptors(t, os.Getpid())
	text := bytes.Repeat([]byte("0123456789abcdef"), 16<<10)
	sizes := []int{2, 2, 2, 200, 200, 3000, 3000, 20_000, 200_000}
	var done, failed atomic.Int64
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(worker), 1))
			c := w.client(fmt.Sprintf("w%d", worker))
			defer c.CloseIdleConnections()
			for range calls / 8 {
				size := sizes[r.IntN(len(sizes))]
				if r.IntN(100) == 0 {
					c.CloseIdleConnections()
				}
				for w.Stats().Queued > 8<<20 { // agents leave the recorder time
					time.Sleep(time.Millisecond)
				}
				resp, err := c.Post(up.URL+"/v1/messages", "application/json", bytes.NewReader(text[:size]))
				if err != nil {
					failed.Add(1)
					continue
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || string(got) != strconv.Itoa(size) {
					failed.Add(1)
					continue
				}
				done.Add(1)
			}
		})
	}
	all.Wait()
	if failed.Load() > 0 {
		t.Errorf("%d calls failed", failed.Load())
	}
	up.CloseClientConnections()
	for range 100 {
		if runtime.NumGoroutine() <= goroutines+4 && descriptors(t, os.Getpid()) <= files+pooled {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > goroutines+4 {
		var b strings.Builder
		buf := make([]byte, 1<<16)
		b.Write(buf[:runtime.Stack(buf, true)])
		t.Errorf("%d goroutines are left of %d before: %.3000s", n, goroutines, b.String())
	}
	if n := descriptors(t, os.Getpid()); n > files+pooled {
		t.Errorf("%d descriptors are open, %d were before", n, files)
	}
	s := w.Stats()
	if s.Forgotten > 0 || s.Unparsed > 0 {
		t.Errorf("%d bytes were forgotten, %d times nothing was understood", s.Forgotten, s.Unparsed)
	}
	w.stop()
	if s := w.Stats(); s.Calls != done.Load() || s.Open != 0 {
		t.Errorf("%d calls were recorded, %d are open; %d were made", s.Calls, s.Open, done.Load())
	}
}
