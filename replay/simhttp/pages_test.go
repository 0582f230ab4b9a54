package simhttp_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func newReader(r io.Reader) *bufio.Reader { return bufio.NewReader(r) }

func TestModelsAndHealth(t *testing.T) {
	bubble(t, quick(), nil, func(w *world) {
		status, kind, text := w.get("/v1/models")
		var list struct {
			Object string
			Data   []struct {
				ID, Object string
				MaxContext int `json:"max_model_len"`
			}
		}
		if err := json.Unmarshal([]byte(text), &list); err != nil || status != 200 || kind != "application/json" {
			t.Fatalf("models = %d, %s, %q: %v", status, kind, text, err)
		}
		if list.Object != "list" || len(list.Data) != 1 || list.Data[0].ID != "quick" || list.Data[0].Object != "model" || list.Data[0].MaxContext != 4096 {
			t.Errorf("models = %+v, want the one model, its context 4096", list)
		}
		if status, _, _ := w.get("/health"); status != 200 {
			t.Errorf("health = %d, want 200", status)
		}
		r, err := w.client.Head("http://model.test/health")
		if err != nil || r.StatusCode != 200 {
			t.Errorf("HEAD health = %v, %v, want 200", r, err)
		}
	})
}

// The exposition format: https://prometheus.io/docs/instrumenting/exposition_formats/
var (
	metaLine   = regexp.MustCompile(`^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$`)
	sampleLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)\{([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"\} (\S+)$`)
)

// metrics reads /metrics, strictly, and returns the values by name.
func (w *world) metrics() map[string]float64 {
	w.t.Helper()
	status, kind, text := w.get("/metrics")
	if status != 200 || !strings.HasPrefix(kind, "text/plain; version=0.0.4") || !strings.HasSuffix(text, "\n") {
		w.t.Fatalf("metrics = %d, %s", status, kind)
	}
	types, values := map[string]string{}, map[string]float64{}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if m := metaLine.FindStringSubmatch(line); m != nil {
			if m[1] == "TYPE" {
				types[m[2]] = m[3]
			}
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil {
			w.t.Errorf("metrics: a line that does not parse: %q", line)
			continue
		}
		v, err := strconv.ParseFloat(m[4], 64)
		if _, twice := values[m[1]]; err != nil || twice || types[m[1]] != "gauge" && types[m[1]] != "counter" {
			w.t.Errorf("metrics: %q: type %q, %v", line, types[m[1]], err)
		}
		if counter := strings.HasSuffix(m[1], "_total"); counter != (types[m[1]] == "counter") {
			w.t.Errorf("metrics: %s is a %s", m[1], types[m[1]])
		}
		values[strings.TrimPrefix(m[1], "vllm:")] = v
	}
	return values
}

// TestMetrics: gauges show what is under way, counters what was; a request that
// was refused counts for nothing, one that was left counts what it got.
func TestMetrics(t *testing.T) {
	params := quick()
	params.MaxBatch, params.KVTokens = 1, 1600
	bubble(t, params, nil, func(w *world) {
		f := func(when string, change map[string]float64) {
			t.Helper()
			want := map[string]float64{"num_requests_running": 0, "num_requests_waiting": 0, "kv_cache_usage_perc": 0, "prompt_tokens_total": 0,
				"generation_tokens_total": 0, "prefix_cache_queries_total": 0, "prefix_cache_hits_total": 0, "request_success_total": 0}
			maps.Copy(want, change)
			if diff := cmp.Diff(want, w.metrics()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", when, diff)
			}
		}
		f("at first", nil)
		body := request(`"stream":true,"max_tokens":60`, message("user", "a", 100))
		first := w.post(w.t.Context(), body)
		second := w.post(w.t.Context(), body)
		go io.Copy(io.Discard, first.Body)
		go io.Copy(io.Discard, second.Body)
		time.Sleep(25 * ms)
		f("under way", map[string]float64{"num_requests_running": 1, "num_requests_waiting": 1, "kv_cache_usage_perc": 0.1}) // 10 of 100 blocks
		time.Sleep(10 * time.Second)
		first.Body.Close()
		second.Body.Close()
		f("after two", map[string]float64{"prompt_tokens_total": 200, "generation_tokens_total": 120,
			"prefix_cache_queries_total": 200, "prefix_cache_hits_total": 96, "request_success_total": 2})
		refusal(t, "too long", w.post(w.t.Context(), request(`"max_tokens":5000`, message("user", "a", 100))), 400)
		refusal(t, "too much", w.post(w.t.Context(), request(`"max_tokens":2000,"ignore_eos":true`, message("user", "a", 100))), 400) // for the memory
		left := w.post(w.t.Context(), request(`"stream":true,"max_tokens":1000,"ignore_eos":true`, message("user", "b", 100)))
		r := bufio.NewReader(left.Body)
		for range 3 {
			w.next(r)
		}
		left.Body.Close()
		time.Sleep(time.Second)
		f("after one that was left", map[string]float64{"prompt_tokens_total": 300, "generation_tokens_total": 123,
			"prefix_cache_queries_total": 300, "prefix_cache_hits_total": 96, "request_success_total": 2})
	})
}

// TestMetricsName: any model's name makes a label that parses.
func TestMetricsName(t *testing.T) {
	for _, name := range []string{`a"b`, `a\b`, "a\nb", "\xff", "日本"} {
		params := quick()
		params.Name = name
		bubble(t, params, nil, func(w *world) {
			if got := len(w.metrics()); got != 8 {
				t.Errorf("%s: %d metrics, want 8", fmt.Sprintf("%q", name), got)
			}
		})
	}
}
