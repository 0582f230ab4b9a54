//go:build unix

package agent_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/replay/agent"
	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/schema"
)

// peerEnv makes the test binary a server instead: the benchmark counts the CPU
// of its own process, so the peer has to be another.
const peerEnv = "CAPSTAN_TEST_PEER"

func TestMain(m *testing.M) {
	if os.Getenv(peerEnv) != "" {
		servePeer()
		return
	}
	os.Exit(m.Run())
}

// servePeer answers every request with a short stream until stdin ends.
func servePeer() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		os.Exit(1)
	}
	fmt.Println(l.Addr())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReaderSize(c, 1<<20)
				for {
					q, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					io.Copy(io.Discard, q.Body)
					send(c, whole())
				}
			}()
		}
	}()
	io.Copy(io.Discard, os.Stdin)
}

// startPeer runs servePeer in a process of its own.
func startPeer(b *testing.B) (target string) {
	b.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), peerEnv+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return "http://" + strings.TrimSpace(addr)
}

// message is one message of the benchmark's history.
type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// history is a conversation of about 600 KB in 100 messages, with the share of
// line breaks and quotes that code has.
func history() (messages []message) {
	line := "\tif err := run(ctx, args); err != nil {\n\t\treturn fmt.Errorf(\"run %q: %w\", name, err)\n\t}\n"
	for i := range 100 {
		role := []string{"user", "assistant"}[i%2]
		messages = append(messages, message{role, fmt.Sprintf("%d ", i) + strings.Repeat(line, 60)})
	}
	return messages
}

// encode is what a client without a plan does each turn: it writes the whole
// history into a buffer that it has kept. The encoder is the fastest there is to
// be had here: a loop written by hand that copies runs of plain bytes took as
// long, and json.Marshal, which escapes for HTML and allocates, half as long again.
func encode(buf *bytes.Buffer, messages []message) []byte {
	buf.Reset()
	e := json.NewEncoder(buf)
	e.SetEscapeHTML(false)
	err := e.Encode(struct {
		Messages []message `json:"messages"`
		Model    string    `json:"model"`
		Stream   bool      `json:"stream"`
	}{messages, "m", true})
	if err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}

// segments is the same body as a plan holds it.
func segments(messages []message) plan.Body {
	whole := encode(new(bytes.Buffer), messages)
	var b plan.Body
	for len(whole) > 0 {
		n := bytes.Index(whole[1:], []byte(`{"role"`)) + 1
		if n == 0 {
			n = len(whole)
		}
		b.Segs = append(b.Segs, slices.Clone(whole[:n]))
		b.Len += int64(n)
		whole = whole[n:]
	}
	return b
}

// processCPU is this process's user and system time.
func processCPU(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Skipf("skipped: no CPU time on this platform: %v", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// The client's CPU for a replayed turn of 600 KB against encoding the history
// each turn and sending it with the same client: at least 5 times cheaper.
func BenchmarkBarTurnCPU(b *testing.B) {
	const bar, rounds, turns = 5, 7, 150
	k := connect(b, agent.Config{}, startPeer(b))
	messages := history()
	shared := segments(messages)
	start := time.Now()
	clock := func() time.Duration { return time.Since(start) }
	turn := func(body plan.Body) {
		var s schema.Sample
		k.Do(context.Background(), clock, agent.Request{Body: body, Output: 4}, &s, func(plan.Point, float32, time.Duration) {})
		if s.Error != nil {
			b.Fatal(str(s.ErrorText))
		}
	}
	measure := func(f func()) float64 {
		from := processCPU(b)
		for range turns {
			f()
		}
		return float64(processCPU(b)-from) / turns / 1e3
	}
	replayed := func() { turn(shared) }
	var kept bytes.Buffer
	encoded := func() {
		body := encode(&kept, messages)
		turn(plan.Body{Segs: [][]byte{body}, Len: int64(len(body))})
	}
	replayed()
	encoded()
	var ours, theirs, ratio []float64
	for b.Loop() {
		for range rounds {
			o, t := measure(replayed), measure(encoded)
			ours, theirs, ratio = append(ours, o), append(theirs, t), append(ratio, t/o)
		}
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	slices.Sort(ratio)
	mid := ratio[len(ratio)/2]
	b.ReportMetric(bar/mid, "x-of-bar")
	b.ReportMetric(mid, "ratio")
	b.ReportMetric(ratio[0], "ratio-min")
	b.ReportMetric(ratio[len(ratio)-1], "ratio-max")
	b.ReportMetric(ours[len(ours)/2], "replayed-us/turn")
	b.ReportMetric(theirs[len(theirs)/2], "encoded-us/turn")
	b.ReportMetric(float64(shared.Len), "body-bytes")
}

// What one chunk of an answer costs when each comes in a read of its own.
func BenchmarkChunk(b *testing.B) {
	const chunks = 10000
	k := answered(b, chunks)
	b.ReportAllocs()
	for b.Loop() {
		if s, _ := do(context.Background(), k, step(chunks)); s.Error != nil {
			b.Fatal(str(s.ErrorText))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/chunks, "ns/chunk")
}

// stalled is a canned connection that stops before the end of its answer.
type stalled struct {
	canned
	reached chan<- bool
	resume  <-chan bool
}

func (c *stalled) Read(p []byte) (int, error) {
	if c.next == len(c.pieces)-1 {
		c.reached <- true
		<-c.resume
	}
	return c.canned.Read(p)
}

// What an agent holds while its answer streams: heap and stacks, the
// connection's read buffer included, the kernel's share not.
func BenchmarkStreamMemory(b *testing.B) {
	const streams = 500
	var each float64
	for b.Loop() {
		reached, resume := make(chan bool), make(chan bool)
		pieces := [][]byte{[]byte(streamHead + chunk(event(" abc"))), []byte(chunk(stopEvent) + chunk(doneEvent) + lastChunk)}
		dial := func(context.Context, string, string) (net.Conn, error) {
			return &stalled{canned{pieces: pieces, ready: make(chan bool, 1)}, reached, resume}, nil
		}
		k := connect(b, agent.Config{Dial: dial}, "http://model.test")
		before := memory()
		var wait sync.WaitGroup
		for range streams {
			wait.Go(func() { do(context.Background(), k, step(4)) })
		}
		for range streams {
			<-reached
		}
		each = float64(memory()-before) / streams
		close(resume)
		wait.Wait()
	}
	b.ReportMetric(each, "B/stream")
}

// memory is heap and stacks in use, after a collection.
func memory() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
