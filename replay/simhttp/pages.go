package simhttp

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// models lists the one model, as OpenAI's endpoint does.
func (s *Server) models(w http.ResponseWriter, _ *http.Request) {
	type model struct {
		ID         string `json:"id"`
		Object     string `json:"object"`
		Created    int64  `json:"created"`
		OwnedBy    string `json:"owned_by"`
		MaxContext int32  `json:"max_model_len"`
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(struct {
		Object string  `json:"object"`
		Data   []model `json:"data"`
	}{"list", []model{{ID: s.params.Name, Object: "model", OwnedBy: "capstan", MaxContext: s.params.MaxContext}}})
}

// metrics are named and typed as vLLM's, so that what reads those reads these.
// Token counters count a request when it has ended.
func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	load, t := s.engine.Load(), s.totals
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	used := 0.0
	if load.Blocks > 0 {
		used = float64(load.Used) / float64(load.Blocks)
	}
	name := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(strings.ToValidUTF8(s.params.Name, "\uFFFD"))
	for _, m := range []struct {
		name, kind, about string
		value             float64
	}{
		{"num_requests_running", "gauge", "Requests that have memory.", float64(load.Running)},
		{"num_requests_waiting", "gauge", "Requests that wait for memory.", float64(load.Waiting)},
		{"kv_cache_usage_perc", "gauge", "Share of the cache's blocks in use, 0 to 1.", used},
		{"prompt_tokens_total", "counter", "Prompt tokens, those from the cache included.", float64(t.prompt)},
		{"generation_tokens_total", "counter", "Generated tokens.", float64(t.generated)},
		{"prefix_cache_queries_total", "counter", "Prompt tokens looked up in the cache.", float64(t.prompt)},
		{"prefix_cache_hits_total", "counter", "Prompt tokens found in the cache.", float64(t.cached)},
		{"request_success_total", "counter", "Requests answered to the end.", float64(t.finished)},
	} {
		fmt.Fprintf(w, "# HELP vllm:%[1]s %[3]s\n# TYPE vllm:%[1]s %[2]s\nvllm:%[1]s{model_name=\"%[4]s\"} %[5]g\n", m.name, m.kind, m.about, name, m.value)
	}
}
