package plan

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/tokens"
)

// Build reads sessions, one at a time, and makes a plan of them. It fails where a
// session cannot be read or sent as METHOD.md says, naming the session and the
// call, where the model can take no call of any session, and when ctx ends.
// Sessions without a single answered call that fits are left out.
func Build(ctx context.Context, sessions iter.Seq2[*schema.Session, error], c Config) (*Plan, error) {
	cfg, err := c.resolve()
	if err != nil {
		return nil, err
	}
	b := &builder{
		cfg: cfg, plan: &Plan{}, ends: newEnvelopes(cfg), sum: newSummer(cfg),
		fillers: map[string]*tokens.Tokenizer{},
	}
	for s, err := range sessions {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("read sessions: %w", err)
		}
		if err := b.add(s); err != nil {
			return nil, fmt.Errorf("build session %s: %w", s.ID, err)
		}
	}
	return b.close()
}

// builder makes a plan session by session.
type builder struct {
	cfg     Config
	plan    *Plan
	ends    *envelopes
	sum     *summer
	fillers map[string]*tokens.Tokenizer
	total   struct{ input, uncached, output, across float64 }
	counts  counts
}

// counts are what Rewrites tells of.
type counts struct {
	synthesised int // sessions
	marked      int // calls
	failed      int // calls
	empty       int // sessions
}

func (b *builder) add(s *schema.Session) error {
	d, err := newDraft(s, b.cfg)
	if err != nil {
		return err
	}
	b.plan.cut += d.cut
	b.counts.failed += len(d.calls) - len(d.steps) - d.cut
	if len(d.steps) == 0 {
		b.counts.empty++
		return nil
	}
	src, err := b.source(d)
	if err != nil {
		return err
	}
	a := newAssembly(d, b.cfg, src, b.ends)
	if err := a.gather(); err != nil {
		return err
	}
	t, err := b.track(d, a)
	if err != nil {
		return err
	}
	if text, ok := src.(*textSource); ok {
		b.counts.marked += text.marked
	}
	b.sum.track(t, a)
	b.count(t)
	return nil
}

// source chooses where a session's bodies come from.
func (b *builder) source(d *draft) (source, error) {
	if d.text {
		return newTextSource(d.session, b.cfg.Verbatim), nil
	}
	b.counts.synthesised++
	name := b.cfg.Tokenizer
	if name == "" {
		name = d.session.Blocks[0].Tokenizer
	}
	if b.fillers[name] == nil {
		filler, err := tokens.Open(name)
		if err != nil {
			return nil, fmt.Errorf("make text (Config.Tokenizer chooses another tokenizer than the session's): %w", err)
		}
		b.fillers[name] = filler
	}
	return newBlockSource(d.session, b.fillers[name])
}

func (b *builder) track(d *draft, a *assembly) (*track, error) {
	steps, short, tree, err := a.steps()
	if err != nil {
		return nil, err
	}
	rest := idle(d.session, b.cfg)
	t := &track{
		script: &Script{Session: d.session.ID, Lanes: d.lanes, Calls: d.calls, Steps: steps, Idle: rest, links: link(steps)},
		short:  short, tree: tree, length: d.length(rest),
	}
	for i := range d.steps {
		t.when = append(t.when, d.steps[i].when)
	}
	return t, nil
}

// count adds a session to the plan.
func (b *builder) count(t *track) {
	for i := range t.script.Steps {
		st := &t.script.Steps[i]
		b.total.input += float64(st.Input)
		b.total.uncached += float64(st.Input - st.Ideal)
		b.total.output += float64(st.Output)
		b.total.across += float64(max(t.tree.beforePlay(st, i)-st.Ideal, 0))
	}
	b.plan.calls += len(t.script.Steps)
	b.plan.tracks = append(b.plan.tracks, t)
	b.plan.ring = later(b.plan.ring, t.length)
}

func (b *builder) close() (*Plan, error) {
	p := b.plan
	switch {
	case p.calls == 0 && p.cut > 0:
		return nil, fmt.Errorf("build plan: no session has a call that fits %d tokens of context", b.cfg.MaxContext)
	case p.calls == 0:
		return nil, fmt.Errorf("build plan: the sessions hold no answered call")
	case p.ring == longest:
		return nil, fmt.Errorf("build plan: the sessions last more than %v", time.Duration(longest))
	}
	n := float64(p.calls)
	p.means = Means{Input: b.total.input / n, Uncached: b.total.uncached / n, Output: b.total.output / n}
	p.across = b.total.across / n
	p.rewrites = b.rewrites()
	p.hash = b.sum.close(b.ends.all)
	return p, nil
}
