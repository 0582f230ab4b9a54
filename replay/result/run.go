package result

import (
	"fmt"
	"net/url"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// Run holds the facts of one search: what was replayed, against what, with which
// settings. Its JSON is part of result.json. Everything in it is published with
// the result, so it holds no key, no user, no path and no host name.
type Run struct {
	Started   time.Time `json:"started"`          // UTC, whole seconds
	Wall      float64   `json:"wall_s"`           // how long the search took on the clock of a person; 0: unknown
	Tool      string    `json:"tool"`             // capstan's version
	Go        string    `json:"go"`               // toolchain that built it
	Client    Client    `json:"client"`           // the machine that sent the load
	Dataset   Dataset   `json:"dataset"`          // what was replayed
	Plan      Plan      `json:"plan"`             // how
	Endpoints []string  `json:"endpoints"`        // sent to, as Endpoint gives them; "sim:NAME" for a simulated engine
	Model     string    `json:"model"`            // as named in requests
	Engine    string    `json:"engine,omitempty"` // parameters of a simulated engine (YAML), else empty
	Tiers     []string  `json:"tiers"`            // asked for, in order; the grammar of capacity.ParseSLO
	Seed      uint64    `json:"seed,string"`      // of the search; each probe has its own besides
	Key       Key       `json:"comparability"`
}

// Client describes the load machine without revealing whose it is.
type Client struct {
	OS   string `json:"os"`
	Arch string `json:"arch"`
	CPUs int    `json:"cpus"`
}

// Dataset names what was replayed.
type Dataset struct {
	Name     string `json:"name"`
	Hash     string `json:"sha256"` // of the bundle
	Sessions int    `json:"sessions"`
	Calls    int    `json:"calls"`
}

// Plan names how it was replayed.
type Plan struct {
	Hash     string   `json:"hash"`
	Ring     float64  `json:"ring_s"`   // all sessions end to end in recorded, capped time
	Rewrites []string `json:"rewrites"` // declared changes to what was recorded; empty: sent verbatim
}

// Here fills in what the running program knows about itself: tool, toolchain and
// client.
func (r *Run) Here() {
	r.Tool, r.Go = ToolVersion(), runtime.Version()
	r.Client = Client{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU()}
}

// ToolVersion is the version of the running program as its build recorded it, or
// "devel".
func ToolVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	revision, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+dirty"
		}
	}
	if revision == "" {
		return "devel"
	}
	return revision + dirty
}

// Endpoint writes a target as a result may keep it: scheme, host, port and path,
// without user, password, query and fragment, where keys are found. It is an
// error if raw is no absolute URL.
func Endpoint(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return "", fmt.Errorf("read endpoint: want an absolute URL such as http://127.0.0.1:8000")
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String(), nil
}

// Simulated names the simulated engine that answered, and reports whether one did.
func (r *Run) Simulated() (name string, ok bool) {
	for _, e := range r.Endpoints {
		if name, ok := strings.CutPrefix(e, "sim:"); ok {
			return name, true
		}
	}
	return "", false
}

// Validate names the first fact that is missing or cannot be.
func (r *Run) Validate() error {
	for _, f := range []struct{ name, value string }{
		{"tool", r.Tool}, {"dataset.name", r.Dataset.Name}, {"dataset.sha256", r.Dataset.Hash},
		{"plan.hash", r.Plan.Hash}, {"model", r.Model},
	} {
		if f.value == "" {
			return fmt.Errorf("run: %s is required", f.name)
		}
	}
	switch {
	case r.Started.IsZero():
		return fmt.Errorf("run: started is required")
	case len(r.Endpoints) == 0:
		return fmt.Errorf("run: endpoints is required")
	case len(r.Tiers) == 0:
		return fmt.Errorf("run: tiers is required")
	}
	return r.Key.validate()
}
