package main

import (
	"fmt"
	"math"
	"os"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/urfave/cli/v2"

	"github.com/capstan-bench/capstan/replay/cost"
	"github.com/capstan-bench/capstan/replay/plan"
)

// replayFlags are what replay and capacity share: what is sent, when, and to
// whom.
func replayFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "target", Usage: "endpoint `URL`, or sim:ENGINE.yaml for a simulated engine in virtual time; repeat for several endpoints"},
		&cli.StringFlag{Name: "model", Usage: "model `NAME` to ask for"},
		&cli.StringFlag{Name: "api-key-env", Usage: "`NAME` of the environment variable that holds the key; never the key itself"},
		&cli.StringFlag{Name: "ca-file", Usage: "PEM `FILE` of certificates to trust besides the system's"},
		&cli.Float64Flag{Name: "gap-scale", Value: 1, Usage: "multiply every recorded gap by `X`"},
		&cli.DurationFlag{Name: "gap-cap", Value: plan.DefaultGapCap, Usage: "longest gap `D` after scaling; 0 for no cap"},
		&cli.BoolFlag{Name: "no-gaps", Usage: "send each call as soon as its causes have happened"},
		&cli.Int64Flag{Name: "max-context", Usage: "cut sessions at the turn that passes `TOKENS`; 0 for nowhere"},
		&cli.StringFlag{Name: "output", Value: plan.OutputExact, Usage: "length of answers: `exact` (as recorded) or free (until the model stops, 16K at most)"},
		&cli.BoolFlag{Name: "no-salt", Usage: "let plays and probes find each other's prefixes in the cache"},
		&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "seed of everything that is drawn"},
		&cli.DurationFlag{Name: "ttft-timeout", Value: 10 * time.Minute, Usage: "a call whose first token takes longer than `D` has failed"},
		&cli.DurationFlag{Name: "idle-timeout", Value: 2 * time.Minute, Usage: "a stream that is silent for `D` has failed"},
		&cli.StringFlag{Name: "config", Usage: "YAML `FILE` of flags by name; flags given here win"},
	}
}

var jsonFlag = &cli.BoolFlag{Name: "json", Usage: "print JSON"}

func outFlag(usage string) cli.Flag {
	return &cli.StringFlag{Name: "o", Aliases: []string{"output-path"}, Usage: usage}
}

// planConfig reads the flags that shape the plan.
func planConfig(c *cli.Context) (plan.Config, error) {
	cfg := plan.Config{
		Model: c.String("model"), GapScale: c.Float64("gap-scale"), GapCap: c.Duration("gap-cap"), NoGaps: c.Bool("no-gaps"),
		MaxContext: c.Int64("max-context"), Output: c.String("output"), NoSalt: c.Bool("no-salt"),
	}
	switch {
	case !(cfg.GapScale >= 0) || math.IsInf(cfg.GapScale, 1) || cfg.GapScale == 0 && c.IsSet("gap-scale"):
		return cfg, usagef("--gap-scale: got %v, want a number above 0; --no-gaps leaves gaps out", cfg.GapScale)
	case cfg.GapCap < 0:
		return cfg, usagef("--gap-cap: got %v, want at least 0", cfg.GapCap)
	case cfg.MaxContext < 0:
		return cfg, usagef("--max-context: got %d, want at least 0", cfg.MaxContext)
	case cfg.Output != plan.OutputExact && cfg.Output != plan.OutputFree:
		return cfg, usagef("--output: got %q, want %s or %s", cfg.Output, plan.OutputExact, plan.OutputFree)
	}
	if cfg.GapCap == 0 {
		cfg.GapCap = -1 // the plan's word for no cap
	}
	return cfg, nil
}

// readConfig sets the flags that the file of --config names and the command
// line does not.
func readConfig(c *cli.Context) error {
	name := c.String("config")
	if name == "" {
		return nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	if err := checkSettings(text); err != nil {
		return fmt.Errorf("read config %s: %w", name, err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(text, &values); err != nil {
		return fmt.Errorf("read config %s: want a mapping of flags to values: %s", name, firstLine(err))
	}
	for flag, v := range values {
		if _, known := lookupFlag(c.Command, flag); !known || flag == "config" || flag == "help" {
			return fmt.Errorf("read config %s: %s is no flag of `capstan %s`", name, flag, c.Command.Name)
		}
		if c.IsSet(flag) {
			continue
		}
		if err := setFlag(c, flag, v); err != nil {
			return fmt.Errorf("read config %s: %s: %w", name, flag, err)
		}
	}
	return nil
}

// maxSettings bounds a file of settings.
const maxSettings = 1 << 20

// checkSettings refuses text that no file of settings is, before the reader of
// YAML takes more time and memory over it than there is.
func checkSettings(text []byte) error {
	if len(text) > maxSettings {
		return fmt.Errorf("got %d bytes, want at most %d", len(text), maxSettings)
	}
	return cost.CheckNesting(text)
}

// setFlag sets a flag to a value of YAML; a list sets it once an element.
func setFlag(c *cli.Context, flag string, v any) error {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, e := range list {
		if err := c.Set(flag, fmt.Sprint(e)); err != nil {
			return err
		}
	}
	return nil
}

// operand returns the one operand that a command takes.
func operand(c *cli.Context, what string) (string, error) {
	switch c.NArg() {
	case 1:
		return c.Args().First(), nil
	case 0:
		return "", usagef("%s: name %s", c.Command.Name, what)
	}
	return "", usagef("%s: got %d operands, want %s alone", c.Command.Name, c.NArg(), what)
}

func firstLine(err error) string {
	s := err.Error()
	for i, r := range s {
		if r == '\n' {
			return s[:i]
		}
	}
	return s
}
