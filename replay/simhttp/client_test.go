package simhttp_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/replay/simhttp"
)

// TestSlowReader: a client that stops reading gets what it missed in one chunk,
// loses nothing, and nobody else is held up by it.
func TestSlowReader(t *testing.T) {
	bubble(t, quick(), nil, func(w *world) {
		slow := w.post(w.t.Context(), request(`"stream":true,"max_tokens":50`, message("user", "a", 100)))
		defer slow.Body.Close()
		r := bufio.NewReader(slow.Body)
		first, _ := w.next(r)
		got := first.tokens()

		time.Sleep(30 * ms) // stands at 50 ms, when tokens leave
		beside := tokens(w.stream(request(`"stream":true,"max_tokens":3`, message("user", "b", 100))))
		want := []token{{70 * ms, 1}, {80 * ms, 2}, {90 * ms, 3}}
		if diff := cmp.Diff(want, beside); diff != "" {
			t.Errorf("beside a slow reader (-want +got):\n%s", diff)
		}
		time.Sleep(10*time.Second - time.Since(w.start))
		chunks := 0
		for e, ok := w.next(r); ok; e, ok = w.next(r) {
			if n := e.tokens(); n > 0 {
				got, chunks = got+n, chunks+1
			}
		}
		if got != 50 || chunks > 3 {
			t.Errorf("slow reader: %d tokens, %d chunks after its pause, want 50 tokens and at most 3 chunks", got, chunks)
		}
	})
}

// TestGoneClient: a client that goes away, streaming, waiting for its answer, or
// waiting for its turn, frees its place in the batch.
func TestGoneClient(t *testing.T) {
	f := func(members string, leave, want time.Duration) {
		t.Helper()
		params := quick()
		params.MaxBatch = 1
		bubble(t, params, nil, func(w *world) {
			ctx, cancel := context.WithCancel(w.t.Context())
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				r, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://model.test/v1/chat/completions",
					strings.NewReader(request(members+`"max_tokens":3000,"ignore_eos":true`, message("user", "a", 100))))
				response, err := w.client.Do(r)
				if err == nil {
					io.Copy(io.Discard, response.Body)
					response.Body.Close()
				}
			}()
			synctest.Wait()
			time.AfterFunc(leave, cancel)
			got := tokens(w.stream(request(`"stream":true,"max_tokens":1`, message("user", "b", 100))))
			<-gone
			if len(got) != 1 || got[0].At != want {
				t.Errorf("%s a client that leaves at %v: the next one's tokens = %v, want one at %v", members, leave, got, want)
			}
		})
	}
	// The iteration that is under way ends first; a prompt then takes 20 ms.
	f(`"stream":true,`, 105*ms, 130*ms)
	f(``, 105*ms, 130*ms)
	f(`"stream":true,`, 15*ms, 40*ms) // while its prompt is computed

	params := quick()
	params.MaxBatch = 1
	bubble(t, params, nil, func(w *world) {
		first := w.post(w.t.Context(), request(`"stream":true,"max_tokens":10`, message("user", "a", 100)))
		defer first.Body.Close()
		go io.Copy(io.Discard, first.Body)
		ctx, cancel := context.WithCancel(w.t.Context())
		waiting := w.post(ctx, request(`"stream":true,"max_tokens":3000,"ignore_eos":true`, message("user", "b", 100)))
		defer waiting.Body.Close()
		time.AfterFunc(50*ms, cancel)
		got := tokens(w.stream(request(`"stream":true,"max_tokens":1`, message("user", "c", 100))))
		if len(got) != 1 || got[0].At != 130*ms { // the first answer ends at 110 ms
			t.Errorf("behind a client that leaves the queue: tokens = %v, want one at 130ms", got)
		}
	})
}

// TestServeEnds: the end of its context ends Serve at once, with streams open and
// calls of Fault under way, and breaks off what is not finished. A bubble fails if
// a goroutine is left.
func TestServeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, err := simhttp.New(quick())
		if err != nil {
			t.Fatal(err)
		}
		server.Fault = func(r *http.Request) simhttp.Fault {
			if r.Header.Get("Stall") != "" {
				return simhttp.Fault{Stall: time.Hour}
			}
			return simhttp.Fault{}
		}
		p := newPipes()
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(ctx, p) }()
		transport := &http.Transport{DialContext: p.dial}
		broken := make(chan error, 3)
		for _, how := range []string{"stream", "stall", "plain"} {
			body := request(`"max_tokens":3000,"ignore_eos":true`, message("user", "a", 100))
			if how != "plain" {
				body = request(`"stream":true,"max_tokens":3000,"ignore_eos":true`, message("user", "a", 100))
			}
			r, _ := http.NewRequest(http.MethodPost, "http://model.test/v1/chat/completions", strings.NewReader(body))
			if how == "stall" {
				r.Header.Set("Stall", "yes")
			}
			go func() {
				response, err := transport.RoundTrip(r)
				if err == nil {
					_, err = io.Copy(io.Discard, response.Body)
					response.Body.Close()
				}
				broken <- err
			}()
		}
		time.Sleep(time.Second)
		from := time.Now()
		stop()
		if err := <-ended; err != nil || time.Since(from) != 0 {
			t.Errorf("Serve() = %v after %v, want nil at once", err, time.Since(from))
		}
		for range 3 {
			if err := <-broken; err == nil {
				t.Error("an unfinished answer looks whole")
			}
		}
		if _, err := transport.RoundTrip(&http.Request{Method: "GET", URL: parse(t, "http://model.test/health")}); err == nil {
			t.Error("the server still answers")
		}
		transport.CloseIdleConnections()
	})
}

// TestServeTwice: a server serves once, and closes a listener that it does not
// serve.
func TestServeTwice(t *testing.T) {
	server, err := simhttp.New(quick())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := server.Serve(ctx, newPipes()); err != nil {
		t.Errorf("Serve() with an ended context = %v, want nil", err)
	}
	again := newPipes()
	if err := server.Serve(t.Context(), again); err == nil || !strings.Contains(err.Error(), "served before") {
		t.Errorf("second Serve() = %v, want that it has served before", err)
	}
	select {
	case <-again.closed:
	default:
		t.Error("the second listener is open")
	}
}

// TestServeLostListener: a listener that breaks is an error, and ends all.
func TestServeLostListener(t *testing.T) {
	server, err := simhttp.New(quick())
	if err != nil {
		t.Fatal(err)
	}
	p := newPipes()
	p.Close()
	if err := server.Serve(t.Context(), p); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve() on a closed listener = %v, want %v", err, net.ErrClosed)
	}
}

// TestNew: what is wrong with an engine is said by its field.
func TestNew(t *testing.T) {
	params := quick()
	params.MaxBatch = 0
	if _, err := simhttp.New(params); err == nil || !strings.Contains(err.Error(), "max_batch") {
		t.Errorf("New() = %v, want an error that names max_batch", err)
	}
}
