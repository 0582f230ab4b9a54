package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/capstan-bench/capstan/replay/agent"
	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/wire"
)

const (
	// helloTokens is how long the answer to a hello is: short, but longer than
	// what some endpoints take for too short to ask for.
	helloTokens = 16
	// patience is how long a search waits between two probes for an endpoint that
	// does not answer: long enough for a server to be started again.
	patience = 5 * time.Minute
	// pause is how long after one hello the next is sent.
	pause = 5 * time.Second
)

// hello is a small request with the same members as those of a plan, so that an
// endpoint that does not know one of them says so.
func hello(cfg plan.Config) []byte {
	tail := wire.TailConfig{Model: cfg.Model, Stream: true, Usage: true, MaxTokens: helloTokens}
	if cfg.Output == plan.OutputExact {
		tail.MinTokens, tail.IgnoreEOS = helloTokens, true
	}
	return append([]byte(`{"messages":[{"role":"user","content":"Hello"}]`), wire.ChatTail(tail)...)
}

// ready asks every real endpoint for one small answer, and says which one does
// not give it, and why. A rate limit is only warned of: it is the samples' to
// show it.
func (t *target) ready(ctx context.Context, warn io.Writer) error {
	for i, client := range t.agents {
		err := client.Check(ctx, t.hello)
		var un *agent.Unready
		switch {
		case err == nil:
		case !errors.As(err, &un):
			return err
		case un.Class == schema.ErrRateLimit:
			fmt.Fprintf(warn, "warning: --target %s: %v; rate-limited, not capacity: no level will pass\n", t.names[i], un)
		default:
			return fmt.Errorf("--target %s: %s%s", t.names[i], strings.TrimRight(un.Text, "."), hint(un))
		}
	}
	return nil
}

// hint says what may help.
func hint(un *agent.Unready) string {
	switch un.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return "; --api-key-env names the variable with the key"
	case http.StatusNotFound:
		return "; check --model and the URL's path"
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		if strings.Contains(un.Text, "ignore_eos") || strings.Contains(un.Text, "min_tokens") {
			return "; --output free does without it"
		}
	}
	if un.Class == schema.ErrStream || un.Class == schema.ErrTruncated {
		return "; check that Chat Completions are served there"
	}
	return ""
}

// guarded is a probe that begins only when the endpoints answer, from the second
// on: what died of one level is not held against the next.
func (t *target) guarded(probe capacity.Probe, say io.Writer) capacity.Probe {
	if t.virtual() {
		return probe
	}
	return func(ctx context.Context, a capacity.Ask, enough func(capacity.Window) bool) (capacity.Window, error) {
		if a.Index > 0 {
			if err := t.await(ctx, say); err != nil {
				return capacity.Window{Ask: a}, err
			}
		}
		return probe(ctx, a, enough)
	}
}

// await waits until the endpoints answer, for as long as patience.
func (t *target) await(ctx context.Context, say io.Writer) error {
	give := time.Now().Add(patience)
	for told := false; ; told = true {
		err := t.ready(ctx, say)
		if err == nil || ctx.Err() != nil || !time.Now().Before(give) {
			return err
		}
		if !told {
			fmt.Fprintf(say, "waiting up to %v: %v\n", patience, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
