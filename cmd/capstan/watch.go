package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/capstan-bench/capstan/proxy"
	"github.com/capstan-bench/capstan/proxy/launch"
)

// watch tells how a recording goes until ctx ends, and raises the alarm once if
// no model call comes.
func (r *recording) watch(ctx context.Context) {
	tick := time.NewTicker(r.tell.rhythm())
	defer tick.Stop()
	var alarm <-chan time.Time
	if r.alarmAfter > 0 {
		alarm = time.After(r.alarmAfter)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-alarm:
			if r.proxy.Stats().Calls == 0 && !r.paused.Load() {
				r.tell.line("NO MODEL CALL SEEN after %v: %s", r.alarmAfter, r.cause())
			}
		case <-tick.C:
			r.tell.state(r.state())
		}
	}
}

// state is one line about how it goes.
func (r *recording) state() string {
	p, j := r.proxy.Stats(), r.journal.Stats()
	text := fmt.Sprintf("%d calls, %d open, %d connections, %s up, %s down, %s on disk, lag %v",
		p.Calls, p.Open, p.Connections, bytesText(p.Up), bytesText(p.Down), bytesText(j.Written), max(p.Lag, j.Lag).Round(time.Millisecond))
	if j.LostExchanges > 0 || p.Forgotten > 0 {
		text += fmt.Sprintf(", LOST %d exchanges, %s", j.LostExchanges, bytesText(j.LostBytes+p.Forgotten))
	}
	if j.Trouble != nil {
		text += ", IN TROUBLE"
	}
	if r.paused.Load() {
		text += ", PAUSED"
	}
	return text
}

// sightings are what was seen of the child's connections.
type sightings struct {
	mu      sync.Mutex
	opened  map[string]int // tunnels that were opened, by host; guarded by mu
	passed  map[string]int // tunnels to other hosts; guarded by mu
	refused []string       // lines about clients that do not trust the authority; guarded by mu
	refuses int            // guarded by mu
}

// maxSightings bounds the hosts that are remembered.
const maxSightings = 256

func (s *sightings) asked(host string, opened bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &s.passed
	if opened {
		m = &s.opened
	}
	if *m == nil {
		*m = map[string]int{}
	}
	if _, known := (*m)[host]; known || len(*m) < maxSightings {
		(*m)[host]++
	}
}

// refuse counts a refusal.
func (s *sightings) refuse(line string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuses++
	if len(s.refused) < 3 {
		s.refused = append(s.refused, line)
	}
	return s.refuses
}

// cause is the likeliest reason for which no model call was seen, and what to do.
func (r *recording) cause() string {
	name := r.harness.Name
	if name == "" {
		name = "the agent"
	}
	return r.seen.cause(name, r.way, r.overriding(), r.proxy.Stats().Up > 0)
}

// cause judges what was seen of an agent's connections. said is what its
// configuration says about where calls go; spoke is whether it sent anything to a
// provider.
func (s *sightings) cause(name string, way launch.Way, said []string, spoke bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	opened, passed := slices.Sorted(maps.Keys(s.opened)), slices.Sorted(maps.Keys(s.passed))
	switch {
	case s.refuses > 0:
		return fmt.Sprintf("%s does not trust the recording's certificates, so it takes them from nowhere that is known; try --via base-url (%s)", name, s.refused[0])
	case spoke || len(opened) > 0:
		return fmt.Sprintf("%s has reached %s through the proxy, but sent no model call: it may wait for its user", name, listOr(opened, "its provider"))
	case len(said) > 0:
		return fmt.Sprintf("%s may go another way, for its configuration says so (%s)", name, strings.Join(said, ", "))
	case len(passed) > 0:
		return fmt.Sprintf("%s uses the proxy, but asked for hosts only that are not recorded (%s); if one of them serves its model, name it: --provider NAME=https://HOST/…", name, listOr(passed, ""))
	case way == launch.BaseURL:
		return fmt.Sprintf("%s does not use the base URL that it was given; try --via connect, and `capstan doctor`", name)
	}
	return fmt.Sprintf("%s does not use the proxy at all: it ignores HTTPS_PROXY, or its model is on this machine; try --via base-url, and `capstan doctor`", name)
}

// overriding are settings of the harness that go over what it was given, for
// which nothing could be done.
func (r *recording) overriding() (out []string) {
	for _, s := range r.settings {
		if s.Variable != "" && r.harness.Name != "claude" {
			out = append(out, s.Shown())
		}
	}
	return out
}

// listOr names a few of many.
func listOr(names []string, none string) string {
	if len(names) == 0 {
		return none
	}
	text := strings.Join(names[:min(5, len(names))], ", ")
	if len(names) > 5 {
		text += fmt.Sprintf(" and %d more", len(names)-5)
	}
	return text
}

// printExports prints what a shell has to export to use a standing proxy.
func (r *recording) printExports(w io.Writer) {
	config := r.launchConfig()
	config.Addr = reachable(config.Addr)
	via := config.ProxyURL()
	base := os.Environ()
	fmt.Fprintf(w, "# the session is %s; agents with session names of their own are told apart all the same\n", r.session)
	for _, v := range launch.Environment(base, config) {
		name, value, _ := strings.Cut(v, "=")
		if slices.Contains(base, v) || name == "CAPSTAN_SESSION" {
			continue
		}
		if r.userVariable != "" && value == via {
			fmt.Fprintf(w, "export %s=\"http://${%s}@%s\"\n", name, r.userVariable, config.Addr)
			continue
		}
		fmt.Fprintf(w, "export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
	}
	if r.userVariable != "" {
		return
	}
	fmt.Fprintln(w, "# base URLs, for agents that take no proxy:")
	providers := proxy.Providers()
	maps.Copy(providers, r.providers)
	for _, name := range slices.Sorted(maps.Keys(providers)) {
		fmt.Fprintf(w, "#   %s stands for %s\n", config.URL(name, ""), launch.ShownURL(providers[name]))
	}
}

// reachable is an address that others can use: one of all interfaces is named by
// the machine.
func reachable(addr string) string {
	for _, all := range []string{"[::]:", "0.0.0.0:"} {
		if port, ok := strings.CutPrefix(addr, all); ok {
			if name, err := os.Hostname(); err == nil {
				return name + ":" + port
			}
		}
	}
	return addr
}
