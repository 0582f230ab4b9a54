package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/capstan-bench/capstan/replay"
	"github.com/capstan-bench/capstan/replay/agent"
	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/replay/result"
	"github.com/capstan-bench/capstan/replay/sim"
	"github.com/capstan-bench/capstan/replay/virtual"
)

// simulatedModel is what a simulated engine is asked for when no model is named.
const simulatedModel = "simulated"

// target is what a plan is replayed against.
type target struct {
	names  []string // as a result prints them
	engine string   // YAML of a simulated engine, or ""
	params sim.Params
	agents []*agent.Client // of real endpoints
	hello  []byte          // what real endpoints are asked before they are measured
}

// openTarget reads --target and what belongs to it.
func openTarget(c *cli.Context) (*target, error) {
	raw := c.StringSlice("target")
	if len(raw) == 0 {
		return nil, usagef("%s: --target is missing: name an endpoint's URL, or sim:ENGINE.yaml", c.Command.Name)
	}
	if name, ok := strings.CutPrefix(raw[0], "sim:"); ok {
		if len(raw) > 1 {
			return nil, usagef("%s: --target: a simulated engine stands alone, got %d targets", c.Command.Name, len(raw))
		}
		return openEngine(name)
	}
	key, err := apiKey(c.String("api-key-env"))
	if err != nil {
		return nil, err
	}
	cfg, err := planConfig(c)
	if err != nil {
		return nil, err
	}
	t := &target{hello: hello(cfg)}
	for _, r := range raw {
		if err := t.add(c, r, key); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *target) add(c *cli.Context, raw, key string) error {
	name, err := result.Endpoint(raw)
	u, perr := url.Parse(raw)
	if err != nil || perr != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return usagef("--target%s: want a URL such as http://127.0.0.1:8000, or sim:ENGINE.yaml", shown(raw))
	}
	client, err := agent.New(agent.Config{
		Target: u, APIKey: key, CAFile: c.String("ca-file"),
		TTFTTimeout: c.Duration("ttft-timeout"), IdleTimeout: c.Duration("idle-timeout"),
	})
	if err != nil {
		return fmt.Errorf("--target %s: %w", name, err)
	}
	t.names = append(t.names, name)
	t.agents = append(t.agents, client)
	return nil
}

// shown is what was given for a target, for an error, if it can hold no secret.
func shown(raw string) string {
	if raw == "" || strings.ContainsAny(raw, "@?#") {
		return ""
	}
	return " " + raw
}

// openEngine reads an engine file, or takes a built-in engine by its name.
func openEngine(name string) (*target, error) {
	t := &target{names: []string{"sim:" + name}}
	if params, ok := sim.Builtin(name); ok {
		t.params = params
		return t, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read engine: %w; built in are %s", err, strings.Join(sim.BuiltinNames(), ", "))
	}
	if err := checkSettings(text); err != nil {
		return nil, fmt.Errorf("read engine %s: %w", name, err)
	}
	if t.params, err = sim.Parse(text); err != nil {
		return nil, fmt.Errorf("read engine %s: %w", name, err)
	}
	t.engine = string(text)
	return t, nil
}

func apiKey(variable string) (string, error) {
	if variable == "" {
		return "", nil
	}
	key, ok := os.LookupEnv(variable)
	if !ok || key == "" {
		return "", usagef("--api-key-env: the variable %s is not set", variable)
	}
	return key, nil
}

// virtual says whether time is simulated.
func (t *target) virtual() bool { return len(t.agents) == 0 }

// probe returns what measures a level of the plan on the target.
func (t *target) probe(p *plan.Plan, tightest time.Duration, progress *progress) capacity.Probe {
	if t.virtual() {
		return virtual.Probe(p, t.params)
	}
	return replay.Probe(p, replay.Config{
		Clients:  t.agents,
		Nonce:    rand.Uint64(), // seeded by the system, afresh in every process
		Limits:   replay.Limits{TightestTTFT: tightest},
		Progress: progress.live,
	})
}

// progress tells the person at the terminal how a long command goes: a line a
// probe and, for live runs, a line every ten seconds.
type progress struct {
	w    io.Writer
	last time.Duration
}

func (p *progress) live(l replay.Progress) {
	if l.Elapsed < p.last {
		p.last = 0
	}
	if l.Elapsed-p.last < 10*time.Second {
		return
	}
	p.last = l.Elapsed
	fmt.Fprintf(p.w, "%4d agents %8s  %d calls (%d failed), %d in flight, ttft %s, %.0f tok/s\n",
		l.Level, l.Elapsed.Round(time.Second), l.Calls, l.Errors, l.Open, l.TTFT.Round(time.Millisecond), l.Speed)
}

func (p *progress) probe(r capacity.ProbeRecord) {
	var verdicts []string
	for _, j := range r.Judgements {
		verdicts = append(verdicts, string(j.Verdict))
	}
	fmt.Fprintf(p.w, "probe %d: %d agents, %s, %d calls: %s\n",
		r.Ask.Index, r.Ask.Level, (r.To - r.From).Round(time.Second), r.Calls, strings.Join(verdicts, " "))
}
