package plan

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/wire"
)

// kept are the members of a recorded request that go out as recorded: how the
// answer is sampled and which tools may be called.
var kept = []string{
	"chat_template_kwargs", "frequency_penalty", "logit_bias", "min_p", "parallel_tool_calls",
	"presence_penalty", "reasoning_effort", "repetition_penalty", "temperature", "tool_choice",
	"top_k", "top_p",
}

// enders are the members that can end an answer, or hold it back from its end,
// before its planned length. They are kept where the length is free.
var enders = []string{"response_format", "stop"}

// policy are the members that a plan sets itself, or that have no place in a
// replay. Everything else is dropped and counted, or kept with Verbatim.
var policy = []string{
	"ignore_eos", "max_completion_tokens", "max_tokens", "messages", "min_tokens", "model", "n",
	"seed", "stream", "stream_options", "tools",
}

// envelopes turns recorded envelopes into the ends of bodies.
type envelopes struct {
	cfg     Config
	bySum   map[[sha256.Size]byte]shared
	all     []shared
	dropped map[string]int // calls, by member
}

// shared is text of which a plan has one copy, by its number.
type shared struct {
	text   []byte
	number uint64
}

func newEnvelopes(cfg Config) *envelopes {
	return &envelopes{cfg: cfg, bySum: map[[sha256.Size]byte]shared{}, dropped: map[string]int{}}
}

// intern is the plan's copy of a text.
func (e *envelopes) intern(b []byte) shared {
	sum := sha256.Sum256(b)
	if have, ok := e.bySum[sum]; ok {
		return have
	}
	s := shared{slices.Clip(b), uint64(len(e.all))}
	e.bySum[sum] = s
	e.all = append(e.all, s)
	return s
}

// members are the members of an envelope that bodies keep, in recorded order.
func (e *envelopes) members(envelope string) (keep []wire.Member, drop []string, err error) {
	for m, err := range wire.Members([]byte(envelope)) {
		switch {
		case err != nil:
			return nil, nil, err
		case slices.Contains(policy, m.Key):
		case e.keeps(m.Key):
			keep = append(keep, m)
		default:
			drop = append(drop, m.Key)
		}
	}
	return keep, drop, nil
}

func (e *envelopes) keeps(key string) bool {
	if slices.Contains(enders, key) {
		return e.cfg.Output == OutputFree
	}
	return e.cfg.Verbatim || slices.Contains(kept, key)
}

// tail is the end of a body behind its messages and tools, for an answer of some
// tokens.
func (e *envelopes) tail(members []wire.Member, output int64) shared {
	c := wire.TailConfig{Model: e.cfg.Model, Stream: true, Usage: true, MaxTokens: output, Members: members}
	if e.cfg.Output == OutputExact {
		c.MinTokens, c.IgnoreEOS = output, true
	}
	return e.intern(wire.ChatTail(c))
}

// limit is the most tokens that a step may give out.
func (c Config) limit(st *draftStep) int64 {
	if c.Output == OutputExact {
		return int64(st.output)
	}
	n := int64(c.FreeCap)
	if c.MaxContext > 0 {
		n = min(n, c.MaxContext-st.input)
	}
	return max(n, 1)
}

// ends are the ends of a session's bodies, by the hash of their envelope.
type ends struct {
	all     *envelopes
	session *schema.Session
	bySum   map[string]end
}

type end struct {
	members []wire.Member
	drop    []string
}

// of is what a call's envelope leaves to its body: nothing where the source kept
// none.
func (e *ends) of(c *schema.Call) ([]wire.Member, error) {
	if c.EnvelopeSHA256 == nil {
		return nil, nil
	}
	sum := *c.EnvelopeSHA256
	got, ok := e.bySum[sum]
	if !ok {
		blob := e.session.Blobs[sum]
		if blob.Content == nil {
			return nil, fmt.Errorf("read envelope %s: its content is not in the session", sum)
		}
		var err error
		if got.members, got.drop, err = e.all.members(*blob.Content); err != nil {
			return nil, fmt.Errorf("read envelope %s: %w", sum, err)
		}
		e.bySum[sum] = got
	}
	for _, key := range got.drop {
		e.all.dropped[key]++
	}
	return got.members, nil
}
